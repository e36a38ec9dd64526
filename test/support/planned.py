"""A robot that stands still before a camera, in real time, and what its planner says: seen over the middleware."""

from __future__ import annotations

from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from support import panda
from support.harness import Robot
from support.messages import JOINTS, MS, image_message, joint_message
from vjepa_ros import latents
from vjepa_ros.units import stamp_to_ns

READY = (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785)  # rad
PERIOD_MS = 100  # of the camera; a step lasts twice as long
STEP_S = 2 * PERIOD_MS / 1000
SMALL: dict[str, Any] = {"image_size": "[32, 32]", "num_frames": 8, "encoder_depth": 1, "predictor_depth": 1}
DEEP: dict[str, Any] = {
    f"qos_overrides./vjepa_predictor/{topic}.publisher.depth": 1000
    for topic in ("command", "plan", "plan_energy", "planner_status")
}
QUICK: dict[str, Any] = {
    **SMALL, **DEEP,
    "planner.enabled": True, "planner.samples": 8, "planner.elites": 2, "planner.iterations": 1, "planner.horizon": 4,
    "planner.std": "[0.02]", "planner.max_age_s": 2.0, "planner.time_limit_s": 2.0, "queue": "latest",
    "actions.max_wait_s": 0.2,
}  # fmt: skip
EXECUTED: dict[str, Any] = {
    **QUICK, "planner.execute": True, "planner.box_m": "[-1.5, -1.5, -1.5, 1.5, 1.5, 1.5]",
    "planner.max_prediction_error": 10.0, "planner.patience": 100_000, "planner.max_limit_hits": 100_000,
    "pose.tip_link": "panda_hand",
    "latents.horizon": 3,  # forecasts are compared though some windows are superseded
}  # fmt: skip

POSES: dict[str, Any] = {
    "joint_names": None, "preset": "vjepa2_ac_vitg", "pose.tip_link": "panda_hand", "predictor_dim": 64,
    "predictor_heads": 2, "encoder_dim": 64, "encoder_heads": 2, "frame_rate": 0.0,
}  # fmt: skip
"""The released layout at a small size: pose differences of the tip, by forward kinematics."""


