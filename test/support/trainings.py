"""Plans of small trainings on the sample bag, and what their data are made of."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import bags, recorded
from vjepa_ros.training import stages
from vjepa_ros.training.data import Data, prepare
from vjepa_ros.training.plan import Plan

VALUES: dict[str, Any] = {"joint_names": list(recorded.JOINTS)}
SAMPLE = bags.sample()


def cut(begin_s: float, end_s: float, messages: list[bags.Message] = SAMPLE) -> list[bags.Message]:
    """What was recorded between two times after the beginning."""
    first_ns = messages[0].received_ns
    return [m for m in messages if begin_s <= (m.received_ns - first_ns) / bags.S < end_s]


def without(begin_s: float, end_s: float, messages: list[bags.Message]) -> list[bags.Message]:
    """The messages but those that were recorded between two times after the sample's beginning."""
    first_ns = SAMPLE[0].received_ns
    return [m for m in messages if not begin_s <= (m.received_ns - first_ns) / bags.S < end_s]


def write(folder: Path, *parts: list[bags.Message]) -> list[Path]:
    """A bag for each part."""
    return [bags.write(folder / f"bag{number}", part) for number, part in enumerate(parts)]


def plan(folder: Path, paths: list[Path], values: dict[str, Any] | None = None, **options: Any) -> Plan:
    """The plan of a model in a folder."""
    return Plan(paths, {**VALUES, **(values or {})}, folder / "model.safetensors", **options)


def prepared(asked: Plan, say: Callable[[str], None] = lambda sentence: None) -> Data:
    """What a plan trains on."""
    with stages.entered(asked.folder, asked.out) as folder:
        return prepare(asked, folder, say=say)


SMALL: dict[str, Any] = {
    "encoder_dim": 32, "encoder_depth": 1, "encoder_heads": 2, "predictor_dim": 24, "predictor_depth": 1,
    "predictor_heads": 2, "patch_size": 32, "num_frames": 8, "context_steps": 2,
}  # fmt: skip
"""Sizes that a CPU computes at once: steps of 4 tokens, 4 of them in a window of tubelets."""


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond this, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
