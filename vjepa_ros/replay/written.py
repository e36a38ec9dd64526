"""A window as a replay has written it, for whoever makes pictures of a replay. It knows no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vjepa_ros.forecast.outcome import Outcome
from vjepa_ros.forecast.prediction_error import Compared, PredictionError
from vjepa_ros.stream.window import Window
from vjepa_ros.units import S_TO_NS


@dataclass(frozen=True)
class Written:
    """A window that has been written.

    Attributes:
        window: the window.
        received_ns: when the message that completed it was recorded.
        begun_ns: when the recording's first message was.
        outcome: what the model says about it; None where no model runs.
        error: how far an earlier forecast was from what it observes; None where there was none.
        compared: that forecast and what was observed; None where ``error`` is.
    """

    window: Window
    received_ns: int
    begun_ns: int
    outcome: Outcome | None
    error: PredictionError | None
    compared: Compared | None

    @property
    def at_s(self) -> float:
        """Seconds since the recording's first message."""
        return (self.received_ns - self.begun_ns) / S_TO_NS


class Watcher(Protocol):
    """Is shown every window of a replay, in order."""

    def open(self) -> None:
        """Called before the first one, once the folder of the outputs is there."""

    def add(self, written: Written) -> None:
        """Take one in."""
