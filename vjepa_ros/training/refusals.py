"""Recordings that nothing can be learned from, refused before anything is computed.

Runs and counts in, a sentence out; no models, no files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.normalization import LEAST_STD
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import BagError, place
from vjepa_ros.training.material import Material, Tally
from vjepa_ros.training.runs import Run


class UnfitError(BagError):
    """Recordings that can be read, and cannot be trained on.

    Args:
        kind: ``not_finite``, ``missing_joints``, ``too_few_windows``, ``constant_actions`` or ``no_motion``.
        reason: what is wrong, and what to do, in one sentence.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def require_usable(material: Material) -> None:
    """Refuse recordings that hold nothing which could be trained on: before they are split.

    Raises:
        UnfitError: with the reason.
    """
    for tally in material.tallies:
        broken = [(where, count) for where, count in tally.rejected.items() if where.endswith(": not_finite")]
        for where, count in broken:
            raise UnfitError(
                "not_finite", f"{place(tally.path)}: {where.rpartition(': ')[0]} has values that are not finite (NaN "
                f"or infinite) in {count:,} of its messages, such as {tally.reports[where]}: leave the recording out, "
                "or repair what sends them",
            )  # fmt: skip
    for tally in material.tallies:
        if tally.missing_joints:
            raise UnfitError("missing_joints", f"{place(tally.path)}: {tally.missing_joints[0]}")
    if not material.runs:
        raise UnfitError("too_few_windows", f"no window came out: {why_so_few(material.tallies)}")


def require_motion(material: Material, config: StreamConfig) -> None:
    """Refuse recordings in which nothing moves.

    Raises:
        UnfitError: with the reason.
    """
    actions = np.concatenate([run.actions[:-1] for run in material.runs])
    moved = np.concatenate([movement(run, config) for run in material.runs])
    if not (moved > LEAST_STD).any():
        what = "the actions never change" if config.reducer.effect == "target" else "all actions are zero"
        raise UnfitError(
            "no_motion", f"there is no motion: {what} by more than {LEAST_STD:g} in {len(actions):,} steps, so nothing "
            "can be learned of what they do: record the robot while it moves, or check joint_names, actions.field and "
            "actions.reduction",
        )  # fmt: skip
    if not (np.ptp(actions, axis=0) > LEAST_STD).any():
        raise UnfitError(
            "constant_actions", f"the actions are constant: all {len(actions):,} are the same, so nothing can be "
            "learned of what others do: record different motions, or check actions.reduction",
        )  # fmt: skip
    if all(tally.changes == 0 for tally in material.tallies):
        raise UnfitError(
            "no_motion", "there is no motion in the picture: all frames are the same while the actions change: check "
            "the camera and the topic of the image",
        )  # fmt: skip
    states = np.concatenate([run.states for run in material.runs])
    if config.state_source == "joint_states" and not (np.ptp(states, axis=0) > LEAST_STD).any():
        raise UnfitError(
            "no_motion", "there is no motion: the measured states never change while the actions do: check "
            "states.field, and whether the robot followed",
        )  # fmt: skip


def movement(run: Run, config: StreamConfig) -> NDArray[np.float64]:
    """(M-1, A) how far each step's action moves: its size, or of targets by how much they change with the step.

    Of the last action of a run but one that is known too: that of its last step is not.
    """
    if config.reducer.effect != "target":
        return np.abs(run.actions[:-1])
    # The target of a step against the one before it: the first step of a run moves as the second one does.
    steps = np.abs(np.diff(run.actions[:-1], axis=0))
    return np.concatenate([steps[:1], steps]) if len(steps) else np.zeros((run.steps - 1, run.actions.shape[1]))


def why_so_few(tallies: Sequence[Tally]) -> str:
    """What became of the frames, in words."""
    total = {name: sum(tally.counts[name] for tally in tallies) for name in tallies[0].counts}
    rejected = sum(sum(tally.rejected.values()) for tally in tallies)
    return (
        f"{total['frames']:,} frames made {total['windows']:,} windows, {total['windows_skipped']:,} were skipped for "
        f"want of a command or state, {total['gaps']:,} gaps, {rejected:,} messages rejected"
    )
