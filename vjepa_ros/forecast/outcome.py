"""What becomes of a window once the model has computed it: the node sends it, a replay writes it.

Windows and forecasts in, plain values and arrays out; it knows no messages, no threads and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.forecast.forecaster import WindowForecast
from vjepa_ros.forecast.info import window_info
from vjepa_ros.forecast.prediction_error import PredictionError, PredictionErrors
from vjepa_ros.latents import Latents
from vjepa_ros.stream.window import Window

Report = Callable[[str, str, str], None]  # (topic, reason, detail)


@dataclass(frozen=True)
class Outcome:
    """What is sent or written of a window.

    Attributes:
        window: the window.
        forecast: what the model says about it.
        predicted: what is published as ``predicted_latents``.
        context: what is published as ``context_latents``, None where it is not.
        info_id: of the ``latent_info`` that goes with it.
        sources: where actions and states come from.
        compute_ms: how long the model took.
        horizon: how many forecasts there are.
    """

    window: Window
    forecast: WindowForecast
    predicted: Latents
    context: Latents | None
    info_id: str
    sources: tuple[str, str]
    compute_ms: float
    horizon: int

    @property
    def forecasts(self) -> NDArray[Any]:
        """(H, H', W', D) of ``predicted``: forecasts 1 to H."""
        return self.forecast.predicted[-self.horizon :]

    def values(self) -> dict[str, Any]:
        """``window_info``, by key; made when it is asked for, since the latents go first."""
        return window_info(self.info_id, self.window, self.compute_ms, self.sources)


class Outcomes:
    """Makes outcomes, in the order of the windows.

    Args:
        config: the node's.
        info: ``latent_info``.
        sources: where actions and states come from: their topics.
        report: told of a window of which nothing is published: (topic, reason, detail).

    Attributes:
        not_finite: windows whose values were not, so that nothing of them is published.
        errors: how far forecasts were from what was then observed.
    """

    def __init__(self, config: NodeConfig, info: Mapping[str, Any], sources: tuple[str, str], report: Report) -> None:
        self._horizon = config.stream.horizon
        self._publishes_context = config.latents.publish_context
        self._info_id: str = info["info_id"]
        self._sources = sources
        self._report = report
        self.not_finite = 0
        self.errors = PredictionErrors(config.stream)

    def of(self, window: Window, forecast: WindowForecast, compute_ms: float) -> Outcome | None:
        """What is published of a window; None where that is nothing.

        Args:
            window: the window.
            forecast: what the model says about it.
            compute_ms: how long that took.
        """
        if not forecast.finite:
            self.not_finite += 1
            detail = f"window {window.number} gave values that are not finite: nothing of it is published"
            self._report("model", "not_finite", detail)
            return None
        frame_id = window.frames[-1].frame_id
        predicted = Latents(forecast.predicted, window.stamp_ns, frame_id)
        context = None
        if self._publishes_context and forecast.context is not None:
            context = Latents(forecast.context, window.stamp_ns, frame_id)
        sources, horizon = self._sources, self._horizon
        return Outcome(window, forecast, predicted, context, self._info_id, sources, compute_ms, horizon)

    def error(self, outcome: Outcome) -> PredictionError | None:
        """How far an earlier forecast was from what this window observes: asked after its own forecasts are out.

        Raises:
            EngineError: if the device fails.
        """
        return self.errors.add(outcome.window, outcome.forecasts, outcome.forecast.observed())
