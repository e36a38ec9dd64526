"""From stamped frames, commands and states to windows: sampling, order, readiness (rules 2 to 6).

The windows depend on the contents and stamps of what is put in, not on its interleaving, as long as nothing is late.
It knows no messages, no ROS, no model, no clock and no threads: whoever owns it calls it from one thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config import StreamConfig, to_ns
from vjepa_ros.stream.align import Signal, Steps, Vector, read_steps
from vjepa_ros.stream.counters import Counters
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.sampler import Order, Sampler

# Commands and states are kept this long before the newest one even when no frame asks for them, so that a camera that
# lags or stalls neither loses them nor fills the memory.
_SIGNAL_HISTORY_NS = to_ns(10.0)


@dataclass(frozen=True)
class Window:
    """N frames that are encoded together, with the actions and states at their steps.

    Attributes:
        epoch: rises with every reset; a result of an older epoch is never published.
        number: counts the windows that ended in this epoch, from 0; a skipped one leaves a hole.
        frames: the N sampled frames; one frame may stand twice.
        step_stamps_ns: (T',) the times at which actions and states were read.
        actions, states: their values at those times.
    """

    epoch: int
    number: int
    frames: tuple[Frame, ...]
    step_stamps_ns: tuple[int, ...]
    actions: Steps
    states: Steps

    @property
    def stamp_ns(self) -> int:
        """Stamp of the newest frame."""
        return self.frames[-1].stamp_ns

    @property
    def held(self) -> int:
        """Values that were missing and were held or replaced by zeros."""
        return self.actions.missing + self.states.missing

    def clip(self) -> NDArray[np.float32]:
        """The frames as one video, (1, 3, N, H, W) float32."""
        return np.stack([frame.image for frame in self.frames], axis=1)[None]


@dataclass(frozen=True)
class _Ended:
    """A window whose frames are complete and whose actions and states may still be on their way."""

    number: int
    frames: tuple[Frame, ...]
    step_stamps_ns: tuple[int, ...]


class WindowStream:
    """Turns what arrives into windows; every ``add`` returns the windows that it completed, in order.

    Args:
        config: the rules' parameters.
        counters: where everything that happens is counted.
    """

    def __init__(self, config: StreamConfig, counters: Counters | None = None) -> None:
        self.config = config
        self.counters = counters if counters is not None else Counters()
        self.epoch = 0
        self._max_wait_ns = to_ns(config.max_wait_s)
        self._jump_back_ns = to_ns(config.jump_back_s)
        self._history_ns = _SIGNAL_HISTORY_NS + config.num_frames * to_ns(config.max_gap_s)
        self._sampler: Sampler[Frame] = Sampler(config.frame_rate_hz, to_ns(config.max_gap_s), self._jump_back_ns)
        self._commands = Signal(self._jump_back_ns)
        self._states = Signal(self._jump_back_ns)
        self._clear()

    def _clear(self) -> None:
        self._sampler.reset()
        self._sampled: deque[Frame] = deque(maxlen=self.config.num_frames)
        self._until_end = self.config.num_frames  # sampled frames still to come before a window ends
        self._number = 0
        self._ended: deque[_Ended] = deque()
        self._resolved_ns: int | None = None  # the latest time for which values were given out

    @property
    def newest_frame_ns(self) -> int | None:
        """Stamp of the newest frame of this epoch, None before the first."""
        return self._sampler.newest_ns

    def reset(self) -> None:
        """Forget everything and start a new epoch."""
        self._start_epoch(Signal.clear)

    def _start_epoch(self, forget: Callable[[Signal], None]) -> None:
        self.epoch += 1
        self.counters.resets += 1
        self._clear()
        forget(self._commands)
        forget(self._states)

    def time_jumped_back(self, now_ns: int) -> None:
        """The clock was set back to ``now_ns``: reset, unless the frames have followed already."""
        if self.newest_frame_ns is not None and self.newest_frame_ns > now_ns:
            self._start_epoch(Signal.start_epoch)
        for signal in (self._commands, self._states):
            signal.forget_after(now_ns + self._jump_back_ns)

    def add_frame(self, stamp_ns: int, load: Callable[[], Frame]) -> list[Window]:
        """Take in a frame.

        Args:
            stamp_ns: its sensor stamp.
            load: gives the decoded and preprocessed frame; called only if the stamp is in order. What it raises goes
                through and leaves the stream as it was.
        """
        order = self._sampler.order(stamp_ns)
        if order is Order.OUT_OF_ORDER:
            self.counters.frames_out_of_order += 1
            return []
        frame = load()
        if order is Order.JUMP_BACK:
            self._start_epoch(Signal.start_epoch)
        elif order is Order.GAP:
            self.counters.gaps += 1
            self._sampled.clear()
            self._until_end = self.config.num_frames
        self.counters.frames += 1
        for sampled in self._sampler.take(frame):
            self._sample(sampled)
        return self._resolve()

    def _sample(self, frame: Frame) -> None:
        self.counters.frames_sampled += 1
        self.counters.frames_reused += bool(self._sampled) and self._sampled[-1] is frame
        self._sampled.append(frame)
        self._until_end -= 1
        if self._until_end == 0:
            self._until_end = self.config.hop
            frames = tuple(self._sampled)
            times_ns = tuple(frames[index].stamp_ns for index in self.config.step_frames)
            self._ended.append(_Ended(self._number, frames, times_ns))
            self._number += 1

    def add_command(self, stamp_ns: int, value: Vector) -> list[Window]:
        """Take in a command, (A,) float64 and finite."""
        self.counters.commands += 1
        self.counters.late_commands += self._insert(self._commands, stamp_ns, value)
        return self._resolve()

    def add_state(self, stamp_ns: int, value: Vector) -> list[Window]:
        """Take in a state, (S,) float64 and finite."""
        self.counters.states += 1
        self.counters.late_states += self._insert(self._states, stamp_ns, value)
        return self._resolve()

    def _insert(self, signal: Signal, stamp_ns: int, value: Vector) -> int:
        """Insert a value; how many are now known to be late."""
        if signal.jumps_back(stamp_ns):
            # The sender's time has jumped. If the frames jumped first, what it sent from before the jump in the
            # meantime lies far ahead of them and would stand in for values that are still to come.
            if self.newest_frame_ns is None:
                signal.clear()
            else:
                signal.forget_after(self.newest_frame_ns + self._jump_back_ns)
        if not signal.insert(stamp_ns, value):
            self.counters.duplicates += 1
            return 0
        signal.undecided_late += self._resolved_ns is not None and stamp_ns <= self._resolved_ns
        oldest_ns = stamp_ns - self._history_ns
        if signal.awaits_reset:
            signal.forget_before(oldest_ns)
            return 0
        signal.forget_before(max(oldest_ns, self._oldest_needed_ns()))
        late, signal.undecided_late = signal.undecided_late, 0
        return late

    def _oldest_needed_ns(self) -> int:
        """The earliest time that a window can still ask about; 0 before the first frame."""
        oldest = self._ended[0].frames if self._ended else self._sampled
        return oldest[0].stamp_ns if oldest else 0

    def _resolve(self) -> list[Window]:
        """The windows that have become ready, in order (rule 4)."""
        windows = []
        while self._ended and self._is_ready(self._ended[0].step_stamps_ns[-1]):
            ended = self._ended.popleft()
            self._resolved_ns = ended.step_stamps_ns[-1]
            actions = read_steps(self._commands, self.config.commands, ended.step_stamps_ns)
            states = read_steps(self._states, self.config.states, ended.step_stamps_ns)
            self.counters.missing_commands += actions.missing
            self.counters.missing_states += states.missing
            if not (actions.usable and states.usable):
                self.counters.windows_skipped += 1
                continue
            self.counters.windows += 1
            windows.append(Window(self.epoch, ended.number, ended.frames, ended.step_stamps_ns, actions, states))
        return windows

    def _is_ready(self, last_needed_ns: int) -> bool:
        newest_ns = self.newest_frame_ns
        if newest_ns is not None and newest_ns - last_needed_ns >= self._max_wait_ns:
            return True
        return all(
            signal.newest_ns is not None and signal.newest_ns >= last_needed_ns
            for signal in (self._commands, self._states)
        )
