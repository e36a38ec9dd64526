"""What the tests of the converter share: a preset, the command, and loading what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import vjepa_ros
from vjepa_ros.commands import convert
from vjepa_ros.engine.world_model import WorldModel

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
CHECKPOINT = REFERENCE / "small_ac.pt"
CONVENTION = {"frame_rate": 4.0, "hop": 2, "actions.reduction": "pick", "actions.phase": "first"}


def written_preset(folder: Path) -> str:
    """The small checkpoint's preset at 64x64 px, with the convention that a sidecar records."""
    values = yaml.safe_load((REFERENCE / "small_ac.yaml").read_text())
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**values, "image_size": 64, **CONVENTION}))
    return str(path)


def run(*arguments: str | Path) -> int:
    """The command, in this process; its exit status."""
    return convert.main([str(argument) for argument in arguments])


def loaded(path: Path, preset: str, dtype: str = "float32", **options: Any) -> WorldModel:
    return vjepa_ros.load(preset, checkpoint=str(path), dtype=dtype, **options)
