"""Which inputs are late, and which have stopped, by what the parameters expect."""

from __future__ import annotations

from typing import Any

import pytest
from support.messages import JOINTS

from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.ros.input_health import Judged, judged
from vjepa_ros.ros.rates import Rates


def config(**values: Any) -> NodeConfig:
    given = {"joint_names": JOINTS, "frame_rate": 4.0} | {k.replace("__", "."): v for k, v in values.items()}
    return resolve(given)


def health(given: NodeConfig, came_s: dict[str, list[float]], now_s: float) -> dict[str, Judged]:
    rates = Rates()
    for topic, times_s in came_s.items():
        for time_s in times_s:
            rates.add(topic, time_s, 20_000_000)
    return {one.topic: one for one in judged(given, rates, lambda name: f"/{name}", now_s)}


def every(period_s: float, until_s: float = 10.0) -> list[float]:
    return [period_s * index for index in range(round(until_s / period_s) + 1)]


def test_all_as_expected_with_their_numbers() -> None:
    come = {"/image": every(0.1), "/joint_commands": every(0.02), "/joint_states": every(0.02)}
    found = health(config(), come, 10.01)
    assert {one.state for one in found.values()} == {"well"} and found.keys() == come.keys()
    values = found["/image"].values
    assert values["messages /image"] == 101 and values["expected_hz /image"] == 4.0
    assert values["rate_hz /image"] == pytest.approx(10.0) and values["age_s /image"] == 0.02
    assert values["jitter_s /image"] == pytest.approx(0.0) and values["silence_s /image"] == pytest.approx(0.01)
    assert values["stopped_after_s /image"] == 0.625, "2.5 sampling periods"
    assert "expected_hz /joint_states" not in found["/joint_states"].values


def test_what_the_node_itself_holds_up_is_not_late() -> None:
    rates = Rates()
    for time_s in every(0.1):
        rates.add("/image", time_s, 0)
    silent = list(judged(config(), rates, lambda name: f"/{name}", 99.0))
    held = list(judged(config(), rates, lambda name: f"/{name}", 99.0, held_up=True))
    assert silent[0].state == "stopped"
    assert {(one.state, one.text) for one in held} == {("well", "")}
    assert [one.values for one in held] == [one.values for one in silent]


def test_nothing_has_come_yet() -> None:
    found = health(config(), {}, 10.0)
    assert {one.state for one in found.values()} == {"awaited"}
    assert all("nothing has come yet" in one.text and one.is_needed for one in found.values())
    assert not any(one.keeps_from_publishing for one in found.values())


def test_what_does_not_come_in_time_is_missing() -> None:
    """After its limit and the seconds that discovery may take; where something stands in, nothing is kept back."""
    given, rates = config(states__on_missing="hold"), Rates()
    rates.add("/joint_commands", 100.0, 0)

    def at(now_s: float) -> dict[str, Judged]:
        return {one.topic: one for one in judged(given, rates, lambda name: f"/{name}", now_s)}

    assert at(100.0)["/image"].state == at(104.5)["/image"].state == "awaited"
    found = at(106.0)
    assert {topic: one.state for topic, one in found.items()} == {
        "/image": "missing", "/joint_states": "missing", "/joint_commands": "stopped",
    }  # fmt: skip
    assert found["/image"].text == "nothing has come yet, for longer than window.max_gap_s (0.625 s)"
    assert [topic for topic, one in found.items() if one.keeps_from_publishing] == ["/image", "/joint_commands"]
    rates.add("/image", 106.1, 0)
    assert at(106.2)["/image"].state == "well"


@pytest.mark.parametrize(
    ("topic", "silence_s", "state", "words"),
    [
        ("/image", 0.3, "well", ""),
        ("/image", 0.4, "late", "half of window.max_gap_s (0.625 s)"),
        ("/image", 0.7, "stopped", "window.max_gap_s (0.625 s)"),
        ("/joint_commands", 0.6, "late", "half of actions.timeout_s (1 s)"),
        ("/joint_commands", 1.1, "stopped", "actions.timeout_s (1 s)"),
        ("/joint_states", 1.1, "stopped", "states.timeout_s (1 s)"),
    ],
)
def test_late_and_stopped(topic: str, silence_s: float, state: str, words: str) -> None:
    come = {"/image": every(0.1), "/joint_commands": every(0.02), "/joint_states": every(0.02)}
    come = {name: [t + (silence_s if name != topic else 0.0) for t in times] for name, times in come.items()}
    found = health(config(), come, 10.0 + silence_s)
    assert {name: one.state for name, one in found.items()} == dict.fromkeys(come, "well") | {topic: state}
    assert words in found[topic].text and found[topic].is_needed


def test_a_camera_slower_than_the_frame_rate_is_late_but_any_is_right_without_one() -> None:
    come = {"/image": every(0.5)}
    assert health(config(window__max_gap_s=5.0), come, 10.0)["/image"].state == "late"
    assert health(config(frame_rate=0.0), come, 10.0)["/image"].state == "well"


def test_where_something_else_stands_in_it_is_not_needed() -> None:
    given = config(actions__on_missing="hold", states__on_missing="zero")
    found = health(given, {"/joint_commands": [0.0], "/joint_states": [0.0]}, 10.0)
    assert [(found[topic].state, found[topic].is_needed) for topic in ("/joint_commands", "/joint_states")] == [
        ("stopped", False), ("stopped", False),
    ]  # fmt: skip
