"""What /diagnostics says of a running node: which computer and model, how inputs come, how long windows take."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from support.harness import Predictor, Robot
from support.messages import image_message

ROOT = Path(__file__).parents[2]
NAME = "/vjepa_predictor: "
OK, WARN, ERROR = b"\0", b"\1", b"\2"
LIVE = {"frame_rate": 0.0, "window.max_gap_s": 5.0, "actions.timeout_s": 5.0, "states.timeout_s": 5.0}


def send(robot: Robot, number: int) -> None:
    """A frame with its joints, stamped now."""
    now_ns = time.time_ns()
    robot.send_joints(now_ns, float(number))
    robot.images.publish(image_message(now_ns, number))


def stream(robot: Robot, holds, frames: int = 4000) -> bool:  # type: ignore[no-untyped-def]
    """Send frame after frame until something holds."""
    for number in range(frames):
        send(robot, number)
        if robot.spin(holds, 0.05):
            return True
    return False


def values(robot: Robot, part: str) -> dict[str, str]:
    return robot.diagnostics.get(f"{NAME}{part}", {})


@pytest.fixture
def active(predictor: Predictor, robot: Robot) -> Robot:
    robot.start(**{name.replace(".", "__"): value for name, value in LIVE.items()})
    robot.diagnostics.clear()
    robot.levels.clear()
    return robot


def test_inputs_come_then_stop_and_say_so(predictor: Predictor, active: Robot) -> None:
    inputs = f"{NAME}inputs"
    assert active.spin(lambda: active.levels.get(inputs) == WARN)
    assert "/image: nothing has come yet" in active.messages[inputs]
    assert stream(active, lambda: active.levels.get(inputs) == OK), active.messages
    assert active.messages[inputs] == "all inputs come as they are expected"
    said = values(active, "inputs")
    for topic in ("/image", "/joint_commands", "/joint_states"):
        assert float(said[f"rate_hz {topic}"]) > 0 and int(said[f"messages {topic}"]) >= 2
        assert 0 <= float(said[f"age_s {topic}"]) < 30 and float(said[f"jitter_s {topic}"]) >= 0
        assert said[f"stopped_after_s {topic}"] == "5.0"
    # Commands and states go on; the camera is late, then it has stopped.
    seen = []

    def joints_alone() -> bool:
        active.send_joints(time.time_ns(), 1.0)
        level, text = active.levels[inputs], active.messages[inputs]
        if "/image: " in text and level not in seen:
            seen.append(level)
        return level == ERROR

    assert active.spin(joints_alone), active.messages
    assert seen == [WARN, ERROR]
    assert active.messages[inputs] == "/image: nothing comes any more, for longer than window.max_gap_s (5 s)"
    assert active.spin(lambda: "/image: stopped: nothing comes any more" in predictor.log), predictor.log
    assert stream(active, lambda: active.levels[inputs] == OK), "and it recovers"


def test_windows_latency_and_model(active: Robot) -> None:
    wanted = {f"{stage}_p{percent}_ms" for stage in ("decode", "wait", "encode", "predict", "publish")
              for percent in (50, 95, 99)}  # fmt: skip
    assert stream(active, lambda: wanted <= values(active, "latency").keys()), values(active, "latency")
    said = {name: float(value) for name, value in values(active, "latency").items() if name != "state"}
    assert said.keys() == wanted and all(value >= 0 for value in said.values())
    for stage in ("decode", "encode", "predict", "publish"):
        assert 0 < said[f"{stage}_p50_ms"] <= said[f"{stage}_p95_ms"] <= said[f"{stage}_p99_ms"]
    windows, model = values(active, "windows"), values(active, "model")
    assert 0 < int(windows["published"]) <= int(windows["made"])
    assert {windows[name] for name in windows if name.startswith(("skipped", "dropped"))} == {"0"}
    info = active.info
    assert {name: model[name] for name in ("model", "weights_hash", "info_id")} == {
        "model": info["model"], "weights_hash": info["weights_hash"], "info_id": info["info_id"],
    }  # fmt: skip
    assert model["device"] == "cpu" and model["last_error"] == "" and int(model["epoch"]) >= 0
    assert float(model["device_memory_resident_mb"]) > 10
    assert re.fullmatch(r"\d+ of \d+ windows published", active.messages[f"{NAME}windows"])


def test_windows_that_are_lost_are_said_with_the_reason(active: Robot) -> None:
    names = f"{NAME}windows"

    def lost() -> bool:
        return int(values(active, "windows").get("skipped_missing", 0)) > 0

    for number in range(4000):  # frames alone: no window has its commands
        active.images.publish(image_message(time.time_ns(), number))
        if active.spin(lost, 0.05):
            break
        if number % 40 == 39:  # the next frame is so much newer that nothing is waited for any more
            active.settle(0.1)
    else:
        raise AssertionError(active.diagnostics)
    assert active.spin(lambda: active.levels[names] in (WARN, OK))


def test_hardware_id_and_a_refusal_before_there_is_a_model(predictor: Predictor, robot: Robot) -> None:
    heard: list[DiagnosticArray] = []
    robot.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    host = socket.gethostname()

    def of(part: str):  # type: ignore[no-untyped-def]
        return next((s for m in reversed(heard) for s in m.status if s.name == f"{NAME}{part}"), None)

    robot.stop()
    heard.clear()
    assert robot.spin(lambda: of("node") is not None)
    assert of("node").hardware_id == host and of("node").level in (OK, ERROR)
    assert robot.set_parameters(checkpoint="/nowhere/weights.pt")[0][0]
    assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert robot.spin(lambda: of("node").level == ERROR), of("node")
    assert "cannot configure: checkpoint: /nowhere/weights.pt: there is no such file" in of("node").message
    (last_error,) = (pair.value for pair in of("node").values if pair.key == "last_error")
    assert last_error.startswith("cannot configure")
    assert robot.set_parameters(checkpoint="")[0][0]
    assert robot.change_state(Transition.TRANSITION_CONFIGURE)
    heard.clear()
    assert robot.spin(lambda: of("model") is not None)
    assert of("model").hardware_id == f"{host}: cpu"
    assert {status.hardware_id for status in heard[-1].status} == {f"{host}: cpu"}


def test_the_page_has_every_status_and_its_keys(active: Robot) -> None:
    page = (ROOT / "docs" / "topics.md").read_text(encoding="utf-8")
    section = page.split("\n## Diagnostics\n")[1].split("\n## ")[0]
    assert stream(active, lambda: "decode_p50_ms" in values(active, "latency") and "made" in values(active, "windows"))
    for part in ("inputs", "windows", "latency", "model"):
        keys = {name.partition(" ")[0] for name in values(active, part)} - {"state"}
        if part == "latency":
            keys = {re.sub(r"_p\d+_ms$", "", name) for name in keys} - {"decode"}
        assert [name for name in sorted(keys) if f"`{name}`" not in section] == [], part
    parts = {name.removeprefix(NAME) for name in active.diagnostics} - {"node"}
    assert [part for part in sorted(parts) if f"`{part}`" not in section] == []
