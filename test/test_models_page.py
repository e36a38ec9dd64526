"""The table of published files in docs/models.md: keys, sizes, memory and speed, each against where it comes from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from vjepa_ros.config.presets import model_config, preset_names
from vjepa_ros.config.table import effective
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, row by row."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


FILES = table("What is published, and what of it is read")
READ = {row[0]: row for row in FILES if not row[6].startswith("nothing")}


def preset_of(row: list[str]) -> str:
    """The last of the presets that a row names: ``auto`` finds that one."""
    names = [name for name in re.findall(r"`(\w+)`", row[6]) if name in preset_names()]
    return names[-1] if names else "vitg"


def test_every_published_file_has_a_row() -> None:
    assert len(READ) == 13 and len(FILES) == 14
    named = {preset_of(row) for row in READ.values()}
    assert named == {name for name in preset_names() if not name.startswith("tiny")}


@pytest.mark.parametrize("row", READ.values(), ids=list(READ))
def test_key_and_size_are_the_presets(row: list[str]) -> None:
    preset = preset_of(row)
    key = re.findall(r"`(\w+)`", row[2])
    if key:
        assert key[0] == (effective({"preset": preset})["encoder_key"] or "target_encoder")
    with torch.device("meta"):
        counts = [sum(p.numel() for p in Encoder(model_config(preset)).parameters())]
        if "predictor" in row[2]:
            counts.append(sum(p.numel() for p in Predictor(model_config(preset)).parameters()))
    *said, size = re.findall(r"[\d.]+(?= M| GB)", row[3])
    assert said == [f"{count / 1e6:.0f}" for count in counts]
    assert float(size) == pytest.approx(sum(counts) * 4 / 1e9, abs=0.011)


@pytest.mark.parametrize("row", READ.values(), ids=list(READ))
def test_memory_and_speed_are_what_was_measured(row: list[str]) -> None:
    needs = {cells[0]: f"{cells[2].split()[0]}, {cells[4]}" for cells in table("What they need")}
    memory, speed = row[4], row[5]
    if memory.startswith("as "):
        assert re.match(r"\d", READ[memory.removeprefix("as ")][4])
    else:
        large = " at 384 px" if preset_of(row) == "vitg" and "384" in row[0] else ""
        assert memory == needs[f"`{preset_of(row)}`{large}"]
    figures = re.findall(r"[\d.]+(?= ms)", speed)
    on_gpu = [line for line in PERFORMANCE.splitlines() if line.startswith(f"| {preset_of(row)} |")]
    works = ("one frame in `frame_repeat`", "AC predictor, 8 steps") if len(figures) == 2 else ("encoder, one window",)
    for figure, work in zip(figures, works, strict=False):
        assert any(f"| {work} | {figure} |" in line for line in on_gpu), (figure, work)
    assert figures or speed == "not measured" or speed.removeprefix("as ") in READ
