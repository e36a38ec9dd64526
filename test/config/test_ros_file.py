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
/robot1/*: {ros__parameters: {preset: tiny_random}}
"""
    values, unknown = read(tmp_path, text, "/robot1/vjepa_predictor")
    assert values == {
        "hop": 4, "actions.timeout_s": 2.0, "actions.type": "JointTrajectory", "view.flip": "vertical",
        "preset": "tiny_random",
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


HEAD = "/**:\n  ros__parameters:\n    "
BESIDE = f"{HEAD}preset: tiny_random\n"
AS_ROS: dict[str, bool] = {  # whether ROS reads the file
    HEAD + "actions.scale: [1, 1]": True, HEAD + "actions.scale: []": True, HEAD + "preset: ''": True,
    HEAD + "preset: ~": True, HEAD + "{}": True,
    HEAD + "preset: &a tiny_random": True, HEAD + "preset: |\n      tiny_random": True,
    HEAD + "anything: [[1]]": True, HEAD + "5: 1": True, f"other: {{}}\n{BESIDE}": True,
    f"other:\n  ros__parameters: {{a: [1, 2]}}\n{BESIDE}": True,
    HEAD + "preset:": False, HEAD + "anything: [1, 1.5]": False, HEAD + "anything: [[1], [2]]": False,
    HEAD + "preset: !!set {a}": False, HEAD + "'': 1": False, HEAD + "joint_names:\n      - a\n      -\n": False,
    f"other:\n  ros__parameters:\n    a: [1, 1.5]\n{BESIDE}": False, f"other:\n  ros__parameters:\n{BESIDE}": False,
    f"other:\n  ros__parameters:\n    a:\n{BESIDE}": False, f"vjepa_predictor:\n  a: 1\n{BESIDE}": False,
    f"{BESIDE}foo: 5\n": False, f"{BESIDE}foo:\n": False, f"foo: [1]\n{BESIDE}": False,
    "/**:\n  ros__parameters: [1]": False, "- a": False, "/**:\n": False,
}  # fmt: skip


@pytest.mark.parametrize("text", AS_ROS)
def test_a_file_that_ros_does_not_read_is_refused(tmp_path: Path, text: str) -> None:
    """Whichever node it is wrong for: with such a file a node ends before it begins."""
    if AS_ROS[text]:
        read(tmp_path, text)
        return
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("text", AS_ROS)
def test_ros_reads_it_or_not(tmp_path: Path, text: str) -> None:
    """The same files, by ROS's own parser."""
    rclpy = pytest.importorskip("rclpy")
    from rclpy.context import Context

    (tmp_path / "parameters.yaml").write_text(text, encoding="utf-8")
    context = Context()
    try:
        rclpy.init(args=["--ros-args", "--params-file", str(tmp_path / "parameters.yaml")], context=context)
        is_read = True
    except RuntimeError:  # of rclpy's own kinds
        is_read = False
    finally:
        context.try_shutdown()
    assert is_read == AS_ROS[text]


def test_a_list_of_any_length_is_refused_in_a_short_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="of several types") as caught:
        read(tmp_path, f"/**: {{ros__parameters: {{actions.scale: [{', '.join(['1, 1.5'] * 5000)}]}}}}")
    assert len(str(caught.value)) < 500
