"""What the recordings of a training hold: runs of steps, and what became of every message; kept in a stage's folder.

It reads and writes its own two files, and knows no recordings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from vjepa_ros import files
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.training.runs import Run

RUNS, TALLIES = "runs.npz", "recordings.json"


@dataclass(frozen=True)
class Tally:
    """What was read of one recording, and what became of it.

    Attributes:
        path: as it was given.
        topics: what was read, by the node's names.
        messages: how many, by topic.
        counts: the stream's counters.
        rejected: messages that could not be used, by ``topic: reason``.
        reports: what was said about them, by the same.
        missing_joints: of joints that no message had, a sentence per input.
        notes, incomplete: what was found on the way, and what was announced and could not be read.
        unresolved: windows that ended with the recording, before their commands and states came.
        changes: how much the pictures of consecutive steps differ: the largest mean absolute difference, in the
            encoder's units.
    """

    path: str
    topics: dict[str, str]
    messages: dict[str, int]
    counts: dict[str, int]
    rejected: dict[str, int]
    reports: dict[str, str]
    missing_joints: list[str]
    notes: list[str]
    incomplete: list[str]
    unresolved: int
    changes: float


@dataclass(frozen=True)
class Material:
    """What the recordings hold.

    Attributes:
        key: stands for all that it was read from and by.
        hashes: of the recordings' contents, in their order.
        runs: of all recordings, in their order; ``first_row`` counts units, see :func:`units_of`.
        tallies: one per recording.
    """

    key: str
    hashes: tuple[str, ...]
    runs: tuple[Run, ...]
    tallies: tuple[Tally, ...]

    def units(self, config: NodeConfig) -> int:
        """How many there are in all."""
        return sum(units_of(run, config) for run in self.runs)


def units_of(run: Run, config: NodeConfig) -> int:
    """What goes through the encoder as one, in a run: its steps, or in ``clip`` its windows."""
    return run.steps - config.stream.steps + 1 if config.model.way.is_whole else run.steps


def save(material: Material, folder: Path) -> None:
    """Write the runs and the tallies.

    Raises:
        OSError: where the disk is full or fails; it names the file.
    """
    runs = material.runs
    arrays: dict[str, Any] = {
        "recordings": np.array([run.recording for run in runs], np.int64),
        "first_rows": np.array([run.first_row for run in runs], np.int64),
        "lengths": np.array([run.steps for run in runs], np.int64),
    }
    if runs:
        arrays["stamps_ns"] = np.concatenate([run.stamps_ns for run in runs])
        arrays["actions"] = np.concatenate([run.actions for run in runs])
        arrays["states"] = np.concatenate([run.states for run in runs])
    with files.naming(folder / RUNS), (folder / RUNS).open("wb") as file:
        np.savez(file, **arrays)
    with files.naming(folder / TALLIES), (folder / TALLIES).open("w", encoding="utf-8") as text:
        json.dump([asdict(tally) for tally in material.tallies], text)


def load(folder: Path, key: str, hashes: Sequence[str]) -> Material | None:
    """What :func:`save` has written, None where it is not whole."""
    try:
        tallies = [Tally(**tally) for tally in json.loads((folder / TALLIES).read_text(encoding="utf-8"))]
        with np.load(folder / RUNS, allow_pickle=False) as arrays:
            rows = zip(arrays["recordings"].tolist(), arrays["first_rows"].tolist(), strict=True)
            parts: list[list[Any]] = [[], [], []]
            if len(arrays["lengths"]):
                ends = np.cumsum(arrays["lengths"])[:-1]
                parts = [np.split(arrays[name], ends) for name in ("stamps_ns", "actions", "states")]
            runs = [Run(*row, *values) for row, *values in zip(rows, *parts, strict=True)]
        return Material(key, tuple(hashes), tuple(runs), tuple(tallies))
    except (OSError, ValueError, LookupError, TypeError, BadZipFile):
        return None
