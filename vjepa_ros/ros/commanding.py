"""What the robot is sent: commands on ``~/command``, of the type that the parameters name. It judges nothing."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from vjepa_ros.planning.arm import Arm
from vjepa_ros.planning.command import Command
from vjepa_ros.ros import messages, plan_messages
from vjepa_ros.units import to_ns

KINDS: dict[str, type] = {kind.__name__: kind for kind in (JointTrajectory, JointState, PoseStamped, TwistStamped)}
"""By the value of ``planner.command_type``."""


class Commanding:
    """Sends commands.

    Args:
        node: whose clock is used.
        kind: the value of ``planner.command_type``.
        publisher: of ``~/command``; None where nothing may be sent.
        joints: how many of the arm's joints actions are about; 0 where they are about the pose of the tip.
    """

    def __init__(self, node: Node, kind: str, publisher: Any, joints: int) -> None:
        self._node = node
        self._kind = KINDS[kind]
        self._publisher = publisher
        self._joints = joints
        self._base = ""

    def send(self, command: Command) -> None:
        """Send a command."""
        arm, stamp_ns = command.arm, self._now_ns()
        self._base = arm.base
        message: Any
        if self._kind is JointTrajectory:
            places = self._places(arm)
            names = [arm.joint_names[place] for place in places]
            message = plan_messages.trajectory_message(names, command.target[None, places], 0, to_ns(command.period_s))
        elif self._kind is JointState:
            places = self._places(arm)
            message = messages.joints_message(
                [arm.joint_names[place] for place in places], command.target[places], command.at_ns
            )
        elif self._kind is PoseStamped:
            message = plan_messages.pose_message(arm.tip(command.target), arm.base, stamp_ns)
        else:
            now, then = arm.tip(command.now), arm.tip(command.target)
            message = plan_messages.twist_message(now, then, command.period_s, arm.base, stamp_ns)
        self._publisher.publish(message)

    def _places(self, arm: Arm) -> list[int]:
        """Those of the arm's joints that are commanded."""
        return list(range(self._joints)) if self._joints else list(map(int, arm.chain))

    def rest(self) -> None:
        """Send, where commands are speeds, that of zero; a position holds by itself."""
        if self._kind is not TwistStamped or self._publisher is None or not self._node.context.ok():
            return
        message = TwistStamped()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = self._base
        self._publisher.publish(message)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
