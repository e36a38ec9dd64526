"""``~/latent_image`` and ``~/error_image``: pictures for people, made only while somebody subscribes.

They come after everything else of their window, and whatever goes wrong with them, latents go on. All of it runs in
the worker's thread.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vjepa_ros.forecast.outcome import Outcome
from vjepa_ros.forecast.prediction_error import PredictionErrors
from vjepa_ros.images.preprocess import pixels
from vjepa_ros.pictures.colours import Colours, Picture, side_by_side
from vjepa_ros.pictures.heat import Heat
from vjepa_ros.ros.publishers import Publishers
from vjepa_ros.stream.frames import Report


class PictureTopics:
    """Draws what is wanted, in colours and on a scale that stay from window to window.

    Args:
        publishers: ``latent_image`` and ``error_image`` among them.
        is_alive: whether there is still a middleware to publish by.
        report: told of a picture that failed: (topic, reason, detail).
    """

    def __init__(self, publishers: Publishers, is_alive: Callable[[], bool], report: Report) -> None:
        self._publishers = publishers
        self._is_alive = is_alive
        self._report = report
        self._colours, self._heat = Colours(), Heat()

    def publish(self, outcome: Outcome, errors: PredictionErrors) -> None:
        """The pictures of a window, as far as somebody wants to see them.

        Args:
            outcome: what was published of it.
            errors: what it was compared with last.
        """
        self._send("latent_image", outcome, lambda: self._latents(outcome))
        self._send("error_image", outcome, lambda: self._errors(outcome, errors))

    def _send(self, name: str, outcome: Outcome, draw: Callable[[], Picture | None]) -> None:
        try:
            picture = draw() if self._publishers.is_wanted(name) else None
            if picture is not None:
                predicted = outcome.predicted
                self._publishers.publish(name, picture, predicted.stamp_ns, predicted.frame_id)
        # A picture is for people: whatever is wrong with it, latents go on. A broken device fails at the next window.
        except Exception as error:  # noqa: BLE001
            if self._is_alive():  # else a signal has closed the middleware in the meantime
                self._report(name, "failed", f"window {outcome.window.number}: {error}")

    def _latents(self, outcome: Outcome) -> Picture:
        """The newest step, and the forecasts right of it."""
        steps = np.concatenate([outcome.forecast.observed()[None], outcome.forecasts])  # (1 + H, H', W', D)
        return side_by_side(self._colours(steps))

    def _errors(self, outcome: Outcome, errors: PredictionErrors) -> Picture | None:
        """What the encoder saw last, and over it where that was not what had been forecast; None without a forecast."""
        window, compared = outcome.window, errors.compared
        if compared is None or compared.stamp_ns != window.stamp_ns:  # of an older one, where comparing failed
            return None
        return self._heat(pixels(window.frames[-1].image), compared.by_place)
