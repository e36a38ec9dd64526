"""The policy for SROS 2 that is shipped: it allows what a running node does, and nothing that no node does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.harness import Predictor, Robot
from support.planned import EXECUTED
from support.policies import POLICY, allowed

from vjepa_ros.config.inputs import CAMERAS, INPUTS

ROOT = Path(__file__).resolve().parents[2]
NODE = "/vjepa_predictor"
# What only other parameters than those of the test have a node read.
BY_PARAMETER = {f"/{name}" for name in (*(row.topic for row in CAMERAS.values()), *INPUTS)} | {"/clock", "/bond"}


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    """All that a node can publish, and every service."""
    return {**EXECUTED, "latents.publish_context": True}


def test_it_allows_what_a_running_node_does_and_no_more(predictor: Predictor, robot: Robot) -> None:
    robot.start()
    of_node = allowed()[NODE]
    found: dict[str, set[str]] = {}

    def is_complete() -> bool:
        for kind, ask in (
            ("publish", robot.get_publisher_names_and_types_by_node),
            ("subscribe", robot.get_subscriber_names_and_types_by_node),
            ("reply", robot.get_service_names_and_types_by_node),
            ("request", robot.get_client_names_and_types_by_node),
        ):
            found[kind] = {name for name, _ in ask("vjepa_predictor", "/")}
        return all(set(names) - found[kind] <= BY_PARAMETER for kind, names in of_node.items())

    assert robot.spin(is_complete), {kind: set(names) - found[kind] for kind, names in of_node.items()}
    for kind, names in of_node.items():
        assert found[kind] - set(names) == set(), f"what it does, and the policy does not let it {kind}"
        assert len(set(names)) == len(names)


def test_it_names_all_that_the_code_names() -> None:
    """Also what no parameter of the test above makes."""
    files = [file for file in (ROOT / "vjepa_ros" / "ros").glob("*.py") if not file.name.startswith("panda_")]
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    named = {f"{NODE}{name}" for name in re.findall(r'"~(/\w+)"', code)}
    assert len(named) >= 20, "fewer: the pattern is out of date"
    of_node = allowed()[NODE]
    assert named - {name for names in of_node.values() for name in names} == set()
    assert set(of_node["subscribe"]) >= BY_PARAMETER and "/bond" in of_node["publish"]


def test_whoever_operates_the_node_meets_it() -> None:
    """What the one sends the other reads, and the other way round."""
    rules = allowed()
    assert set(rules) == {NODE, "/vjepa_operator"}
    node, operator = rules[NODE], rules["/vjepa_operator"]
    of_every_node = {"/rosout", "/parameter_events"}
    assert set(operator["publish"]) - of_every_node <= set(node["subscribe"])
    assert set(operator["subscribe"]) <= set(node["publish"])
    assert set(operator["request"]) <= set(node["reply"])
    assert node["request"] == operator["reply"] == []


def test_a_node_is_held_to_it(tmp_path: Path) -> None:
    """With keys and permissions that sros2 makes of the policy, its operator is answered and a stranger sees nobody."""
    if not middleware_has_security(tmp_path):
        pytest.skip("needs a middleware with security")  # test/conftest.py lets it be skipped for this reason
    pytest.importorskip("sros2")
    ros2 = shutil.which("ros2")
    assert ros2 is not None
    keys = tmp_path / "keys"
    for arguments in (
        ("create_keystore", keys), ("create_enclave", keys, NODE), ("create_enclave", keys, "/vjepa_operator"),
        ("create_permission", keys, NODE, POLICY), ("create_permission", keys, "/vjepa_operator", POLICY),
    ):  # fmt: skip
        subprocess.run([ros2, "security", *map(str, arguments)], check=True, capture_output=True, timeout=60)
    secured = os.environ | {
        "ROS_SECURITY_KEYSTORE": str(keys), "ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce",
    }  # fmt: skip
    node = subprocess.Popen(
        [sys.executable, "-m", "vjepa_ros.ros.main", "--ros-args", "--enclave", NODE, "-p", "device:=cpu"], env=secured
    )
    try:
        asked = [sys.executable, "-c", ASK, "--ros-args", "--enclave", "/vjepa_operator"]
        answered = subprocess.run(asked, env=secured, capture_output=True, text=True, timeout=90)
        assert answered.stdout.split() == ["unconfigured"], answered.stderr
        stranger = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=90)
        assert stranger.stdout.split() == ["nobody"], stranger.stderr
    finally:
        node.terminate()
        assert node.wait(30) == 0


ASK = """
import sys, time, rclpy
from lifecycle_msgs.srv import GetState
rclpy.init(args=sys.argv)
node = rclpy.create_node("vjepa_operator")
client = node.create_client(GetState, "/vjepa_predictor/get_state")
if client.wait_for_service(10.0):
    answer = client.call_async(GetState.Request())
    rclpy.spin_until_future_complete(node, answer, timeout_sec=30.0)
    print(answer.result().current_state.label)
else:
    print("nobody")
"""


def middleware_has_security(folder: Path) -> bool:
    """Whether it can enforce anything: one that was built without security refuses to try, whatever the keys are."""
    (folder / "no_keys" / "enclaves").mkdir(parents=True)
    asked = os.environ | {
        "ROS_SECURITY_KEYSTORE": str(folder / "no_keys"), "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
    }  # fmt: skip
    check = "import rclpy; rclpy.init(); rclpy.create_node('probe')"
    done = subprocess.run([sys.executable, "-c", check], env=asked, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0, "there are no keys"
    return "doesn't have the security libraries" not in done.stderr
