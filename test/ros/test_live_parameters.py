"""What can be changed while the node runs: images on and off, and the parameters that are live."""

from __future__ import annotations

import pytest
from lifecycle_msgs.msg import Transition
from std_srvs.srv import SetBool
from support.harness import Predictor, Robot
from support.messages import MS, T0_NS, S

from vjepa_ros.config.table import TABLE

LIVE = {
    "latents.horizon", "latents.dtype", "latents.steps", "queue", "queue_size", "candidates.max_age_s",
    "actions.timeout_s", "states.timeout_s", "actions.max_wait_s",
}  # fmt: skip
LATER_NS = T0_NS + 100 * S


def enable(robot: Robot, wanted: bool) -> tuple[bool, str]:
    response = robot.call(SetBool, "enable", SetBool.Request(data=wanted))
    return response.success, response.message


def window(robot: Robot, t0_ns: int) -> None:
    """The frames and joints of one window, and its result."""
    before = len(robot.windows)
    robot.send_frames(0, 16, t0_ns=t0_ns, period_ns=50 * MS)
    robot.need(lambda: len(robot.windows) == before + 1 and len(robot.predicted) == before + 1, "no window")


def test_images_off_and_on_while_the_model_stays(predictor: Predictor, robot: Robot) -> None:
    ok, message = enable(robot, False)
    assert not ok and "unconfigured" in message
    robot.start()
    window(robot, T0_NS)
    loaded = predictor.log.count("configured: {")
    assert enable(robot, False) == (True, "images are not subscribed to; the model is kept")
    robot.need(lambda: robot.images.get_subscription_count() == 0, "images are still subscribed to")
    assert robot.commands.get_subscription_count() == robot.states.get_subscription_count() == 1
    robot.need(lambda: robot.diagnostics["/vjepa_predictor: stream"]["state"] == "disabled", "no state")
    assert robot.levels["/vjepa_predictor: inputs"] == b"\0", "nothing is missed"
    robot.send_frames(16, 16)
    robot.settle()
    assert len(robot.windows) == 1
    assert enable(robot, False)[0] and enable(robot, True) == (True, "images are subscribed to")
    robot.connect()
    window(robot, LATER_NS)
    assert robot.windows[1]["epoch"] > robot.windows[0]["epoch"]
    assert predictor.log.count("configured: {") == loaded
    # It begins with images whenever it is activated.
    assert enable(robot, False)[0] and robot.change_state(Transition.TRANSITION_DEACTIVATE)
    assert robot.change_state(Transition.TRANSITION_ACTIVATE)
    robot.connect()


def test_which_parameters_are_live() -> None:
    assert {row.name for row in TABLE if row.live} == LIVE


def test_latents_change_with_the_next_window(predictor: Predictor, robot: Robot) -> None:
    robot.start()
    window(robot, T0_NS)
    loaded, first = predictor.log.count("configured: {"), dict(robot.info)
    assert robot.set_parameters(latents__horizon=3, latents__dtype="16FC1") == [(True, ""), (True, "")]
    robot.need(lambda: robot.info["horizon"] == 3 and robot.info["dtype"] == "16FC1", "no latent_info")
    assert robot.info["info_id"] != first["info_id"] and robot.info["weights_hash"] == first["weights_hash"]
    window(robot, LATER_NS)
    before, after = robot.predicted[0], robot.predicted[1]
    assert (before.encoding, after.encoding) == ("32FC1", "16FC1") and after.height == 3 * before.height
    assert robot.windows[1]["info_id"] == robot.info["info_id"] and len(robot.windows[1]["future_actions"]) == 2
    assert robot.windows[1]["epoch"] > robot.windows[0]["epoch"]
    assert robot.set_parameters(latents__steps="all", latents__horizon=1) == [(True, ""), (True, "")]
    window(robot, LATER_NS + 100 * S)
    steps = robot.info["steps"]
    assert robot.predicted[2].height == steps * before.height and steps > 1
    assert predictor.log.count("configured: {") == loaded, "the model was not loaded again"


def test_ages_and_queues_change_without_an_epoch_or_with_one(predictor: Predictor, robot: Robot) -> None:
    robot.start()
    window(robot, T0_NS)
    info_id = robot.info["info_id"]
    assert robot.set_parameters(queue="latest", candidates__max_age_s=5.0) == [(True, ""), (True, "")]
    robot.send_frames(16, 16)
    robot.need(lambda: len(robot.windows) >= 2, "no window")
    assert robot.windows[1]["epoch"] == robot.windows[0]["epoch"] and robot.info["info_id"] == info_id
    assert robot.set_parameters(queue="all", queue_size=3) == [(True, ""), (True, "")]
    # Commands only at the first frame: with a timeout of 20 ms all later steps are without one.
    assert robot.set_parameters(actions__timeout_s=0.02, actions__max_wait_s=0.0) == [(True, ""), (True, "")]
    done = len(robot.windows)
    robot.send_joints(LATER_NS, 1.0)
    for number in range(24):
        from support.messages import image_message

        robot.images.publish(image_message(LATER_NS + number * 50 * MS, number))
    stream = "/vjepa_predictor: stream"
    robot.need(lambda: int(robot.diagnostics[stream]["missing_commands"]) > 0, "no command was missed")
    assert len(robot.windows) == done


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"hop": 4}, "hop: takes effect on configure"),
        ({"checkpoint": ""}, "checkpoint: takes effect on configure"),
        ({"latents__dtype": "8UC1"}, "latents.dtype: '8UC1' is not one of"),
        ({"actions__timeout_s": 0.0}, ""),
    ],
)
def test_the_others_say_what_they_need_and_nonsense_is_refused(
    predictor: Predictor, robot: Robot, values: dict[str, object], reason: str
) -> None:
    robot.start()
    info = dict(robot.info)
    ((ok, said),) = robot.set_parameters(**values)
    assert not ok and reason in said
    window(robot, T0_NS)
    assert robot.info == info


def test_what_makes_no_sense_with_the_others_changes_nothing(predictor: Predictor, robot: Robot) -> None:
    """More than one forecast needs to know what actions do to states."""
    robot.start(actions__reduction="mean", states__source="joint_states", states__field="velocity")
    ((ok, said),) = robot.set_parameters(latents__horizon=2)
    assert not ok and "latents.horizon: 1" in said, said
    assert robot.set_parameters(latents__dtype="16FC1") == [(True, "")]
    robot.need(lambda: robot.info["dtype"] == "16FC1", "no latent_info")
    assert robot.info["horizon"] == 1


def test_while_inactive_they_change_too(predictor: Predictor, robot: Robot) -> None:
    assert robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert robot.set_parameters(latents__dtype="16FC1") == [(True, "")]
    assert robot.change_state(Transition.TRANSITION_ACTIVATE)
    robot.connect()
    robot.need(lambda: robot.info.get("dtype") == "16FC1", "no latent_info")
    window(robot, T0_NS)
    assert robot.predicted[0].encoding == "16FC1"
