"""What happened to every message and window: numbers for diagnostics, reports and tests.

It only counts; who counts what, and when, is decided elsewhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Counters:
    """Totals since the stream was built; a reset does not clear them."""

    frames: int = 0  # frames taken in
    frames_out_of_order: int = 0  # dropped: at or before the newest frame
    frames_repeated: int = 0  # of these, stamped exactly as the newest frame
    frames_sampled: int = 0  # samples given to windows; a frame that serves two ticks counts twice
    frames_reused: int = 0  # of these, the second and further samples of one frame
    gaps: int = 0  # restarts of the window because two frames were too far apart
    resets: int = 0  # jumps of time and requested resets: the epoch rose
    commands: int = 0  # commands taken in
    states: int = 0  # states taken in
    foreign: int = 0  # commands and states of other joints than the wanted ones: of another part of the robot
    duplicates: int = 0  # commands and states that repeated one already there
    late_commands: int = 0  # commands stamped at or before a time that a window had already asked for
    late_states: int = 0
    missing_commands: int = 0  # steps without a command, or with one that timed out
    missing_states: int = 0
    windows: int = 0  # windows given out
    windows_skipped: int = 0  # windows not given out because a value was missing
    windows_reset: int = 0  # windows whose frames were complete, but a reset came before their commands and states
    zero_stamps: int = 0  # messages that took the receive time as their stamp
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)  # (topic, reason) -> messages dropped

    @property
    def late(self) -> int:
        """Messages that came after the time they belong to had been resolved."""
        return self.late_commands + self.late_states

    @property
    def rejected_total(self) -> int:
        """Messages dropped because they could not be used."""
        return sum(self.rejected.values())
