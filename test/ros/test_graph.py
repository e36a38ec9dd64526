"""Senders of another type, while the graph does not have their nodes' names yet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vjepa_ros.config.node import resolve
from vjepa_ros.ros import graph
from vjepa_ros.ros.graph import Graph

NAMES = [f"panda_joint{number}" for number in range(1, 8)]


class Seen:
    """A node's view of its graph: one sender of arrays on joint_commands."""

    sender = SimpleNamespace(node_namespace="/", node_name=graph._UNKNOWN, topic_type="std_msgs/msg/Float64MultiArray")

    @staticmethod
    def resolve_topic_name(name: str) -> str:
        return f"/{name}"

    @staticmethod
    def get_parameter(_name: str) -> Any:
        return SimpleNamespace(value=False)

    def get_publishers_info_by_topic(self, topic: str) -> list[Any]:
        return [self.sender] if topic == "/joint_commands" else []


def test_who_sends_another_type_is_said_by_name_once_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(graph.time, "monotonic", lambda: now_s[0])
    config = resolve({"preset": "tiny_random", "joint_names": NAMES})
    node: Any = Seen()
    looking, watch = Graph(node), SimpleNamespace(complete_each_other=lambda _: False)

    def found() -> list[str]:
        return [one.found for one in looking.look(config, watch) if one.reason == "other_type"]  # type: ignore[arg-type]

    assert found() == []
    node.sender = SimpleNamespace(**{**vars(Seen.sender), "node_name": "controller"})
    assert [text.split(" sends ")[0] for text in found()] == ["/controller"]
    node.sender = Seen.sender
    now_s[0] += 1.0
    assert found() == []
    now_s[0] += graph._PATIENCE_S
    monkeypatch.setattr(looking, "nobody", lambda *_: SimpleNamespace(reason="no_sender", found=""))
    assert [text.split(" sends ")[0] for text in found()] == ["a node that is not known yet"], (
        "who never tells its name"
    )