class Standing:
    """Frames, commands and states as time goes by, and a robot description; and everything that the planner sends.

    Args:
        robot: whose publishers and executor are used.
        command: type of the messages on ``~/command``.
        plan: type of those on ``~/plan``.

    Attributes:
        plans, energies, statuses, commands: what has come.
        is_sending: whether frames are sent; ``joints`` whether joints are.
        hangs: whether joints are measured no more, and sent again and again as they were.
        names, positions: of the joints, as they are measured and commanded.
    """

    def __init__(self, robot: Robot, command: type = JointTrajectory, plan: type = JointTrajectory) -> None:
        self.robot = robot
        self.is_sending = self.joints = True
        self.hangs = False
        self._measured_ns = 0
        self.names: list[str] = JOINTS
        self.positions = np.array(READY)
        self.frames = 0
        self.plans: list[Any] = []
        self.energies: list[Float32MultiArray] = []
        self.statuses: list[dict[str, Any]] = []
        self.commands: list[Any] = []
        self.pictures: list[Image] = []
        name, deep = robot.predictor, QoSProfile(depth=1000)
        self.goals = robot.create_publisher(Image, f"{name}/goal_image", 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.description = robot.create_publisher(String, "robot_description", latched)
        robot.create_subscription(plan, f"{name}/plan", self.plans.append, deep)
        robot.create_subscription(Float32MultiArray, f"{name}/plan_energy", self.energies.append, deep)
        robot.create_subscription(DiagnosticArray, f"{name}/planner_status", self._on_status, deep)
        robot.create_subscription(command, f"{name}/command", self.commands.append, deep)
        self._began_ns, self._tick = robot.get_clock().now().nanoseconds, 0
        self._timer = robot.create_timer(PERIOD_MS / 1000, self._send)

    def close(self) -> None:
        """Stand still no longer."""
        self.robot.destroy_timer(self._timer)
        for publisher in (self.goals, self.description):
            self.robot.destroy_publisher(publisher)

    def _on_status(self, message: DiagnosticArray) -> None:
        published_ns = stamp_to_ns(message.header.stamp)
        self.statuses.append({**latents.read_window_info(message), "published_ns": published_ns})

    def _send(self) -> None:
        """What is due by now, stamped a period apart, however late this timer is called; of the last second at most."""
        due = (self.robot.get_clock().now().nanoseconds - self._began_ns) // (PERIOD_MS * MS)
        for tick in range(max(self._tick, due - 10) + 1, due + 1):
            self._send_at(self._began_ns + tick * PERIOD_MS * MS)
        self._tick = max(self._tick, due)

    def _send_at(self, now_ns: int) -> None:
        if self.joints:
            self.robot.commands.publish(joint_message(now_ns, self.names, self.positions))
            self._measured_ns = self._measured_ns if self.hangs else now_ns
            self.robot.states.publish(joint_message(self._measured_ns, self.names, self.positions))
        if self.is_sending:
            self.robot.images.publish(image_message(now_ns, self.frames % 50))
            self.frames += 1

    # -- what a user does

    def begin(self) -> None:
        """Activate a node whose joints come on ``joint_states`` alone, as those of poses do."""
        robot = self.robot
        assert robot.change_state(Transition.TRANSITION_CONFIGURE) and robot.change_state(
            Transition.TRANSITION_ACTIVATE
        )
        self.description.publish(String(data=panda.URDF))
        assert robot.spin(lambda: self.goals.get_subscription_count() == 1)
        assert robot.spin(lambda: robot.count_publishers(f"{robot.predictor}/plan") == 1)
        robot.settle(0.3)

    def start(self, **values: Any) -> None:
        """Activate the node, known to this one, with a robot description."""
        robot = self.robot
        self.is_sending = self.joints = False
        robot.start(**values)
        self.description.publish(String(data=panda.URDF))
        topics = ("plan", "plan_energy", "planner_status")
        assert robot.spin(lambda: all(robot.count_publishers(f"{robot.predictor}/{topic}") == 1 for topic in topics))
        assert robot.spin(lambda: self.goals.get_subscription_count() == 1)
        robot.settle(0.2)
        self.is_sending = self.joints = True
        for received in (self.plans, self.energies, self.statuses, self.commands):
            received.clear()

    def aim(self, index: int = 40) -> None:
        """Publish a goal image."""
        self.robot.need_listeners(self.goals)
        self.goals.publish(image_message(self.robot.get_clock().now().nanoseconds, index))

    def execute(self, on: bool = True) -> tuple[bool, str]:
        """Call ~/execute."""
        response = self.robot.call(SetBool, "execute", SetBool.Request(data=on))
        return response.success, response.message

    def trigger(self, name: str) -> tuple[bool, str]:
        """Call ~/stop or ~/next_goal."""
        response = self.robot.call(Trigger, name, Trigger.Request())
        return response.success, response.message

    def is_planning(self, more: int = 2) -> bool:
        """Spin until so many more plans have come."""
        before = len(self.plans)
        return self.robot.spin(lambda: len(self.plans) >= before + more)

    def moves(self, more: int = 2) -> bool:
        """Spin until so many more commands have come."""
        before = len(self.commands)
        return self.robot.spin(lambda: len(self.commands) >= before + more)

    def run(self, **values: Any) -> None:
        """Activate, aim, and execute until commands come."""
        self.start(**values)
        self.aim()
        assert self.is_planning(), self.statuses[-1:]
        assert self.robot.spin(lambda: self.execute()[0]), self.execute()
        assert self.moves(), self.statuses[-1:]

    def ended(self, reason: str) -> dict[str, Any]:
        """Spin until execution has ended for a reason; the status that says so."""

        def found() -> list[dict[str, Any]]:
            return [status for status in self.statuses if status["end_reason"] == reason and not status["executing"]]

        assert self.robot.spin(lambda: bool(found())), self.statuses[-1:]
        return found()[0]

    def is_silent(self, *, plans: bool = True) -> bool:
        """Whether nothing comes on ``~/command`` for a while, what was on its way aside.

        Args:
            plans: whether plans go on meanwhile; they must.
        """
        self.robot.settle(0.3)
        before = len(self.commands)
        if plans:
            assert self.is_planning(3), self.statuses[-1:]
        self.robot.settle(0.5)
        return len(self.commands) == before
