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
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.presets import MODEL_PARAMETERS
from vjepa_ros.devices import failures, release_memory
from vjepa_ros.engine import WorldModel
from vjepa_ros.errors import CheckpointError, ConfigError, EngineError
from vjepa_ros.forecast.upload import Upload
from vjepa_ros.latents import DTYPES
from vjepa_ros.stream.frame import Frame
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
            fast=config.fast,
            compile_graphs=config.compile_graphs,
            **model_parameters,
        )
        model.warm_up()
        _warm_up_rollout(model, config)
    except CheckpointError as error:
        raise ConfigError("checkpoint", str(error)) from error
    except EngineError as error:
        raise ConfigError("device", str(error)) from error
    # What loading and warming up took is free, but stays with this thread; windows are computed in another one.
    release_memory()
    return model


def _warm_up_rollout(model: WorldModel, config: NodeConfig) -> None:
    """Forecast once as far as it will be, so that what is done only once, and want of memory, come now."""
    if config.stream.horizon == 1:
        return
    m, steps, ahead = config.model, model.grid.steps, config.stream.horizon
    context = torch.zeros(1, model.grid.tokens, m.encoder_dim)
    actions, states = torch.zeros(1, steps - 1, m.action_dim), torch.zeros(1, steps, m.state_dim)
    future = torch.zeros(1, ahead, m.action_dim)
    with failures("warming up"):
        model.rollout(context, actions, states, future, state_model=config.state_model).sum().item()


@dataclass(frozen=True)
class Imagined:
    """What the model says about one window.

    Attributes:
        predicted: (steps, H', W', D) in the wire's dtype: the H forecasts, or every output of the predictor and then
            the forecasts after its last one. Either way the last H steps are the forecasts.
        context: (T', H', W', D), the encoder's latents, or None where they are not asked for.
        finite: whether every value is; what is not finite must not be published.
        newest: (H', W', D), the encoder's latents of the newest step, in the wire's dtype on the model's device.
    """

    predicted: NDArray[Any]
    context: NDArray[Any] | None
    finite: bool
    newest: torch.Tensor

    def observed(self) -> NDArray[Any]:
        """(H', W', D), the newest step's latents, copied to the host only now: what is published need not wait for it.

        Raises:
            EngineError: if the device fails.
        """
        return _to_host(self.newest)


@dataclass(frozen=True)
class SeenWindow:
    """A window as the model sees it: where rollouts start from.

    Attributes:
        window: the window.
        context: (1, T'*H'*W', D) float32, layer-normalised, on the model's device.
        actions: (1, T', A) float64, normalised.
        states: (1, T', S) float64, normalised.
    """

    window: Window
    context: torch.Tensor
    actions: NDArray[np.float64]
    states: NDArray[np.float64]


class Imagination:
    """Encodes windows and predicts what follows them.

    In ``tubelet`` and ``frame_repeat`` each tubelet or frame is encoded alone, so its latents serve every window that
    it is in: they are kept, and only what has entered is encoded.

    Args:
        model: the world model.
        config: the normalisation, what is published, and in which dtype.

    Attributes:
        newest: the last window that went through, None before the first.
    """

    def __init__(self, model: WorldModel, config: NodeConfig) -> None:
        self._model = model
        self._config = config
        self._dtype = _TORCH_DTYPES[DTYPES[config.wire_encoding]]
        self._upload = Upload(model.device, model.dtype)
        self._encoded: dict[tuple[int, ...], torch.Tensor] = {}
        self.newest: SeenWindow | None = None

    def __call__(self, window: Window) -> Imagined:
        """The forecasts for a window.

        In ``clip`` the encoder attends over the whole window in both directions, so the predictor's outputs 0..T'-2
        are about tubelets that it has seen already; only output T'-1 looks ahead (rule 8). The predictor gets the
        newest ``most_context`` steps of the window, no more than it was trained with.

        Raises:
            EngineError: if the model or its device fails.
        """
        with failures("imagining"):  # what torch raises between the model's own calls too
            return self._imagined(window)

    def _imagined(self, window: Window) -> Imagined:
        model = self._model
        context = self._context(window)  # (1, T'*H'*W', D)
        actions = self._config.actions.apply(window.actions.values)[None]  # (1, T', A)
        states = self._config.states.apply(window.states.values)[None]  # (1, T', S)
        wire = _to_host(self._predict(context, actions, states, window).to(self._dtype))
        self.newest = SeenWindow(window, context, actions, states)
        seen = model.grid.unflatten(context)[0]  # (T', H', W', D)
        context_wire = _to_host(seen.to(self._dtype)) if self._config.publish_context else None
        finite = bool(np.isfinite(wire).all()) and (context_wire is None or bool(np.isfinite(context_wire).all()))
        return Imagined(wire, context_wire, finite, seen[-1].to(self._dtype))

    def _predict(
        self, context: torch.Tensor, actions: NDArray[np.float64], states: NDArray[np.float64], window: Window
    ) -> torch.Tensor:
        """(steps, H', W', D): what is published."""
        forecast_only, horizon = self._config.forecast_only, self._config.stream.horizon
        if forecast_only and horizon > 1:
            return self._roll_out(context, actions, states, window)
        model, newest = self._model, self._model.config.most_context  # steps
        context_seen = context[:, -newest * model.grid.tokens_per_step :]  # (1, newest*H'*W', D)
        outputs = model.grid.unflatten(model.predict(context_seen, actions[:, -newest:], states[:, -newest:]))[0]
        if horizon == 1:
            return outputs[-1:] if forecast_only else outputs  # (1 or newest, H', W', D)
        forecasts = self._roll_out(context, actions, states, window)
        return torch.cat([outputs[:-1], forecasts])  # the last output is the first forecast

    def _roll_out(
        self, context: torch.Tensor, actions: NDArray[np.float64], states: NDArray[np.float64], window: Window
    ) -> torch.Tensor:
        """(H, H', W', D): the forecasts, the first by the window's last action, the others by its future ones."""
        future = np.concatenate([actions[:, -1:], self._config.actions.apply(window.future.values)[None]], axis=1)
        forecasts = self._model.rollout(
            context, actions[:, :-1], states, future, state_model=self._config.state_model
        )  # (1, H, H'*W', D)
        grid = self._model.grid
        return forecasts.reshape(-1, grid.rows, grid.cols, forecasts.shape[-1])

    def _context(self, window: Window) -> torch.Tensor:
        if self._model.config.way.is_whole:
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
        return self._model.encode(self._upload(frames))


def _to_host(latents: torch.Tensor) -> NDArray[Any]:
    with failures("copying latents to the host"):
        return latents.contiguous().cpu().numpy()
