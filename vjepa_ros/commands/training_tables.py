"""What ``vjepa_train`` shows of the data before it starts, and of its course: tables and sentences.

It knows no options and no training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from vjepa_ros.training.course import Progress
    from vjepa_ros.training.data import Data

_MOST_ROWS = 16
_UNITS = ((3600, "h"), (60, "min"))  # in s


def tables(data: Data) -> Iterator[Table]:
    """Of the recordings, and of the joints."""
    survey = data.survey
    table = Table(title="Recordings", title_justify="left")
    table.add_column("recording", overflow="fold")
    for name in ("", "windows", "hours", "gaps", "moves"):
        table.add_column(name, justify="right")
    table.add_column("dropped", overflow="fold")
    for row in survey.recordings[:_MOST_ROWS]:
        dropped = ", ".join(f"{count:,} {why}" for why, count in row.dropped.items())
        table.add_row(row.path, "held back" if row.held else "", f"{row.windows:,}", f"{row.hours:.3f}",
                      f"{row.gaps:,}", f"{row.moving:.0%}", dropped)  # fmt: skip
    if len(survey.recordings) > _MOST_ROWS:
        table.add_row(f"and {len(survey.recordings) - _MOST_ROWS} more")
    total: Counter[str] = Counter()
    for row in survey.recordings:
        total.update(row.dropped)
    table.add_section()
    table.add_row("all", "", f"{survey.windows:,}", f"{survey.hours:.3f}", f"{survey.gaps:,}", f"{survey.moving:.0%}",
                  ", ".join(f"{count:,} {why}" for why, count in total.items()))  # fmt: skip
    yield table
    table = Table(title="Joints, in the units as read", title_justify="left")
    for name in ("", "from", "to", "mean", "deviation", "a step"):
        table.add_column(name, justify="right" if name else "left")
    for kind, dimensions in (("action", survey.actions), ("state", survey.states)):
        for one in dimensions:
            figures = (one.low, one.high, one.mean, one.std, one.movement)
            never = "; never changes" if one.constant else ""
            table.add_row(f"{kind} {one.name}{never}", *(f"{figure:.4g}" for figure in figures))
        table.add_section()
    yield table


def sentences(data: Data, rate: float) -> Iterator[str]:
    """Of what is trained on, what may be odd, and what it will cost.

    Args:
        data: it.
        rate: operations per second of the device at its best.
    """
    survey, cost = data.survey, data.cost
    yield f"{survey.train_samples:,} samples to train on, {survey.held_samples:,} held back; {survey.held_back}"
    yield from survey.warnings
    frames = f" and {_size(cost.frame_bytes)} of frames" if cost.frame_bytes else ""
    yield (
        f"it takes {_size(cost.latent_bytes)} of latents{frames} on the disk, and {_time(cost.hours(rate) * 3600)} or "
        f"more of computing on this device ({cost.encoding_flops:.0e} operations to encode, "
        f"{cost.training_flops:.0e} to train the predictor; an encoder's own training is not counted)"
    )


def course(now: Progress) -> str:
    """Loss, forecast skill on what is held back, and the time left."""
    said = [f"loss {now.figures['loss']:.4g}"]
    held = now.held_back
    if held is not None:
        said.append(f"held back {held['loss']:.4g}")
        for name, still, words in (
            ("near", "near_still", "1 step ahead"), ("far", "far_still", "at the rollout's end"),
            ("prediction", "still", "1 step ahead"),
        ):  # fmt: skip
            if held.get(still):
                said.append(f"{held[name] / held[still]:.2f} of no change {words}")
    return f"{', '.join(said)}; {_time(now.left_s)} left"


def _time(seconds: float) -> str:
    length_s, unit = next(((length, name) for length, name in _UNITS if seconds >= 2 * length), (1, "s"))
    return f"{seconds / length_s:.0f} {unit}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
