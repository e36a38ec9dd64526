"""Recordings of ros2_control robots: they define their messages themselves, and are read like any other."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import bags, controllers, oracle, recorded, replays

DYNAMIC, STATE = controllers.DYNAMIC, controllers.STATE
COMMANDS, STATES = "/joint_trajectory_controller/controller_state", "/dynamic_joint_states"
SET = ("actions.type=JointTrajectoryControllerState", "states.type=DynamicJointState")


def written(folder: Path, store: Any = None, plugin: str = "MCAP") -> Path:
    """The sample bag, as a robot with these controllers would have recorded it."""
    store = store or controllers.types()
    messages = []
    for m in bags.sample():
        if m.topic == recorded.CAMERA:
            messages.append((m.received_ns, m.topic, m.kind, m.data))
            continue
        if m.topic not in (recorded.COMMANDS, recorded.STATES):
            continue
        positions = dict(zip(m.data.name, m.data.position, strict=True))
        if m.topic == recorded.COMMANDS:
            names = list(reversed(recorded.JOINTS))
            aim = [positions[name] for name in names]
            message = controllers.controller_state(store, m.stamp_ns, names, aim, [0.0] * 7)
            messages.append((m.received_ns, COMMANDS, STATE, message))
        else:
            joints = {name: {"velocity": 0.5, "position": value} for name, value in positions.items()}
            message = controllers.dynamic_state(store, m.stamp_ns, {"sensor": {"force.x": np.nan}, **joints})
            messages.append((m.received_ns, STATES, DYNAMIC, message))
    return controllers.write(folder, store, messages, plugin)


def arguments(bag: Path, out: Path, *more: str) -> list[Any]:
    topics = ["--joint-commands", COMMANDS, "--joint-states", STATES]
    return [bag, "-o", out, "--windows-only", *topics, "--set", *SET, *more]


@pytest.mark.parametrize("release", ["jazzy", "humble"])
def test_controllers_give_the_windows_that_joint_states_give(release: str, tmp_path: Path) -> None:
    changed = {"JointTrajectoryControllerState": controllers.HUMBLE} if release == "humble" else {}
    bag = written(tmp_path / "bag", controllers.types(**changed))
    dump = tmp_path / "dump.jsonl"
    assert replays.run(*arguments(bag, tmp_path / "out"), "--dump", dump) == 0
    lines = replays.lines(dump)
    expected = oracle.windows(*recorded.oracle_lists(), **recorded.oracle_arguments())
    assert len(lines) == len(expected) > 100
    for line, want in zip(lines, expected, strict=True):
        np.testing.assert_array_equal(line["actions"], want["actions"])
        np.testing.assert_array_equal(line["states"], want["states"])
    assert replays.report(tmp_path / "out")["counts"]["rejected"] == {}


def test_a_recording_that_does_not_define_them_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = written(tmp_path / "bag", plugin="SQLITE3")
    # rosbags writes definitions into either storage; older recorders wrote none into sqlite3's.
    with sqlite3.connect(next(bag.glob("*.db3"))) as database:
        database.execute("DELETE FROM message_definitions")
    assert replays.run(*arguments(bag, tmp_path / "out")) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "the recording does not define " in said and "Traceback" not in said
