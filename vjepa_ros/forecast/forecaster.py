"""The model that the parameters name, and one window through it: its forecasts, in the wire's dtype.

Windows in, arrays out; the live node and the offline tools share it. No ROS, no threads, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.devices import failures, imitation, release_memory, use_threads
from vjepa_ros.engine.loading import build_world_model
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import CheckpointError, ConfigError, EngineError
from vjepa_ros.forecast.stopwatch import Stopwatch
from vjepa_ros.forecast.upload import Upload
from vjepa_ros.latents import DTYPES
from vjepa_ros.model.state_model import StateModel
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.window import Window

_Key = tuple[int, ...]  # of what is encoded at once: epoch, and the stamps of its frames
_TORCH_DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float16): torch.float16}


def load_model(config: NodeConfig, on_bytes: Callable[[int, int], None] | None = None) -> WorldModel:
    """The world model, warm. From now on torch computes with as many threads as the configuration says.

    Args:
        config: what the parameters say.
        on_bytes: called now and then with (bytes read, bytes to read); what it raises ends the loading.

    Raises:
        ConfigError: naming the parameter at fault: what the model cannot be built of, loaded from or run on.
    """
    use_threads(config.engine.threads)
    sizes = config.model
    state_model: StateModel | ConfigError | None = config.no_state_change
    if config.state_change is not None:
        state_model = StateModel(config.state_change, sizes.action_dim, sizes.state_dim)
    assert state_model is not None, "one of the two is there"
    try:
        model = build_world_model(sizes, config.weights, config.engine, config.normalization, state_model, on_bytes)
        for windows in sorted({1, len(config.camera.each)}):
            model.warm_up(windows)
        _warm_up_rollout(model, config.stream.horizon)
    except CheckpointError as error:
        raise ConfigError(error.parameter or "checkpoint", str(error)) from error
    except EngineError as error:
        raise ConfigError("device", str(error)) from error
    # What loading and warming up took is free, but stays with this thread; windows are computed in another one.
    release_memory()
    return model


def notices(config: NodeConfig, model: WorldModel) -> list[str]:
    """What people must be told about a model: conventions that were overridden, a dtype that is slow here, weights that
    are not trained, or not used."""
    overridden = [f"override_convention: {warning}" for warning in config.convention_warnings]
    slow = [f"dtype: {said}" for said in [imitation(model.device, model.dtype)] if said]
    return [*overridden, *slow, *model.notes, *([] if model.trained else [model.notice])]


def _warm_up_rollout(model: WorldModel, horizon: int) -> None:
    """Forecast once as far as it will be, so that what is done only once, and want of memory, come now."""
    if horizon == 1:
        return
    model.record_rollout(model.grid.steps, 1, horizon)
    sizes, steps = model.config, model.grid.steps
    context = torch.zeros(1, model.grid.tokens, sizes.latent_dim)
    actions, states = torch.zeros(1, steps - 1, sizes.action_dim), torch.zeros(1, steps, sizes.state_dim)
    with failures("warming up"):
        model.rollout(context, actions, states, torch.zeros(1, horizon, sizes.action_dim)).sum().item()


@dataclass(frozen=True)
class WindowForecast:
    """What the model says about one window.

    Attributes:
        predicted: (steps, H', W', D) in the wire's dtype: the H forecasts, or every output of the predictor and then
            the forecasts after its last one. Either way the last H steps are the forecasts.
        context: (T', H', W', D), the encoder's latents of the window, or None where they are not asked for.
        finite: whether every value is; what is not finite must not be published.
        last_step: (H', W', D), the encoder's latents of the window's last step, in the wire's dtype on the model's
            device.
        stages_ms: how long the parts took: ``encode`` and ``predict``, the copy to the host included.
    """

    predicted: NDArray[Any]
    context: NDArray[Any] | None
    finite: bool
    last_step: torch.Tensor
    stages_ms: Mapping[str, float] = field(default_factory=dict)

    def observed(self) -> NDArray[Any]:
        """(H', W', D), the last step's latents, copied to the host only now: what is published need not wait for it.

        Raises:
            EngineError: if the device fails.
        """
        return _to_host(self.last_step)


@dataclass(frozen=True)
class SeenWindow:
    """A window as the model sees it: where rollouts start from.

    Attributes:
        window: the window.
        context: (1, T'*H'*W', D) float32, layer-normalised, on the model's device.
    """

    window: Window
    context: torch.Tensor

    @property
    def past_actions(self) -> NDArray[np.float64]:
        """(1, T'-1, A), as they were read: those that led from each step to the next one."""
        return self.window.actions.values[None, :-1]

    @property
    def states(self) -> NDArray[np.float64]:
        """(1, T', S), as they were read."""
        return self.window.states.values[None]


class Forecaster:
    """Encodes windows and predicts what follows them.

    In ``tubelet`` and ``frame_repeat`` each tubelet or frame is encoded alone, so its latents serve every window that
    it is in: they are kept, and only what has entered is encoded.

    Args:
        model: the world model.
        config: what is published, and in which dtype.
        keeps_context: whether the encoder's latents are wanted too; without it, as the configuration says.

    Attributes:
        last: the last window that went through, None before the first.
    """

    def __init__(self, model: WorldModel, config: NodeConfig, *, keeps_context: bool | None = None) -> None:
        self._model = model
        self._keeps_context = config.latents.publish_context if keeps_context is None else keeps_context
        self._upload = Upload(model.device, model.dtype)
        self._encoded: dict[_Key, torch.Tensor] = {}
        self.last: SeenWindow | None = None
        self.change(config)

    def change(self, config: NodeConfig) -> None:
        """Publish as another configuration says, from the next window on: its steps, horizon and dtype.

        A window that another thread is at may be of either; an epoch should begin with it.
        """
        self._horizon = config.stream.horizon
        self._forecast_only = config.latents.forecast_only
        self._dtype = _TORCH_DTYPES[DTYPES[config.latents.dtype]]

    def __call__(self, window: Window) -> WindowForecast:
        """The forecasts for a window.

        In ``clip`` the encoder attends over the whole window in both directions, so the predictor's outputs 0..T'-2
        are about tubelets that it has seen already; only output T'-1 looks ahead (rule 8). The predictor gets the
        newest ``most_context`` steps of the window, no more than it was trained with.

        Raises:
            EngineError: if the model or its device fails.
        """
        return together([(self, window)])[0]

    def see(self, window: Window) -> SeenWindow:
        """The window as the model sees it; nothing is predicted.

        Raises:
            EngineError: if the model or its device fails.
        """
        return _see([(self, window)])[0]

    def _settle(self, seen: SeenWindow, predicted: torch.Tensor, laps_ms: Mapping[str, float]) -> WindowForecast:
        """What is said of a window, whose predictions (steps, H', W', D) are on the host."""
        self.last, wire = seen, predicted.numpy()
        steps = self._model.grid.unflatten(seen.context)[0]  # (T', H', W', D)
        context = _to_host(steps.to(self._dtype)) if self._keeps_context else None
        finite = bool(np.isfinite(wire).all()) and (context is None or bool(np.isfinite(context).all()))
        return WindowForecast(wire, context, finite, steps[-1].to(self._dtype), laps_ms)

    def _predict(self, seen: Sequence[SeenWindow]) -> torch.Tensor:
        """(B, steps, H', W', D): what is published of B windows."""
        if self._forecast_only and self._horizon > 1:
            return self._roll_out(seen)
        model, most = self._model, self._model.config.most_context  # steps
        context = _joined([one.context[:, -most * model.grid.tokens_per_step :] for one in seen])  # (B, most*H'*W', D)
        actions = np.concatenate([one.window.actions.values[None, -most:] for one in seen])
        states = np.concatenate([one.states[:, -most:] for one in seen])
        outputs = model.grid.unflatten(model.predict(context, actions, states))
        if self._horizon == 1:
            return outputs[:, -1:] if self._forecast_only else outputs  # (B, 1 or most, H', W', D)
        return torch.cat([outputs[:, :-1], self._roll_out(seen)], dim=1)  # the last output is the first forecast

    def _roll_out(self, seen: Sequence[SeenWindow]) -> torch.Tensor:
        """(B, H, H', W', D): the forecasts, the first by a window's last action, the others by its future ones."""
        grid, windows = self._model.grid, [one.window for one in seen]
        future = np.stack([np.concatenate([w.actions.values[-1:], w.future.values])[None] for w in windows])
        past, states = np.concatenate([one.past_actions for one in seen]), np.concatenate([one.states for one in seen])
        context = _joined([one.context for one in seen])
        forecasts = self._model.rollout(context, past, states, future)[:, 0]  # of (B, 1, H, H'*W', D)
        return forecasts.reshape(len(seen), -1, grid.rows, grid.cols, forecasts.shape[-1])

    def _units(self, window: Window) -> tuple[dict[_Key, tuple[Frame, ...]], list[_Key]]:
        """What of a window is encoded at once: those of it that are not encoded yet, and the keys of all, in order."""
        size = len(window.frames) if self._model.config.way.is_whole else self._model.config.stride
        missing: dict[_Key, tuple[Frame, ...]] = {}
        keys = []
        for first in range(0, len(window.frames), size):
            frames = window.frames[first : first + size]
            keys.append((window.epoch, *(frame.stamp_ns for frame in frames)))
            if keys[-1] not in self._encoded:  # a frame that serves several ticks stands in the window more than once
                missing[keys[-1]] = frames
        return missing, keys

    def _keep(self, keys: Sequence[_Key], new: Mapping[_Key, torch.Tensor]) -> torch.Tensor:
        """The context (1, T'*H'*W', D) of these units, which alone are kept for the next window."""
        encoded = {key: new[key] if key in new else self._encoded[key] for key in keys}
        self._encoded = {} if self._model.config.way.is_whole else encoded
        return _joined([encoded[key] for key in keys], dim=1)


def together(pairs: Sequence[tuple[Forecaster, Window]]) -> list[WindowForecast]:
    """The forecasts for windows of several cameras, in one call of the model that their forecasters share.

    What each window gives is what it gives alone, but for rounding: products of more rows may be added up in another
    order.

    Args:
        pairs: a window with its camera's forecaster; each forecaster once, and all configured alike.

    Raises:
        EngineError: if the model or its device fails.
    """
    first = pairs[0][0]
    with failures("forecasting"):  # what torch raises between the model's own calls too
        watch = Stopwatch(first._model.device)
        seen = _see(pairs)
        watch.lap("encode")
        predicted = torch.from_numpy(_to_host(first._predict(seen).to(first._dtype)))
        watch.lap("predict")
        laps = watch.laps_ms
        # Copies where there are several, because a view would keep all of the array that it is a part of.
        own = [predicted[0]] if len(seen) == 1 else [one.clone() for one in predicted]
        found = zip(pairs, seen, own, strict=True)
        return [forecaster._settle(one, on_host, laps) for (forecaster, _), one, on_host in found]


def _see(pairs: Sequence[tuple[Forecaster, Window]]) -> list[SeenWindow]:
    """The windows as the model sees them.

    Units of one window are encoded one by one and not as a batch: the same tubelet gives the same bits, however many
    entered with it. Those of several cameras go together, the first of each, then the second of each.
    """
    units = [forecaster._units(window) for forecaster, window in pairs]
    new: list[dict[_Key, torch.Tensor]] = [{} for _ in pairs]
    for turn in range(max(len(missing) for missing, _ in units)):
        places = [place for place, (missing, _) in enumerate(units) if len(missing) > turn]
        keys = [list(units[place][0])[turn] for place in places]
        clips = [
            pairs[place][0]._upload(units[place][0][key]) for place, key in zip(places, keys, strict=True)
        ]  # of (1, 3, N, H, W)
        latents = pairs[0][0]._model.encode(_joined(clips))
        for row, (place, key) in enumerate(zip(places, keys, strict=True)):
            new[place][key] = latents if len(places) == 1 else latents[row : row + 1].clone()
    found = zip(pairs, units, new, strict=True)
    return [SeenWindow(window, forecaster._keep(keys, made)) for (forecaster, window), (_, keys), made in found]


def _joined(tensors: Sequence[torch.Tensor], dim: int = 0) -> torch.Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), dim=dim)


def _to_host(latents: torch.Tensor) -> NDArray[Any]:
    with failures("copying latents to the host"):
        return latents.contiguous().cpu().numpy()
