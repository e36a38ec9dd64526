"""What is said of a training: ``report.json`` for programs, ``report.html`` for people, self-contained.

Figures, words and pictures in, texts out; it opens no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import vjepa_ros
from vjepa_ros.documents import to_json
from vjepa_ros.pictures.paper import embedded
from vjepa_ros.training import pictures
from vjepa_ros.training.figures import Evaluation, Worst
from vjepa_ros.training.judgement import Judgement
from vjepa_ros.training.page import PAGE
from vjepa_ros.training.survey import Survey
from vjepa_ros.units import S_TO_NS

JSON, HTML = "report.json", "report.html"
KEYS = (
    "windows", "hours", "k1", "k4", "k8", "shuffled4", "rank", "judgement", "judgement_text", "convention", "hashes",
)  # fmt: skip
"""Of the JSON, in order."""


@dataclass(frozen=True)
class Hashes:
    """What a training came from and to, 64 hex digits each but for the model's.

    Attributes:
        bags: of the contents of the recordings, in their order.
        encoder: of its weights.
        params: of all of the node's parameters.
        model: 16 digits, what a node shows as ``weights_hash``.
    """

    bags: tuple[str, ...]
    encoder: str
    params: str
    model: str


@dataclass(frozen=True)
class Told:
    """All that a report tells.

    Attributes:
        model: name of the model's file.
        survey: the data.
        evaluation, judgement: what was learnt.
        convention: of the sidecar.
        hashes: see there.
        courses: what was told while it was trained, by what was trained (``encoder``, ``predictor``), as
            :class:`vjepa_ros.training.predictor.Trained` has it.
        frames: for each of the worst forecasts PNGs of the last frame seen, and of the one that came; none of tables.
        options: of the training, as people would write them.
    """

    model: str
    survey: Survey
    evaluation: Evaluation
    judgement: Judgement
    convention: Mapping[str, Any]
    hashes: Hashes
    courses: Mapping[str, Sequence[Mapping[str, float]]]
    frames: Sequence[tuple[bytes, ...]]
    options: Mapping[str, Any]


def as_json(told: Told) -> dict[str, Any]:
    """What programs read: exactly :data:`KEYS`."""
    found = told.evaluation
    return {
        "windows": told.survey.windows,
        "hours": told.survey.hours,
        "k1": found.k(1),
        "k4": found.k(4),
        "k8": found.k(8),
        "shuffled4": found.shuffled(4),
        "rank": found.rank,
        "judgement": told.judgement.word,
        "judgement_text": told.judgement.text,
        "convention": dict(told.convention),
        "hashes": {**asdict(told.hashes), "bags": list(told.hashes.bags)},
    }


def require_packages() -> None:
    """Refuse before hours are spent.

    Raises:
        ConfigError: naming the package that is not installed.
    """
    pictures.PAPER.require()


def as_html(told: Told) -> str:
    """What people read: one page that needs nothing else.

    Raises:
        ConfigError: where a package is missing.
    """
    found = told.evaluation
    drawn = {f"course_{name}": pictures.course(rows, name) for name, rows in told.courses.items() if rows}
    drawn |= {"distance": pictures.by_distance(found), "speed": pictures.by_speed(found)}
    if any(joint.shuffled for joint in found.joints):
        drawn["joint"] = pictures.by_joint(found)
    if found.grid is not None:
        drawn["grid"] = pictures.grid(found.grid)
    text: str = pictures.PAPER.template(PAGE).render(
        told=told,
        figures=_figures(found),
        pictures={name: embedded(png) for name, png in drawn.items()},
        courses=[name for name in told.courses if f"course_{name}" in drawn],
        worst=[_worst(one, told, pair) for one, pair in zip(found.worst, told.frames, strict=True)],
        version=vjepa_ros.__version__,
        json=lambda value: to_json(value),
    )
    return text


def _figures(found: Evaluation) -> list[tuple[str, float | None, str, str]]:
    """(name, value, what it is, which values are good), of the table at the top."""
    rows = [
        (f"k{ahead}", found.k(ahead), f"error of forecasts {ahead} step{'s' * (ahead > 1)} ahead, over that of "
         "predicting no change", "below 1; well trained ones reach 0.2 to 0.6, less farther ahead")
        for ahead in (1, 4, 8)
    ]  # fmt: skip
    shuffled = "error 4 steps ahead with the actions of other windows, over that with the right ones"
    rank = "place of the true action in a grid of others, from 0 (best) to 1"
    return [
        *rows,
        ("shuffled4", found.shuffled(4), shuffled, "above 1.2; 2 to 5 are good"),
        ("rank", found.rank, rank, "below 0.35; 0.5 is chance"),
    ]


def _worst(one: Worst, told: Told, frames: tuple[bytes, ...]) -> dict[str, Any]:
    return {
        "recording": told.survey.recordings[one.recording].path,
        "stamp_s": f"{one.stamp_ns / S_TO_NS:.3f}",
        "ahead": one.ahead,
        "right": one.right,
        "still": one.still,
        "frames": [embedded(png) for png in frames],
    }
