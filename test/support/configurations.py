"""Configurations that are refused, and presets made for a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vjepa_ros.config.node import resolve
from vjepa_ros.config.presets import load_preset
from vjepa_ros.errors import ConfigError

JOINTS = [f"panda_joint{number}" for number in range(1, 8)]


def refused(values: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        resolve({"joint_names": JOINTS, **values})
    return caught.value


def preset_file(folder: Path, **changes: Any) -> str:
    """A preset like tiny_random with some values changed; None takes one out."""
    values = {**load_preset("tiny_random"), **changes}
    path = folder / "changed.yaml"
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))  # JSON is YAML
    return str(path)
