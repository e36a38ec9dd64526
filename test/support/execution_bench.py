"""An execution without ROS, whose clock stands still, and what it sends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from support import panda
from support.configurations import JOINTS
from vjepa_ros.config.node import resolve
from vjepa_ros.planning.arm import Arm
from vjepa_ros.planning.command import Command, Step
from vjepa_ros.planning.execution import Execution
from vjepa_ros.units import S_TO_NS

READY = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])
PERIOD_S = 0.25
NOW_NS = 1_700_000_000 * S_TO_NS


class Sent:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.rests = 0

    def send(self, command: Command) -> None:
        self.commands.append(command)

    def rest(self) -> None:
        self.rests += 1


class Bench:
    """An execution that is on."""

    def __init__(self, **values: Any) -> None:
        given = {
            "enabled": True, "execute": True, "box_m": [-2.0, -2.0, -2.0, 2.0, 2.0, 2.0], "max_prediction_error": 0.5,
            **values,
        }  # fmt: skip
        parameters = {f"planner.{name}": value for name, value in given.items()}
        config = resolve({"joint_names": JOINTS, "pose.tip_link": "panda_hand", **parameters})
        self.sent = Sent()
        self.ends: list[str] = []
        self.noted: list[Command] = []
        self.now_ns = NOW_NS
        self.execution = Execution(
            config.planner, self.sent, lambda reason, detail: self.ends.append(reason), lambda: self.now_ns
        )
        self.arm = Arm(panda.URDF, config.planner, config.stream.pose, JOINTS)

    def on(self) -> Bench:
        self.execution.describe(self.arm)
        self.see()
        self.execution.switch_on()
        return self

    def see(self, age_s: float = 0.0) -> None:
        """Joints and a window as old as that."""
        self.joints(age_s)
        self.execution.prediction_error(0.1)
        self.execution.window(self.now_ns - round(age_s * S_TO_NS), 0.1)

    def joints(self, age_s: float = 0.0, by: float = 0.0) -> None:
        """All joints, as they were so long ago."""
        self.execution.measured(slice(None), READY + by, self.now_ns - round(age_s * S_TO_NS))

    def offer(self, energy: float = 1.0, by: float = 0.01, **changes: Any) -> bool:
        return self.execution.offer(replace(self.step(READY + by), energy=energy, **changes), self.noted.append)

    def pose(self, pose: np.ndarray) -> bool:
        return self.execution.offer(replace(self.step(pose), is_pose=True))

    def step(self, target: np.ndarray) -> Step:
        """One that begins now."""
        return Step(1.0, target, False, self.now_ns, self.now_ns + round(PERIOD_S * S_TO_NS))
