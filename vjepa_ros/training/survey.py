"""What there is to train on, before anything is computed: a table of the data.

Runs and counts in, numbers and sentences out; no models, no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.normalization import LEAST_STD
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import listed, place
from vjepa_ros.training.material import Material, Tally
from vjepa_ros.training.refusals import UnfitError, movement, why_so_few
from vjepa_ros.training.runs import Run
from vjepa_ros.training.split import Split
from vjepa_ros.units import S_TO_NS

LEAST_SAMPLES = 2
"""On either side: with less there is nothing to learn from, or nothing to tell by whether anything was learned."""
MOVES = 0.01
"""A step moves where one dimension moves by more than this share of a fast step's movement (the 99th percentile)."""
_FAST = 99
_HOUR_S = 3600
_DROPPED = {
    "windows_skipped": "windows without a command or state", "windows_reset": "windows when time jumped back",
    "frames_out_of_order": "frames out of order", "late": "late commands and states",
    "missing_commands": "steps without a command", "missing_states": "steps without a state",
}  # fmt: skip


@dataclass(frozen=True)
class RecordingRow:
    """One recording of the table.

    Attributes:
        path: as it was given.
        held: whether it is held back as a whole.
        windows, steps, runs: how many came out of it.
        hours: that the steps last.
        gaps: of the camera.
        moving: share of the steps that move.
        dropped: what did not come through, by reason, and how often.
        incomplete: what was announced and could not be read.
    """

    path: str
    held: bool
    windows: int
    steps: int
    runs: int
    hours: float
    gaps: int
    moving: float
    dropped: dict[str, int]
    incomplete: tuple[str, ...]


@dataclass(frozen=True)
class Dimension:
    """One dimension of the actions or states.

    Attributes:
        name: of the joint.
        low, high, mean, std: of its values, as they are read.
        movement: in a step: the median of its size over the steps that move.
        constant: whether it never changes.
    """

    name: str
    low: float
    high: float
    mean: float
    std: float
    movement: float
    constant: bool


@dataclass(frozen=True)
class Survey:
    """The table of the data.

    Attributes:
        recordings: a row each.
        actions, states: a row per dimension.
        windows, steps, hours, gaps: in all.
        moving: share of all steps that move.
        train_samples, held_samples: of the plan's length.
        held_back: how, in a sentence.
        warnings: what may be too little, or odd, and can be trained on all the same.
    """

    recordings: tuple[RecordingRow, ...]
    actions: tuple[Dimension, ...]
    states: tuple[Dimension, ...]
    windows: int
    steps: int
    hours: float
    gaps: int
    moving: float
    train_samples: int
    held_samples: int
    held_back: str
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as values that JSON has."""
        return asdict(self)


def survey(
    material: Material, divided: Split, config: NodeConfig, samples: tuple[int, int], sample: tuple[int, int]
) -> Survey:
    """The table of the data.

    Args:
        material: has passed the refusals of :mod:`vjepa_ros.training.refusals`.
        divided: of its runs.
        config: that they were read by.
        samples: how many there are to train on, and held back.
        sample: (c, h), steps of context and after it.

    Raises:
        UnfitError: where there are too few samples on either side.
    """
    stream, runs = config.stream, material.runs
    for count, where in zip(samples, ("to train on", "held back"), strict=True):
        if count < LEAST_SAMPLES:
            raise UnfitError(
                "too_few_windows", f"there are too few windows {where}: {sum(run.steps for run in runs):,} steps in "
                f"{len(runs):,} stretches without a gap hold {count} samples of {sum(sample)} steps, {divided.text}; "
                f"{why_so_few(material.tallies)}: record more or longer stretches, or make num_frames, context_steps "
                "or `rollout` smaller",
            )  # fmt: skip
    moved = [movement(run, stream) for run in runs]
    fast = np.percentile(np.concatenate(moved), _FAST, axis=0)
    least = np.maximum(MOVES * fast, LEAST_STD)
    moving = [(values > least).any(axis=1) for values in moved]
    rows = tuple(
        _row(index, tally, index in divided.held_recordings, runs, moving)
        for index, tally in enumerate(material.tallies)
    )
    those = np.concatenate(moving)
    actions = np.concatenate([run.actions[:-1] for run in runs])
    states = np.concatenate([run.states for run in runs])
    changes = np.concatenate([np.abs(np.diff(run.states, axis=0)) for run in runs])
    return Survey(
        recordings=rows,
        actions=_dimensions(stream.commands.joint_names, actions, np.concatenate(moved)[those]),
        states=() if stream.state_source == "none" else _dimensions(_state_names(stream), states, changes[those]),
        windows=sum(row.windows for row in rows),
        steps=sum(row.steps for row in rows),
        hours=sum(row.hours for row in rows),
        gaps=sum(row.gaps for row in rows),
        moving=float(those.mean()),
        train_samples=samples[0],
        held_samples=samples[1],
        held_back=divided.text,
        warnings=tuple(_warnings(material, rows)),
    )


def _state_names(stream: StreamConfig) -> tuple[str, ...]:
    return stream.commands.joint_names if stream.state_source == "commands" else stream.states.joint_names


def _row(
    index: int, tally: Tally, held: bool, runs: Sequence[Run], moving: Sequence[NDArray[np.bool_]]
) -> RecordingRow:
    own = [(run, moves) for run, moves in zip(runs, moving, strict=True) if run.recording == index]
    flags = np.concatenate([moves for _, moves in own]) if own else np.zeros(1, np.bool_)
    dropped = {words: tally.counts[name] for name, words in _DROPPED.items() if tally.counts[name]}
    dropped |= tally.rejected
    if tally.unresolved:
        dropped["windows that wait for commands or states at the end"] = tally.unresolved
    return RecordingRow(
        path=tally.path,
        held=held,
        windows=tally.counts["windows"],
        steps=sum(run.steps for run, _ in own),
        runs=len(own),
        hours=sum(_duration_s(run) for run, _ in own) / _HOUR_S,
        gaps=tally.counts["gaps"],
        moving=float(flags.mean()),
        dropped=dropped,
        incomplete=tuple(tally.incomplete),
    )


def _duration_s(run: Run) -> float:
    """As long as its steps are, each as long as the mean one."""
    return float(run.stamps_ns[-1] - run.stamps_ns[0]) / S_TO_NS * run.steps / (run.steps - 1)


def _dimensions(names: Sequence[str], values: NDArray[np.float64], moved: NDArray[np.float64]) -> tuple[Dimension, ...]:
    size = np.median(moved, axis=0) if len(moved) else np.zeros(values.shape[1])
    return tuple(
        Dimension(
            name=name,
            low=float(column.min()),
            high=float(column.max()),
            mean=float(column.mean()),
            std=float(column.std()),
            movement=float(one),
            constant=bool(np.ptp(column) <= LEAST_STD),
        )
        for name, column, one in zip(names, values.T, size, strict=True)
    )


def _warnings(material: Material, rows: Sequence[RecordingRow]) -> Iterable[str]:
    empty = [row.path for row in rows if not row.windows]
    if empty:
        yield f"{len(empty)} of {len(rows)} recordings gave no window: {listed(empty, 3, place)}"
    still = [tally.path for tally in material.tallies if tally.changes == 0 and tally.counts["windows"]]
    if still:
        yield f"{len(still)} of {len(rows)} recordings have a picture that never changes: {listed(still, 3, place)}"
    late = sum(tally.counts["late"] for tally in material.tallies)
    if late:
        yield f"{late:,} commands and states came too late for their steps: a node would have read older ones too"
