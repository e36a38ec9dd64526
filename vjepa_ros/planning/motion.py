"""What actions mean to the robot: where its joints, or its tip, are after each; and the steps of a plan in time.

Windows and arrays in, arrays out; no ROS, no clock, no models but that of the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.planner import PlannerConfig
from vjepa_ros.config.stream import SignalConfig, StreamConfig
from vjepa_ros.errors import InputError
from vjepa_ros.geometry import Vector, pose_delta, pose_sum
from vjepa_ros.planning.arm import Arm
from vjepa_ros.planning.spaces import ActionSpace, Space, TipSpace
from vjepa_ros.stream.window import Window
from vjepa_ros.units import S_TO_NS, to_ns

Array = NDArray[Any]
"""Of float64."""
_INSIDE_M = 0.005  # how far candidates stay inside of the box: rounding, or a way that is bent, keeps no command back


@dataclass(frozen=True)
class Steps:
    """The steps of a plan in time.

    Attributes:
        start_ns: when the newest observed step was read; the first action is in force from then on.
        period_ns: of a step.
    """

    start_ns: int
    period_ns: int

    @classmethod
    def of(cls, window: Window, stream: StreamConfig) -> Steps:
        """Those after a window.

        Raises:
            InputError: ``no_period`` where nothing says how long a step lasts.
        """
        stamps = window.step_stamps_ns
        if stream.frame_rate_hz:
            period_ns = to_ns(stream.stride / stream.frame_rate_hz)
        elif len(stamps) > 1:
            period_ns = (stamps[-1] - stamps[0]) // (len(stamps) - 1)
        else:
            period_ns = 0
        if period_ns <= 0:
            raise InputError("no_period", "nothing says how long a step lasts: set frame_rate")
        return cls(stamps[-1], period_ns)

    @property
    def period_s(self) -> float:
        """Of a step."""
        return self.period_ns / S_TO_NS

    def begins_ns(self, step: int) -> int:
        """When an action begins to be in force."""
        return self.start_ns + step * self.period_ns

    def decided(self, ready_ns: int, least: int, most: int) -> int:
        """How many of the first actions are decided by the time that a plan is there: an action may begin up to half a
        step late."""
        return int(np.clip((ready_ns - self.start_ns + self.period_ns // 2) // self.period_ns, least, most))


class Motion:
    """What the actions of a configuration do.

    Args:
        config: the node's.

    Attributes:
        is_of_tip: whether actions are about the pose of the tip, not about joints.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._stream = stream = config.stream
        self._effect = stream.reducer.effect
        self.is_of_tip = stream.are_actions_poses
        self.joint_names: Sequence[str] = () if self.is_of_tip else stream.commands.joint_names

    @staticmethod
    def start(window: Window) -> Vector:
        """(S,) where the robot is at a window's newest step, or (A,) where it was sent before it."""
        return window.states.values[-1] if window.origin is None else window.origin

    def reached(self, state: Vector, actions: Array) -> Array:
        """(S,) where a plan starts and (H, A) actions -> (H, A) joints, in rad and m, or poses, after each."""
        signal = self._placed
        found = np.asarray(actions, np.float64)
        if self._effect != "target":
            rows, now = [], np.asarray(state, np.float64)
            for action in found:
                now = pose_sum(now, action) if self._effect == "pose" else now + action
                rows.append(now)
            found = np.array(rows)
        joints: Array = (found - np.array(signal.offset)) / np.array(signal.scale)
        return joints

    def action(self, state: Vector, actions: Array, sent: Vector) -> Vector:
        """(A,) the last one of a plan's first actions, as it was sent: what leads from the ones before it to there.

        Args:
            state: (S,) where the plan starts.
            actions: (n, A) its first actions, the last of which was sent otherwise.
            sent: (A,) joints, in rad and m, or the pose, as :meth:`reached` has them.
        """
        signal = self._placed
        after: Vector = sent * np.array(signal.scale) + np.array(signal.offset)
        if self._effect == "target":
            return after
        before = np.asarray(state, np.float64)
        if len(actions) > 1:
            before = self.reached(state, actions[:-1])[-1] * np.array(signal.scale) + np.array(signal.offset)
        return pose_delta(before, after) if self._effect == "pose" else after - before

    @property
    def _placed(self) -> SignalConfig:
        """In whose units that is where actions lead."""
        is_of_commands = self._effect == "target" or self._stream.has_origin
        return self._stream.commands if is_of_commands else self._stream.states

    def resting(self, last: Vector, *, is_executing: bool) -> Vector:
        """(A,) the action of a step in which nothing is sent, after one: of a robot that nobody else commands, none; of
        others what windows take it for too."""
        if self._effect == "target":
            return last
        return np.zeros_like(last) if is_executing else self._stream.reducer.held(last)

    @property
    def holds(self) -> bool:
        """Whether an action is a target, which holds until another one comes."""
        return self._effect == "target"

    def space(self, planner: PlannerConfig, arm: Arm | None, state: Vector, committed: Array) -> Space:
        """What candidates are drawn in.

        Args:
            planner: which.
            arm: None before there is a robot description.
            state: (S,) where the plan starts.
            committed: (n, A) the actions before those that are drawn.

        Raises:
            InputError: ``no_robot_description``.
        """
        if planner.sample_space != "tip":
            return ActionSpace(self._stream.commands.dim)
        if arm is None:
            raise InputError("no_robot_description", "without it there is no way from the tip to the joints")
        start = self.reached(state, committed)[-1] if len(committed) else np.asarray(state, np.float64)
        names = list(self._stream.commands.joint_names)
        missing = [name for name in arm.kinematics.joint_names if name not in names]
        if missing:
            raise InputError("no_tip", f"joint {missing[0]!r} carries the tip, and is not one of joint_names")
        chain = tuple(names.index(n) for n in arm.kinematics.joint_names)
        rest = np.array(planner.rest) if planner.rest else start
        return TipSpace(
            arm.kinematics, arm.inverse(rest), start, chain,
            "target" if self.holds else "delta", _inside(arm.box_m), planner.yaw,
            names.index(planner.gripper) if planner.gripper else None,
            arm.tip(rest)[:3, :3] if planner.rest else None,
        )  # fmt: skip

    def bounds(self, planner: PlannerConfig, arm: Arm | None, rest: Vector, steps: int) -> tuple[Array, Array, Array]:
        """What candidates are drawn around and clipped to, (steps, dims) each.

        Args:
            planner: how far one step goes at most.
            arm: its limits are kept where actions are targets of joints.
            rest: (A,) the action of a robot that stays where it is.
            steps: that are drawn.
        """
        most = np.array(planner.max_action or (np.inf,))
        if planner.sample_space == "tip" or not self.holds:
            dims = planner.dims(self._stream)
            far = np.broadcast_to(most, (steps, dims))
            return np.zeros((steps, dims)), -far, far
        mean = np.broadcast_to(rest, (steps, len(rest)))
        far = most * np.arange(1, steps + 1)[:, None]
        low, high = mean - far, mean + far
        if arm is not None and not self.is_of_tip:
            signal, few = self._stream.commands, slice(len(rest))
            ends = np.stack([arm.lower[few], arm.upper[few]]) * np.array(signal.scale) + np.array(signal.offset)
            low, high = np.maximum(low, ends.min(axis=0)), np.minimum(high, ends.max(axis=0))
        return mean, low, high


def _inside(box_m: Vector) -> tuple[Vector, Vector]:
    """(2, 3) a box -> the corners of a slightly smaller one; infinite sides stay."""
    low, high = box_m
    margin = np.minimum(_INSIDE_M, (high - low) / 4)
    return low + margin, high - margin
