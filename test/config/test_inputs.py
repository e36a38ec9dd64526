"""The table of inputs: each row can be found by all who read it, and another row is all that another input takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from support import added
from support.builders import MS, NAMES, signal_config, stream_config

from vjepa_ros.config.inputs import CAMERAS, COMMAND_TYPES, INPUTS, STATE_TYPES, launch_arguments, remappings
from vjepa_ros.config.node import resolve
from vjepa_ros.config.table import check
from vjepa_ros.errors import BagError, ConfigError
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.recordings.topics import choose
from vjepa_ros.stream.intake import Intake

ROOT = Path(__file__).resolve().parents[2]
ROWS = [*CAMERAS.values(), *INPUTS.values()]
TYPES = [*COMMAND_TYPES.values(), *STATE_TYPES.values()]
VALUES = {"joint_names": list(NAMES), "action_dim": 2, "state_dim": 2}


def test_the_table_is_light() -> None:
    """The launch file reads it in a process that starts before anything else does."""
    heavy = "numpy", "torch", "cv2", "yaml", "rclpy"
    code = f"import sys; from vjepa_ros.config import inputs; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_row_names_is_there() -> None:
    for kind in TYPES:
        assert callable(resolve_name(kind.decoder)(signal_config()))
    for row in ROWS:
        assert callable(resolve_name(row.take)), row.topic
    assert all(name == row.name for table in (COMMAND_TYPES, STATE_TYPES) for name, row in table.items())
    assert {row.typed_by for row in ROWS if not row.ros_type} == {"actions.type", "states.type"}
    assert all(name == row.topic for name, row in INPUTS.items())


def test_the_package_depends_on_what_has_the_messages() -> None:
    elements = ElementTree.parse(ROOT / "package.xml").findall("exec_depend")
    packages = {row.ros_type.split("/")[0] for row in (*ROWS, *TYPES)} - {""}
    assert packages and packages <= {element.text for element in elements}


def test_what_can_be_remapped() -> None:
    given = {name: f"/there/{default}" for name, (default, _) in launch_arguments().items()}
    assert dict(remappings(given)) == {
        "image": "/there/image", "image/compressed": "/there/image/compressed",
        "image/ffmpeg": "/there/image/ffmpeg", "joint_commands": "/there/joint_commands",
        "joint_states": "/there/joint_states",
        "robot_description": "/there/robot_description", "end_effector_pose": "/there/end_effector_pose",
        "commanded_pose": "/there/commanded_pose",
    }  # fmt: skip
    defaults = {name: default for name, (default, _) in launch_arguments().items()}
    assert all(ours == theirs for ours, theirs in remappings(defaults))


def test_the_pages_name_every_topic() -> None:
    page = (ROOT / "docs" / "launch.md").read_text(encoding="utf-8")
    for name, (default, description) in launch_arguments().items():
        found = re.search(rf"^\| `{name}` \| `{default}` \| (.*) \|$", page, re.MULTILINE)
        assert found and found[1].replace("`", "") == description, name
    topics = (ROOT / "docs" / "topics.md").read_text(encoding="utf-8")
    assert all(f"`{row.topic}`" in topics for row in ROWS)
    assert all(row.ros_type.rpartition("/")[2] in topics for row in (*ROWS, *TYPES))


# -- one row more

KINDS = {
    "/eye": "sensor_msgs/msg/Image", "/joint_states": "sensor_msgs/msg/JointState",
    "/joint_commands": "std_msgs/msg/Float32MultiArray", "/base/wheel_speeds": "std_msgs/msg/Float64MultiArray",
}  # fmt: skip


def intake_of(**changes: Any) -> Intake:
    return Intake(
        stream_config(**{"num_frames": 2, "hop": 2, "state_source": "none", **changes}),
        Preprocess("square", (4, 4)), lambda *_: None,
    )  # fmt: skip


def image(stamp_ns: int) -> Any:
    header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=stamp_ns), frame_id="")
    return SimpleNamespace(
        header=header, encoding="rgb8", height=4, width=4, step=12, is_bigendian=0, data=bytes(48)
    )  # fmt: skip


def test_a_type_of_commands_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {**VALUES, "actions.type": "Float32MultiArray"}
    with pytest.raises(ConfigError, match="actions.type: 'Float32MultiArray' is not one of JointState, "):
        resolve(values)
    monkeypatch.setitem(COMMAND_TYPES, added.HALVES.name, added.HALVES)
    check("actions.type", "Float32MultiArray")
    config = resolve(values).stream
    assert not config.reads_measured_commands
    assert choose(KINDS, config, {}).inputs["joint_commands"] == "/joint_commands"
    assert config.ros_type("joint_commands") == added.HALVES.ros_type
    with pytest.raises(ConfigError, match="actions.field: a Float32MultiArray has no fields"):
        resolve({**values, "actions.field": "velocity"})

    intake = intake_of(command_type="Float32MultiArray")
    take = intake.take
    for index in range(1, 4):
        take["joint_commands"]("/joint_commands", SimpleNamespace(data=[float(index), 9.0]), index * 100 * MS)
        windows = take["image"]("/eye", image(index * 100 * MS), 0)
        if index == 2:
            np.testing.assert_array_equal(windows[0].actions.values, [[2.0, 18.0]])
    take["joint_commands"]("/joint_commands", SimpleNamespace(data=[1.0]), 400 * MS)
    assert intake.counters.rejected == {("/joint_commands", "length_mismatch"): 1}


def test_a_topic_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {**VALUES, "actions.field": "velocity"}
    kinds = {**KINDS, "/joint_commands": "sensor_msgs/msg/JointState"}
    monkeypatch.setitem(INPUTS, added.WHEELS.topic, added.WHEELS)
    config = resolve(values).stream
    assert config.inputs == ("joint_states", "joint_commands", "wheel_speeds")
    assert "wheel_speeds" not in resolve(VALUES).stream.inputs
    assert choose(kinds, config, {}).inputs["wheel_speeds"] == "/base/wheel_speeds"
    del kinds["/base/wheel_speeds"]
    with pytest.raises(BagError, match=r"no topic for wheel_speeds \(std_msgs/msg/Float64MultiArray\)"):
        choose(kinds, config, {})
    assert launch_arguments()["wheels_topic"] == ("wheel_speeds", "Topic of the wheels.")
    given = {name: default for name, (default, _) in launch_arguments().items()}
    assert ("wheel_speeds", "/base/wheels") in remappings({**given, "wheels_topic": "/base/wheels"})

    intake = intake_of()
    intake.take["wheel_speeds"]("/base/wheel_speeds", SimpleNamespace(data=[3.0, 4.0]), 100 * MS)
    intake.take["image"]("/eye", image(100 * MS), 0)
    (window,) = intake.take["image"]("/eye", image(400 * MS), 0)
    np.testing.assert_array_equal(window.actions.values, [[3.0, 4.0]])
