"""What is held back from training: whole recordings, or the last part of a single one with a gap of a window between.

Runs in, runs out; no window of one side shares a frame with one of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vjepa_ros.config.checks import require
from vjepa_ros.errors import place
from vjepa_ros.training.plan import Plan
from vjepa_ros.training.runs import Run

SHARE = 0.1
"""Of the recordings, or of a single one's steps, that are held back where nobody says which."""
FAR_AHEAD = 8
"""Steps that forecasts are looked at ahead, at most: the last part of a single recording should have some of them."""
MOST_SHARE = 1 / 3
"""Of a single recording, however short it is."""


@dataclass(frozen=True)
class Split:
    """What is trained on, and what is not.

    Attributes:
        train, held: runs, or parts of them; their latents are where they were.
        held_recordings: indices of the recordings that are held back as a whole.
        unused: steps between the two.
        text: how it was done, in a sentence.
    """

    train: tuple[Run, ...]
    held: tuple[Run, ...]
    held_recordings: frozenset[int]
    unused: int
    text: str


def split(plan: Plan, runs: Sequence[Run], window_steps: int) -> Split:
    """Hold something back.

    Args:
        plan: which recordings, if it says so.
        runs: of all recordings.
        window_steps: T', steps of a window.

    Raises:
        ConfigError: naming ``hold_back``, where nothing would be left to train on.
    """
    paths = plan.recordings
    if plan.hold_back:
        wanted = {path.resolve() for path in plan.hold_back}
        chosen = frozenset(index for index, path in enumerate(paths) if path.resolve() in wanted)
        require(len(chosen) < len(paths), "hold_back", "holds back every recording: nothing is left to train on")
        return _whole(paths, runs, chosen)
    if len(paths) > 1:
        count = max(1, round(SHARE * len(paths)))
        return _whole(paths, runs, frozenset(range(len(paths) - count, len(paths))))
    return _last_part(paths[0], runs, window_steps)


def part(run: Run, first: int, end: int) -> Run:
    """Steps ``first`` to ``end - 1`` of a run, with the latents that they had; its ``first_row`` counts units."""
    actions = run.actions[first:end].copy()
    actions[-1:] = 0.0  # known, but not among the steps
    return Run(run.recording, run.first_row + first, run.stamps_ns[first:end], actions, run.states[first:end])


def _whole(paths: Sequence[Path], runs: Sequence[Run], chosen: frozenset[int]) -> Split:
    names = ", ".join(place(paths[index]) for index in sorted(chosen)[:3])
    more = f" and {len(chosen) - 3} more" if len(chosen) > 3 else ""
    return Split(
        train=tuple(run for run in runs if run.recording not in chosen),
        held=tuple(run for run in runs if run.recording in chosen),
        held_recordings=chosen,
        unused=0,
        text=f"held back: {len(chosen)} of {len(paths)} recordings, {names}{more}",
    )


def _last_part(path: Path, runs: Sequence[Run], window_steps: int) -> Split:
    """By stamps, so that what a recording has twice is never on both sides."""
    stamps_ns = np.sort(np.concatenate([run.stamps_ns for run in runs])) if runs else np.zeros(0, np.int64)
    least = window_steps + 2 * FAR_AHEAD
    count = min(max(int(SHARE * len(stamps_ns)), least), int(MOST_SHARE * len(stamps_ns)))
    if count == 0:
        return Split((), tuple(runs), frozenset(), 0, f"held back: all of {place(path)}, which has too little in it")
    held_ns = int(stamps_ns[-count])
    steps_ns = [np.diff(run.stamps_ns) for run in runs]
    until_ns = held_ns - (window_steps + 1) * int(np.max(np.concatenate(steps_ns)))
    train, held = [], []
    for run in runs:
        begin = int(np.searchsorted(run.stamps_ns, held_ns))  # the stamps of a run rise
        end = int(np.searchsorted(run.stamps_ns, until_ns))
        if begin < run.steps:
            end = min(end, max(0, begin - window_steps))
        train.append(part(run, 0, end))
        held.append(part(run, begin, run.steps))
    used = sum(run.steps for run in (*train, *held))
    return Split(
        train=tuple(run for run in train if run.steps),
        held=tuple(run for run in held if run.steps),
        held_recordings=frozenset(),
        unused=len(stamps_ns) - used,
        text=f"held back: the last {count} of {len(stamps_ns)} steps of {place(path)}; the "
        f"{len(stamps_ns) - used} before them are used for neither, so that no frame is on both sides",
    )
