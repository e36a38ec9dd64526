"""What ends execution on a robot that stands before a camera: each reason, and what somebody does for it."""

from __future__ import annotations

from lifecycle_msgs.msg import Transition
from std_msgs.msg import String

from support import panda
from support.messages import S, image_message
from support.planned import Standing


def end_by_stop(standing: Standing) -> None:
    assert standing.trigger("stop") == (True, "stopped")
    assert standing.trigger("stop") == (True, "nothing was executed")


def end_by_deactivation(standing: Standing) -> None:
    assert standing.robot.change_state(Transition.TRANSITION_DEACTIVATE)


def end_by_frames(standing: Standing) -> None:
    standing.is_sending = False


def end_by_joints(standing: Standing) -> None:
    standing.joints = False


def end_by_a_driver_that_hangs(standing: Standing) -> None:
    standing.hangs = True


def end_by_reset(standing: Standing) -> None:
    assert standing.robot.reset()[0]


def end_by_jump(standing: Standing) -> None:
    now_ns = standing.robot.get_clock().now().nanoseconds
    standing.robot.images.publish(image_message(now_ns - 10 * S, 3))


def end_by_description(standing: Standing) -> None:
    standing.description.publish(String(data=panda.URDF.replace("0 0 0.107", "0 0 0.207")))


def end_by_a_description_that_cannot_be_used(standing: Standing) -> None:
    standing.description.publish(String(data="<robot"))


def end_by_next_goal(standing: Standing) -> None:
    assert standing.trigger("next_goal") == (True, "that was the last goal")


ENDS = [
    ("stopped", end_by_stop),
    ("deactivated", end_by_deactivation),
    ("stale_input", end_by_frames),
    ("stale_input", end_by_joints),
    ("stale_input", end_by_a_driver_that_hangs),
    ("time_jumped", end_by_reset),
    ("time_jumped", end_by_jump),
    ("new_robot", end_by_description),
    ("new_robot", end_by_a_description_that_cannot_be_used),
    ("reached", end_by_next_goal),
]
ENDED = [function.__name__ for _, function in ENDS]
