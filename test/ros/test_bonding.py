"""The topic ``bond``: its messages on plain objects, its parameters, and the node's bond where the messages are
installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.configurations import JOINTS, refused
from support.harness import Predictor, Robot

from vjepa_ros.bond import Status
from vjepa_ros.config.node import resolve
from vjepa_ros.config.parts import BondConfig
from vjepa_ros.errors import ConfigError
from vjepa_ros.ros import bonding, inputs


def test_a_message_says_what_a_status_says() -> None:
    status = Status("vjepa_predictor", "one", True, 4.0, 0.25)
    message = bonding.write(SimpleNamespace(header=SimpleNamespace(stamp=None)), status, "now")
    assert message.header.stamp == "now" and bonding.read(message) == status


def test_without_a_heartbeat_nothing_is_needed() -> None:
    assert bonding.needed(resolve({"joint_names": JOINTS}).bond) == {}
    assert bonding.needed(BondConfig(0.25, 4.0)) == {"bond.heartbeat_s": "bond/msg/Status"}
    assert refused({"bond.heartbeat_s": 5.0}).parameter == "bond.timeout_s"


def test_messages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = resolve({"joint_names": JOINTS, "bond.heartbeat_s": 0.25})

    def gone(ros_type: str) -> Any:
        if ros_type == bonding.TYPE:
            raise ModuleNotFoundError("No module named 'bond'")

    monkeypatch.setattr(inputs, "message_class", gone)
    with pytest.raises(ConfigError, match=r"bond\.heartbeat_s.*bond/msg/Status is not installed here.*ros-jazzy-bond"):
        inputs.require_messages(config.stream, "raw", bonding.needed(config.bond))


def test_a_lifecycle_manager_forms_a_bond_with_the_node(log_path: Path) -> None:
    kind = pytest.importorskip("bond.msg").Status
    predictor = Predictor(log_path, {"bond.heartbeat_s": 0.1})
    robot = Robot()
    try:
        heard: list[Status] = []
        ends = robot.create_publisher(kind, "bond", 5)
        robot.create_subscription(kind, "bond", lambda message: heard.append(bonding.read(message)), 30)
        robot.start()
        robot.need(lambda: any(one.active and one.id == "vjepa_predictor" for one in heard), "no heartbeat")
        ours = Status("vjepa_predictor", "manager", True, 4.0, 0.1)
        stamp = robot.get_clock().now().to_msg()

        def watched() -> bool:
            ends.publish(bonding.write(kind(), ours, stamp))
            return "a lifecycle manager watches this node" in predictor.log

        robot.need(watched, "no bond")
        heard.clear()
        robot.stop()
        robot.need(lambda: any(not one.active and one.instance_id != "manager" for one in heard), "no farewell")
    finally:
        assert predictor.stop() == 0, predictor.log
        robot.close()
