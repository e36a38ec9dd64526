"""ROS parameter files without ROS: which block is meant for which node."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjepa_ros import parameter_file
from vjepa_ros.errors import ConfigError


def read(folder: Path, text: str, node: str = "/vjepa_predictor") -> tuple[dict, list[str]]:
    path = folder / "parameters.yaml"
    path.write_text(text, encoding="utf-8")
    return parameter_file.read(path, node)


@pytest.mark.parametrize("name", ["/**", "vjepa_predictor", "/vjepa_predictor", "/**/vjepa_predictor", "/*"])
def test_blocks_for_the_node(tmp_path: Path, name: str) -> None:
    text = f"other: {{ros__parameters: {{hop: 8}}}}\n{name}: {{ros__parameters: {{hop: 4, frame_rate: 4}}}}\n"
    values, unknown = read(tmp_path, text)
    assert values == {"hop": 4, "frame_rate": 4.0}
    assert type(values["frame_rate"]) is float
    assert unknown == []


def test_the_later_block_wins_and_names_may_be_nested(tmp_path: Path) -> None:
    text = """
/**: {ros__parameters: {hop: 8, actions: {timeout_s: 2, type: JointTrajectory}, use_sim_time: true}}
robot1: {vjepa_predictor: {ros__parameters: {hop: 4, view.flip: vertical}}}
/robot1/*: {ros__parameters: {preset: tiny}}
"""
    values, unknown = read(tmp_path, text, "/robot1/vjepa_predictor")
    assert values == {
        "hop": 4, "actions.timeout_s": 2.0, "actions.type": "JointTrajectory", "view.flip": "vertical",
        "preset": "tiny",
    }  # fmt: skip
    assert unknown == ["use_sim_time"]
    assert read(tmp_path, text)[0]["hop"] == 8


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("other: {ros__parameters: {hop: 8}}", "nothing for /vjepa_predictor, only other"),
        ("hop: 8", "no ros__parameters"),
        ("", "no ros__parameters"),
        ("{", "is not YAML"),
    ],
)
def test_a_file_that_is_not_for_the_node_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        parameter_file.read(tmp_path / "nowhere.yaml", "/vjepa_predictor")
