"""A window, and why an epoch of them began: what passes from the streams to whoever computes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.geometry import Vector
from vjepa_ros.stream.actions import Steps
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.future import Future


class EpochCause(Enum):
    """Why an epoch began, in words for the log."""

    START = "the start"
    ASKED = "asked to"
    STAMPS = "time jumped back in the stamps"
    CLOCK = "/clock jumped back"
    DESCRIPTION = "another robot description"
    EPISODE = "another episode of the recording"


@dataclass(frozen=True)
class Window:
    """N frames that are encoded together, with the actions and states at their steps.

    Attributes:
        epoch: rises with every reset; a result of an older epoch is never published.
        number: counts the windows that ended in this epoch, from 0; a skipped one leaves a hole.
        frames: the N sampled frames; one frame may stand twice.
        step_stamps_ns: (T',) the times at which actions and states were read.
        actions, states: their values at those times.
        late: messages that had come too late, in all, when the window was resolved.
        future: the actions after its last one.
        origin: (A,) what was commanded at the step before the last, to which the last action is added, where that is
            how actions are made and no states say where the robot is (``StreamConfig.has_origin``); else None.
    """

    epoch: int
    number: int
    frames: tuple[Frame, ...]
    step_stamps_ns: tuple[int, ...]
    actions: Steps
    states: Steps
    late: int
    future: Future
    origin: Vector | None = None

    @property
    def stamp_ns(self) -> int:
        """Stamp of the newest frame, as its message has it."""
        return self.frames[-1].header_ns

    @property
    def period_ns(self) -> float:
        """The time from one sampled frame to the next, in the mean; 0 where one frame is all there is."""
        return (self.frames[-1].stamp_ns - self.frames[0].stamp_ns) / max(1, len(self.frames) - 1)

    @property
    def clip(self) -> NDArray[np.float32]:
        """(1, 3, N, H, W) float32: its frames as one video, preprocessed, as the encoder wants it."""
        return np.stack([frame.image for frame in self.frames], axis=1)[None]

    @property
    def held(self) -> int:
        """Values that were missing and were held or replaced by zeros."""
        return self.actions.missing + self.states.missing

    def follows(self, before: Window, stride: int) -> bool:
        """Whether it ends one step after another window, with no gap, no reset and no skipped window in between.

        Args:
            before: the one that came before it, of a stream whose ``hop`` is a step, with two steps or more.
            stride: sampled frames per step.
        """
        return (self.epoch, self.number) == (before.epoch, before.number + 1) and (
            self.frames[-1 - stride].stamp_ns == before.frames[-1].stamp_ns
        )
