"""A planner in another process, to begin yours from. Goals go to the predictor's ``~/goal_image``."""

from contextlib import suppress
from typing import Any

import numpy as np
import rclpy.executors
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray, MultiArrayDimension, MultiArrayLayout, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vjepa_ros import latents


class LatentPlanner(Node):
    """Publishes the best of 64 ways of 3 steps, the first already in force. It knows no limits (docs/safety.md)."""

    def __init__(self, predictor: str = "/vjepa_predictor") -> None:
        super().__init__("latent_planner")
        self.info, self.asked = dict[str, Any](), dict[float, tuple[Any, Any]]()
        latched, read = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL), self.create_subscription
        read(String, f"{predictor}/latent_info", lambda m: self.info.update(latents.read_info(m)), latched)
        read(Image, f"{predictor}/predicted_latents", self.on_latents, 10)
        read(DiagnosticArray, f"{predictor}/window_info", lambda m: self.ask(latents.read_window_info(m)), 10)
        read(Float32MultiArray, f"{predictor}/candidate_energies", self.on_energies, 10)
        self.questions = self.create_publisher(Float32MultiArray, f"{predictor}/candidates", 10)
        self.plans = self.create_publisher(JointTrajectory, "~/plan", 10)
        self.create_timer(1.0, lambda: None)  # once woken, rclpy sees the signal to end also where it missed it

    def on_latents(self, message: Image) -> None:
        self.forecast = latents.read(message, self.info).array if self.info else None  # (steps, H', W', D): for you

    def ask(self, window: dict[str, Any]) -> None:
        if self.info.get("reduction") == "pick":  # actions are joint targets; other ones need more than is here
            ways = np.random.normal(0, 0.05, (64, 3, len(window["actions"][-1]))) * [[[0.0], [1.0], [1.0]]]  # rad
            tag, candidates = float(np.random.randint(2**24)), window["actions"][-1] + ways.cumsum(axis=1)
            self.asked = {**dict([*self.asked.items()][-9:]), tag: (window["step_stamps"], candidates)}
            axes = zip(("candidate", "step", "joint"), candidates.shape, strict=True)
            layout = MultiArrayLayout(dim=[MultiArrayDimension(label=axis, size=n) for axis, n in axes], data_offset=1)
            self.questions.publish(Float32MultiArray(layout=layout, data=[tag, *candidates.ravel()]))  # offset: the tag

    def on_energies(self, message: Float32MultiArray) -> None:
        if message.data[0] in self.asked:  # else it is an answer to somebody else
            stamps, candidates = self.asked.pop(message.data[0])
            plan = JointTrajectory(joint_names=self.info["joint_names"])
            plan.header.stamp.sec, plan.header.stamp.nanosec = divmod(stamps[-1], 10**9)
            for step, row in enumerate(candidates[np.argmin(message.data[3::3])], start=1):  # lowest at its last step
                end = Duration(nanoseconds=step * (stamps[-1] - stamps[-2])).to_msg()
                plan.points.append(JointTrajectoryPoint(positions=row, time_from_start=end))
            self.plans.publish(plan)


if __name__ == "__main__":
    rclpy.init()
    with suppress(KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        rclpy.spin(LatentPlanner())
