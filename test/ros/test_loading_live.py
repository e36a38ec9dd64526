"""While a model is loaded the node answers; it can be told to give it up, and is configured when it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_srvs.srv import Trigger
from support.harness import Predictor, Robot, ending_well

SLOW_LOADING = str(Path(__file__).parents[1] / "support" / "slow_loading_node.py")
NODE = "/vjepa_predictor: node"


@pytest.fixture
def slow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Predictor, Robot]]:
    """A node that loads for so many seconds, and a robot."""
    predictor = Predictor(tmp_path / "log.txt", program=[SLOW_LOADING, str(request.param)])
    robot = Robot()
    with ending_well(predictor, robot):
        yield predictor, robot


def configure(robot: Robot, predictor: Predictor) -> Any:
    """The answer to come of a request to configure, when the loading has begun."""
    client = robot.create_client(ChangeState, "/vjepa_predictor/change_state")
    assert client.wait_for_service(robot.timeout_s)
    robot.settle(0.2)
    answer = client.call_async(ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE)))
    assert robot.spin(lambda: "loading begins" in predictor.log), predictor.log
    return answer


@pytest.mark.parametrize("slow", [3600.0], indirect=True)
def test_the_node_answers_while_it_loads_and_gives_it_up(slow: tuple[Predictor, Robot]) -> None:
    predictor, robot = slow
    answer = configure(robot, predictor)
    assert robot.spin(lambda: robot.diagnostics.get(NODE, {}).get("state") == "configuring")
    assert robot.messages[NODE].startswith("loading the model") and robot.levels[NODE] == b"\0"
    assert robot.spin(lambda: "% of 360.00 GB" in robot.messages[NODE]), robot.messages
    assert robot.state() == "unconfigured"
    assert robot.describe("hop")[0].name == "hop", "parameters can be read"
    ((ok, reason),) = robot.set_parameters(hop=4)
    assert not ok and "~/cancel_loading" in reason
    assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert "a model is being loaded already" in predictor.log
    assert not robot.change_state(Transition.TRANSITION_ACTIVATE)
    assert not answer.done()
    cancelled = robot.call(Trigger, "cancel_loading", Trigger.Request())
    assert (cancelled.success, cancelled.message) == (True, "loading is given up")
    assert robot.spin(answer.done) and not answer.result().success
    assert "configure: loading was given up" in predictor.log and "loading ends" not in predictor.log
    assert robot.spin(lambda: robot.diagnostics[NODE]["state"] == "unconfigured")
    again = robot.call(Trigger, "cancel_loading", Trigger.Request())
    assert (again.success, again.message) == (False, "nothing is being loaded")
    # ... and it can be configured anew; its end, with a model on its way, is the fixture's.
    assert robot.spin(lambda: all(ok for ok, _ in robot.set_parameters(hop=4)))
    client = robot.create_client(ChangeState, "/vjepa_predictor/change_state")
    assert client.wait_for_service(robot.timeout_s)

    def begins() -> bool:
        return predictor.log.count("loading begins") == 2

    robot.settle(0.2)
    for _ in range(100):  # refused while the thread that was given up is still on its way out, and for nothing else
        answer = client.call_async(ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE)))
        assert robot.spin(lambda answer=answer: begins() or answer.done()), predictor.log  # type: ignore[misc]
        if begins():
            break
        assert robot.spin(lambda: "still being let go: try again" in predictor.log), predictor.log
    assert begins(), predictor.log


@pytest.mark.parametrize("slow", [3600.0], indirect=True)
def test_a_shutdown_gives_it_up(slow: tuple[Predictor, Robot]) -> None:
    predictor, robot = slow
    answer = configure(robot, predictor)
    assert robot.change_state(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert robot.state() == "finalized"
    assert robot.spin(answer.done) and not answer.result().success


@pytest.mark.parametrize("slow", [1.5], indirect=True)
def test_the_node_is_configured_when_the_model_is_there(slow: tuple[Predictor, Robot]) -> None:
    predictor, robot = slow
    answer = configure(robot, predictor)
    assert robot.spin(answer.done) and answer.result().success
    assert predictor.log.count("loading begins") == 1 == predictor.log.count("loading ends")
    assert robot.state() == "inactive"
    assert robot.change_state(Transition.TRANSITION_ACTIVATE)
    robot.connect()
    robot.send_frames(0, 16)
    assert robot.spin(lambda: len(robot.windows) == 1)
