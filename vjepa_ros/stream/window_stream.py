"""From stamped frames, commands and states to windows: sampling, order, readiness (rules 2 to 6).

The windows depend on the contents and stamps of what is put in, not on its interleaving, as long as nothing is late.
It knows no messages, no ROS, no model, no clock and no threads: whoever owns it calls it from one thread.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.geometry import Vector
from vjepa_ros.stream.actions import StepTimes, read_actions, read_origin, read_states
from vjepa_ros.stream.align import PoseReader, Reader, SampleReader, TrajectoryReader
from vjepa_ros.stream.clock_jump import ClockJump
from vjepa_ros.stream.counters import Counters
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.future import read_future
from vjepa_ros.stream.joint_signal import JointSignal, Part
from vjepa_ros.stream.sampler import Order, Sampler
from vjepa_ros.stream.window import EpochCause, Window
from vjepa_ros.units import to_ns


@dataclass(frozen=True)
class _Ended:
    """A window whose frames are complete and whose actions and states may still be on their way."""

    number: int
    frames: tuple[Frame, ...]
    times: StepTimes


def _as_it_is(pose: Vector) -> Vector:
    return pose


class WindowStream:
    """Turns what arrives into windows; every ``add`` returns the windows that it completed, in order.

    Args:
        config: the rules' parameters.
        counters: where everything that happens is counted.
        pose: makes the arm's pose, six numbers, of what commands and states are, where they are not poses already.
        max_signal_bytes: kept of each signal at most.

    Attributes:
        epoch: rises with every reset.
        epoch_cause: why the current one began.
    """

    def __init__(
        self,
        config: StreamConfig,
        counters: Counters | None = None,
        *,
        pose: Callable[[Vector], Vector] = _as_it_is,
        max_signal_bytes: float = math.inf,
    ) -> None:
        self.config = config
        self.counters = counters if counters is not None else Counters()
        self.epoch = 0
        self.epoch_cause = EpochCause.START
        self._max_wait_ns = to_ns(config.max_wait_s)
        self._jump_back_ns = to_ns(config.jump_back_s)
        self._margin_ns = (config.stride + 1) * to_ns(config.max_gap_s)  # of the step before a window's first
        self._sampler: Sampler[Frame] = Sampler(config.frame_rate_hz, to_ns(config.max_gap_s), self._jump_back_ns)
        lead = int(config.reads_measured_commands)  # the points of a trajectory begin with their time
        self._commands = JointSignal(self._jump_back_ns, lead, max_signal_bytes)
        self._states, self._measured, self._gripper = (
            JointSignal(self._jump_back_ns, max_bytes=max_signal_bytes) for _ in range(3)
        )
        self._signals = (self._commands, self._states, self._measured, self._gripper)
        self._acts = self._states if config.measured_actions else self._commands  # what actions are made of
        self._pose = pose
        self._make_readers()
        self._clear()

    def change(self, config: StreamConfig) -> None:
        """Go by other ages and another horizon from the next window on; an epoch should begin with it.

        Args:
            config: differs in ``max_wait_s``, ``horizon`` and the timeouts of signals alone.
        """
        self.config = config
        self._max_wait_ns = to_ns(config.max_wait_s)
        self._make_readers()

    def _make_readers(self) -> None:
        config, pose = self.config, self._pose
        self._read_states: Reader = SampleReader(self._states, config.states)
        self._read_commands: Reader = SampleReader(self._acts, config.commands)
        if config.reads_measured_commands:
            # Before a trajectory's first point the measured values of its joints stand in; they are read like states.
            alike = replace(config.commands, alignment=config.states.alignment, timeout_s=config.states.timeout_s)
            measured = SampleReader(self._measured, alike)
            self._read_commands = TrajectoryReader(self._commands, config.commands, measured)
        if config.pose.is_made_here:
            gripper = SampleReader(self._gripper, config.states) if config.pose.has_gripper else None
            self._read_states = PoseReader(self._read_states, pose, gripper)
            self._read_commands = PoseReader(self._read_commands, pose, gripper)

    def _clear(self) -> None:
        self._sampler.reset()
        self._sampled: deque[Frame] = deque(maxlen=self.config.num_frames)
        self._until_end = self.config.num_frames  # sampled frames still to come before a window ends
        self._number = 0
        self._first_ns: int | None = None  # stamp of the first frame of this epoch
        self._stale_ns: tuple[int, int] | None = None  # frames stamped in (after, until] are from before a jump
        self._ended: deque[_Ended] = deque()

    @property
    def newest_frame_ns(self) -> int | None:
        """Stamp of the newest frame of this epoch, None before the first."""
        return self._sampler.newest_ns

    @property
    def unresolved(self) -> int:
        """Windows whose frames are complete and that still wait for commands or states."""
        return len(self._ended)

    def reset(self, cause: EpochCause = EpochCause.ASKED) -> None:
        """Forget everything and start a new epoch."""
        self._start_epoch(cause, JointSignal.clear)

    def _start_epoch(
        self, cause: EpochCause, forget: Callable[[JointSignal], None], *, keeps_frames: bool = False
    ) -> None:
        self.epoch += 1
        self.epoch_cause = cause
        self.counters.resets += 1
        if not keeps_frames:
            self.counters.windows_reset += len(self._ended)
            self._clear()
        for signal in self._signals:
            forget(signal)

    def has_overtaken(self, delta_ns: int, before_ns: int) -> bool:
        """Whether all that this epoch has taken in is of the time after a jump of the clock: it came before the clock
        that it belongs to, and the jump is none for it.

        Args:
            delta_ns, before_ns: as in :meth:`time_jumped_back`.
        """
        new_time_ns = ClockJump(delta_ns, before_ns, self._jump_back_ns).new_time_ns
        return self._frames_lie_within(*new_time_ns) and all(s.lies_within(*new_time_ns) for s in self._signals)

    def _frames_lie_within(self, from_ns: int, until_ns: int) -> bool:
        newest_ns = self.newest_frame_ns
        return self._first_ns is None or newest_ns is None or (from_ns <= self._first_ns and newest_ns <= until_ns)

    def time_jumped_back(self, delta_ns: int, before_ns: int | None = None) -> None:
        """The clock was set back: start a new epoch, and expect no older frames in it.

        What is stamped at or near where the clock went has overtaken the clock and is of the new time already: where
        all frames of this epoch are, they go on in the new one, with the commands and states that are too.

        Args:
            delta_ns: by how much the clock was set, a negative number.
            before_ns: what it said before; without it, what the newest frame says.
        """
        newest_ns = self.newest_frame_ns
        if before_ns is None:
            before_ns = newest_ns
        if before_ns is None:
            self._start_epoch(EpochCause.CLOCK, JointSignal.start_epoch)
            return
        jump = ClockJump(delta_ns, before_ns, self._jump_back_ns)

        def forget_the_old_time(signal: JointSignal) -> None:
            if not signal.lies_within(*jump.new_time_ns):
                signal.start_epoch()

        if self._frames_lie_within(*jump.new_time_ns):
            self._start_epoch(EpochCause.CLOCK, forget_the_old_time, keeps_frames=True)
            return
        self._start_epoch(EpochCause.CLOCK, JointSignal.start_epoch)
        if newest_ns is not None:
            self._stale_ns = jump.stale_ns(newest_ns)

    def _is_stale(self, stamp_ns: int) -> bool:
        if self._stale_ns is None:
            return False
        after_ns, until_ns = self._stale_ns
        if after_ns < stamp_ns <= until_ns:
            return True
        self._stale_ns = None  # a frame of the new time, or time has not jumped for the frames
        return False

    def add_frame(self, stamp_ns: int, load: Callable[[], Frame]) -> list[Window]:
        """Take in a frame.

        Args:
            stamp_ns: its sensor stamp.
            load: gives the decoded and preprocessed frame; called only if the stamp is in order. What it raises goes
                through and leaves the stream as it was.
        """
        order = self._sampler.order(stamp_ns)
        if order is Order.OUT_OF_ORDER or self._is_stale(stamp_ns):
            self.counters.frames_out_of_order += 1
            self.counters.frames_repeated += stamp_ns == self.newest_frame_ns
            return []
        frame = load()
        if order is Order.JUMP_BACK:
            self._start_epoch(EpochCause.STAMPS, JointSignal.start_epoch)
        elif order is Order.GAP:
            self.counters.gaps += 1
            self._sampled.clear()
            self._until_end = self.config.num_frames
        if self._first_ns is None:
            self._first_ns = stamp_ns
        self.counters.frames += 1
        for signal in self._signals:
            signal.frames_go_on(stamp_ns)
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
            times = StepTimes.of(tuple(frame.stamp_ns for frame in frames), self.config)
            self._ended.append(_Ended(self._number, frames, times))
            self._number += 1

    def add_command(self, stamp_ns: int, value: Vector | Part) -> list[Window]:
        """Take in a command: (A,) float64 and finite, (points, 1 + A) for a trajectory; (6,) for a commanded pose, or
        what ``pose`` makes one of."""
        self.counters.commands += 1
        self.counters.late_commands += self._insert(self._commands, stamp_ns, value)
        return self._resolve()

    def add_state(self, stamp_ns: int, value: Vector | Part) -> list[Window]:
        """Take in a state, (S,) float64 and finite; (6,) for a measured pose, or what ``pose`` makes one of."""
        self.counters.states += 1
        self.counters.late_states += self._insert(self._states, stamp_ns, value)
        return self._resolve()

    def add_measured(self, stamp_ns: int, value: Vector | Part) -> list[Window]:
        """Take in the measured values of the commanded joints, (A,) float64; what trajectories need."""
        self.counters.late_states += self._insert(self._measured, stamp_ns, value)
        return self._resolve()

    def add_gripper(self, stamp_ns: int, value: Vector) -> list[Window]:
        """Take in how far the gripper is closed, (1,) float64 from 0 to 1; what poses need."""
        self.counters.late_states += self._insert(self._gripper, stamp_ns, value)
        return self._resolve()

    def _insert(self, signal: JointSignal, stamp_ns: int, value: Vector | Part) -> int:
        """Insert a value; how many are now known to be late."""
        is_new, late = signal.insert(stamp_ns, value, self.newest_frame_ns, self._oldest_needed_ns())
        self.counters.duplicates += not is_new
        return late

    def _oldest_needed_ns(self) -> int:
        """The earliest time that a window can still ask about; 0 before the first frame."""
        oldest = self._ended[0].frames if self._ended else self._sampled
        return oldest[0].stamp_ns - self._margin_ns if oldest else 0

    def _resolve(self) -> list[Window]:
        """The windows that have become ready, in order (rule 4)."""
        windows = []
        while self._ended and self._is_ready(self._ended[0].times):
            ended = self._ended.popleft()
            actions = read_actions(self.config, ended.times, self._read_commands, self._commands)
            states = read_states(self.config, ended.times, self._read_states, self._read_commands)
            for signal, last_ns, looks_ahead in self._needs(ended.times):
                signal.asked(last_ns, looks_ahead=looks_ahead)
            self.counters.missing_commands += actions.missing
            self.counters.missing_states += states.missing
            if not (actions.usable and states.usable):
                self.counters.windows_skipped += 1
                continue
            self.counters.windows += 1
            future = read_future(self.config, ended.times, self._read_commands, actions.values[-1])
            late, origin = self.counters.late, read_origin(self.config, ended.times, self._read_commands)
            windows.append(
                Window(
                    self.epoch, ended.number, ended.frames, ended.times.steps_ns, actions, states, late, future, origin
                )
            )  # fmt: skip
        return windows

    def _needs(self, times: StepTimes) -> Iterator[tuple[JointSignal, int, bool]]:
        """The signals that a window asks, the last time that it asks them about, and whether the next value counts."""
        config = self.config
        last_ns = times.last_needed_ns(config.reducer)
        if config.reads_measured_commands:
            yield self._commands, last_ns, False
            yield self._measured, last_ns, config.states.alignment != "hold"
        else:
            yield self._acts, last_ns, config.commands.alignment != "hold"
        if config.pose.has_gripper:
            yield self._gripper, last_ns, config.states.alignment != "hold"
        if config.state_source == "joint_states":
            yield self._states, times.steps_ns[-1], config.states.alignment != "hold"

    def _is_ready(self, times: StepTimes) -> bool:
        needs = list(self._needs(times))
        newest_ns = self.newest_frame_ns
        if newest_ns is not None and newest_ns - max(last_ns for _, last_ns, _ in needs) >= self._max_wait_ns:
            return True
        return all(signal.newest_ns is not None and signal.newest_ns >= last_ns for signal, last_ns, _ in needs)
