"""The model that the parameters name, and one window through it: what is published of it, in the wire's dtype.

Windows in, arrays out; the live node and the offline tools share it. No ROS, no threads, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros import engine
from vjepa_ros.devices import failures
from vjepa_ros.engine import WorldModel
from vjepa_ros.errors import CheckpointError, ConfigError, EngineError
from vjepa_ros.latents import DTYPES
from vjepa_ros.model.presets import MODEL_PARAMETERS
from vjepa_ros.node_config import NodeConfig
from vjepa_ros.stream.frame import Frame, clip_of
from vjepa_ros.stream.window import Window

_TORCH_DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float16): torch.float16}


def load_model(config: NodeConfig) -> WorldModel:
    """The world model, warm.

    Raises:
        ConfigError: naming the parameter at fault: what the model cannot be built of, loaded from or run on.
    """
    model_parameters = {name: getattr(config.model, name) for name in MODEL_PARAMETERS}
    try:
        model = engine.load(
            config.model.preset,
            checkpoint=config.checkpoint,
            device=config.device,
            dtype=config.dtype,
            seed=config.seed,
            random_predictor=config.random_predictor,
            **model_parameters,
        )
        model.warm_up()
    except CheckpointError as error:
        raise ConfigError("checkpoint", str(error)) from error
    except EngineError as error:
        raise ConfigError("device", str(error)) from error
    return model


@dataclass(frozen=True)
class Imagined:
    """What the model says about one window.

    Attributes:
        predicted: (steps, H', W', D) in the wire's dtype: the forecast, or every output of the predictor.
        context: (T', H', W', D), the encoder's latents, or None where they are not asked for.
        finite: whether every value is; what is not finite must not be published.
    """

    predicted: NDArray[Any]
    context: NDArray[Any] | None
    finite: bool


class Imagination:
    """Encodes windows and predicts what follows them.

    In ``tubelet`` and ``frame_repeat`` each tubelet or frame is encoded alone, so its latents serve every window that
    it is in: they are kept, and only what has entered is encoded.

    Args:
        model: the world model.
        config: the normalisation, what is published, and in which dtype.
    """

    def __init__(self, model: WorldModel, config: NodeConfig) -> None:
        self._model = model
        self._config = config
        self._dtype = _TORCH_DTYPES[DTYPES[config.wire_encoding]]
        self._encoded: dict[tuple[int, ...], torch.Tensor] = {}

    def __call__(self, window: Window) -> Imagined:
        """The forecast for a window.

        In ``clip`` the encoder attends over the whole window in both directions, so the predictor's outputs 0..T'-2
        are about tubelets that it has seen already; only output T'-1 looks ahead (rule 8). The predictor gets the
        newest ``most_context`` steps of the window, no more than it was trained with.

        Raises:
            EngineError: if the model or its device fails.
        """
        model = self._model
        context = self._context(window)  # (1, T'*H'*W', D)
        actions = self._config.actions.apply(window.actions.values)[None]  # (1, T', A)
        states = self._config.states.apply(window.states.values)[None]  # (1, T', S)
        newest = model.config.most_context  # steps
        seen = context[:, -newest * model.grid.tokens_per_step :]  # (1, newest*H'*W', D)
        predicted = model.grid.unflatten(model.predict(seen, actions[:, -newest:], states[:, -newest:]))[0]
        if self._config.forecast_only:
            predicted = predicted[-1:]  # (1, H', W', D)
        wire = self._to_wire(predicted)
        whole = self._to_wire(model.grid.unflatten(context)[0]) if self._config.publish_context else None
        finite = bool(np.isfinite(wire).all()) and (whole is None or bool(np.isfinite(whole).all()))
        return Imagined(wire, whole, finite)

    def _context(self, window: Window) -> torch.Tensor:
        if self._model.config.encoding == "clip":
            return self._encode(window.frames)
        size = self._model.config.stride
        encoded: dict[tuple[int, ...], torch.Tensor] = {}
        units = []
        for first in range(0, len(window.frames), size):
            frames = window.frames[first : first + size]
            key = (window.epoch, *(frame.stamp_ns for frame in frames))
            # One by one and not as a batch: the same tubelet gives the same bits, however many entered with it.
            if key not in encoded:  # a frame that serves several ticks stands in the window more than once
                encoded[key] = self._encoded[key] if key in self._encoded else self._encode(frames)
            units.append(encoded[key])
        self._encoded = encoded
        return torch.cat(units, dim=1)

    def _encode(self, frames: tuple[Frame, ...]) -> torch.Tensor:
        return self._model.encode(torch.from_numpy(clip_of(frames)))

    def _to_wire(self, latents: torch.Tensor) -> NDArray[Any]:
        with failures("copying latents to the host"):
            return latents.to(self._dtype).contiguous().cpu().numpy()
