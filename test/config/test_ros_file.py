"""ROS parameter files without ROS: which block is meant for which node."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjepa_ros.config import ros_file
from vjepa_ros.errors import ConfigError


def read(folder: Path, text: str, node: str = "/vjepa_predictor") -> tuple[dict, list[str]]:
    path = folder / "parameters.yaml"
    path.write_text(text, encoding="utf-8")
    return ros_file.read(path, node)


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
        ros_file.read(tmp_path / "nowhere.yaml", "/vjepa_predictor")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("frame_rate", "1e1", 10.0),
        ("frame_rate", "-1", -1.0),
        ("frame_rate", "ten", "ten"),  # refused later, as in a file
        ("actions.scale", "[1e-1, 2, .5e+0]", [0.1, 2.0, 0.5]),
        ("hop", "4", 4),
        ("hop", "1e1", "1e1"),  # not a whole number to ROS either
        ("checkpoint", "", ""),
        ("checkpoint", "1e1", "1e1"),
        ("checkpoint", "'a b'", "a b"),
        ("queue", "off", "off"),
        ("joint_names", "[a, b]", ["a", "b"]),
    ],
)
def test_values_of_a_command_line(name: str, text: str, value: object) -> None:
    got = ros_file.parsed(name, text)
    assert got == value and type(got) is type(value)


def test_a_number_with_an_exponent_and_no_point_is_one_in_a_file_too(tmp_path: Path) -> None:
    assert read(tmp_path, "/**: {ros__parameters: {frame_rate: 1e1}}")[0] == {"frame_rate": 10.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "other_node: {ros__parameters: {hop: 8}}",
            "is for nodes of other names ('/other_node'); this one is /robot/vp",
        ),
        ("/robot: {other: {ros__parameters: {hop: 8}}}", "'/robot/other'"),
        ("vp: {ros__parameters: {hop: 8}}", "'/vp'"),  # without the namespace
        ("{}", "has no ros__parameters"),
        ("hop: 8", "has no ros__parameters"),
        ("other: {ros__parameters: {hop: 8}}\n/**: {ros__parameters: {hop: 8}}", None),
        ("/robot/vp: {ros__parameters: {hop: 8}}", None),
        ("{", None),  # rcl has refused it before
    ],
)
def test_a_file_for_nodes_of_other_names_is_named(tmp_path: Path, text: str, said: str | None) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text(text, encoding="utf-8")
    sentences = ros_file.others(path, "/robot/vp")
    assert len(sentences) == (said is not None)
    assert said is None or (said in sentences[0] and str(path) in sentences[0])
    assert ros_file.others(tmp_path / "nowhere.yaml", "/vp") == []


@pytest.mark.parametrize("value", ["[1, 1.5]", "[1e1, 2]", "[1.0, x]", "[true, 1]", "[1, x]"])
def test_a_list_of_several_types_is_refused_as_ros_refuses_it(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"actions\.scale: .* ROS does not read: write whole numbers with a point"):
        read(tmp_path, f"/**: {{ros__parameters: {{actions.scale: {value}}}}}")


@pytest.mark.parametrize("value", ["[1, 1]", "[1.0, 1e1]", "[]", "[1.5]"])
def test_a_list_of_one_type_is_read(tmp_path: Path, value: str) -> None:
    assert "actions.scale" in read(tmp_path, f"/**: {{ros__parameters: {{actions.scale: {value}}}}}")[0]
