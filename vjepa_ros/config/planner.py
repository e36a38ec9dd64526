"""How the node plans and what it may send: the parameters ``planner.*`` as values that refuse what makes no sense.

Frozen values only; it knows no files, no robot and no model. What a robot description says is judged where one is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vjepa_ros.config.checks import Refusal, refuse, require_choice
from vjepa_ros.config.planner_rows import COMMAND_TYPES, COSTS, SOLVERS, SPACES
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.errors import ConfigError, brief, quoted

TWIST = "TwistStamped"
JOINT_STATE = "JointState"
_TIP_DIMS = 3  # x, y, z
_MOST_NUMBERS = 20_000_000  # of all candidates of a plan, which are kept until the next one: 160 MB


@dataclass(frozen=True)
class PlannerConfig:
    """The parameters ``planner.*``; each is described in its row of the table.

    Attributes:
        enabled, execute: whether there are plans at all, and whether they may be sent to the robot.
        solver, samples, elites, iterations, momentum_mean, momentum_std, cost, seed: of the search.
        horizon: H, steps of a plan.
        decided_steps: how many of them are decided when it is made; 0 for as many as that takes.
        adapt: whether horizon and std are the most, and the search is finer near a goal.
        action_repeat: for how many steps what is drawn for one is kept up.
        sample_space, std, max_action, yaw, gripper, rest: what is searched in, and how widely.
        time_limit_s, max_age_s: how long a plan may take, and how old what it is made of may be.
        goals, goal_energy, goal_plans, goal_steps: a folder of sub-goals, and what ends each.
        goal_mask: left, top, right, bottom of the part of the picture that counts, as fractions; empty for all of it.
        patience, max_prediction_error, max_limit_hits, execute_steps: what ends execution.
        box_m, min_position, max_position, max_velocity, max_step: what bounds it.
        command_type: of what is sent.

    Raises:
        ConfigError: where a value or a combination makes no sense; it names the parameter.
    """

    enabled: bool
    solver: str
    samples: int
    samples_decay: float
    elites: int
    iterations: int
    horizon: int
    decided_steps: int
    adapt: bool
    action_repeat: int
    std: tuple[float, ...]
    momentum_mean: tuple[float, ...]
    momentum_std: tuple[float, ...]
    max_action: tuple[float, ...]
    cost: str
    sample_space: str
    yaw: bool
    gripper: str
    rest: tuple[float, ...]
    time_limit_s: float
    max_age_s: float
    patience: int
    goals: str
    goal_energy: tuple[float, ...]
    goal_plans: tuple[int, ...]
    goal_steps: tuple[int, ...]
    goal_mask: tuple[float, ...]
    max_prediction_error: float
    max_limit_hits: int
    box_m: tuple[float, ...]
    min_position: tuple[float, ...]
    max_position: tuple[float, ...]
    max_velocity: tuple[float, ...]
    max_step: tuple[float, ...]
    command_type: str
    execute: bool
    execute_steps: int
    seed: int

    def __post_init__(self) -> None:
        for name, choices in (
            ("solver", SOLVERS), ("cost", COSTS), ("sample_space", SPACES), ("command_type", COMMAND_TYPES)
        ):  # fmt: skip
            require_choice(getattr(self, name), f"planner.{name}", choices)
        refuse(self._refusals())

    def _refusals(self) -> Iterator[Refusal]:
        yield (
            self.elites > self.samples, "planner.elites",
            f"{self.elites} of {self.samples} planner.samples cannot be the best",
        )  # fmt: skip
        yield not any(self.std), "planner.std", f"{brief(list(self.std))} leaves nothing to plan"
        yield (
            len(self.box_m) not in (0, 6), "planner.box_m",
            f"must be six numbers, the lowest and the highest x, y, z, not {brief(list(self.box_m))}",
        )  # fmt: skip
        yield (
            any(low >= high for low, high in zip(self.box_m[:3], self.box_m[3:], strict=False)), "planner.box_m",
            f"{brief(list(self.box_m))}: its lowest corner is not below its highest one",
        )  # fmt: skip
        edges = zip(self.goal_mask[:2], self.goal_mask[2:], strict=False)
        yield (
            len(self.goal_mask) not in (0, 4) or any(low >= high for low, high in edges), "planner.goal_mask",
            "must be left, top, right, bottom as fractions of the picture, left below right and top below bottom, not "
            f"{brief(list(self.goal_mask))}",
        )  # fmt: skip
        both = zip(self.min_position, self.max_position, strict=False)
        yield (
            any(low > high for low, high in both), "planner.min_position",
            f"{brief(list(self.min_position))} is above planner.max_position, {brief(list(self.max_position))}",
        )  # fmt: skip
        yield (
            self.sample_space != "tip" and (self.yaw or bool(self.gripper)),
            "planner.yaw" if self.yaw else "planner.gripper", "belongs to planner.sample_space: tip",
        )  # fmt: skip
        yield self.sample_space != "tip" and bool(self.rest), "planner.rest", "belongs to planner.sample_space: tip"
        yield (
            self.yaw and bool(self.rest), "planner.rest",
            "says how the tip is turned, which planner.yaw would change: use one of the two",
        )  # fmt: skip
        yield self.execute and not self.enabled, "planner.execute", "needs planner.enabled: true"
        if self.execute:
            yield (
                not self.box_m, "planner.box_m",
                "is not set: without limits nothing is executed, and the box of the tip is one of them",
            )  # fmt: skip
            yield (
                self.max_prediction_error == 0, "planner.max_prediction_error",
                "is not set: execution needs a bound for how wrong forecasts may be; look at ~/prediction_error first",
            )  # fmt: skip

    @property
    def needs_robot(self) -> bool:
        """Whether anything asks for a robot description."""
        return self.execute or bool(self.box_m) or self.sample_space == "tip"

    def require_fit(self, stream: StreamConfig, no_state_change: ConfigError | None) -> None:
        """Refuse what does not go together with how actions and states are made.

        Args:
            stream: the rules of time.
            no_state_change: why nobody knows what actions do to states, None where it is known.

        Raises:
            ConfigError: naming the parameter.
        """
        if not self.enabled:
            return
        if no_state_change is not None:
            raise ConfigError(no_state_change.parameter, f"{no_state_change.reason}; or set planner.enabled: false")
        refuse(self._misfits(stream))

    def _misfits(self, stream: StreamConfig) -> Iterator[Refusal]:
        dims, joints = self.dims(stream), stream.commands.joint_names
        is_joints = not stream.are_actions_poses
        for name in ("std", "max_action", "momentum_mean", "momentum_std"):
            numbers = getattr(self, name)
            yield (
                len(numbers) not in ((0, 1, dims) if name == "max_action" else (1, dims)), f"planner.{name}",
                f"{len(numbers)} numbers for {dims} dimensions: one for all, or one for each",
            )  # fmt: skip
        drawn = self.samples * self.iterations * self.horizon * max(dims, stream.commands.dim)
        yield (
            drawn > _MOST_NUMBERS, "planner.samples",
            f"{self.samples} candidates of {self.horizon} steps in {self.iterations} iterations are {drawn:,} "
            f"numbers, more than {_MOST_NUMBERS:,}",
        )  # fmt: skip
        yield (
            self.horizon <= self._in_force(stream), "planner.horizon",
            "with actions.phase: first the first step's action is in force already, so at least 2 are needed",
        )  # fmt: skip
        yield (
            self.horizon <= self.decided_steps, "planner.horizon",
            f"{self.horizon} steps with planner.decided_steps: {self.decided_steps} leave nothing to plan",
        )  # fmt: skip
        yield (
            is_joints and stream.commands.field != "position", "planner.enabled",
            f"a plan is made of positions or motions of joints, and actions.field is {stream.commands.field}",
        )  # fmt: skip
        yield (
            stream.state_source != "joint_states" and stream.reducer.effect != "target" and not stream.has_origin,
            "planner.enabled",
            f"a plan of motions ({stream.reduction}) begins where the robot is: set states.source: joint_states",
        )  # fmt: skip
        if self.execute:
            yield (
                not stream.compared_steps, "planner.max_prediction_error",
                f"bounds nothing: with hop {stream.hop} and latents.horizon {stream.horizon} no forecast is of a step "
                f"that a later window ends with and that overlaps its own: {self._comparable(stream)}",
            )  # fmt: skip
        parameter = next((name for name, value in (
            ("planner.sample_space", self.sample_space == "tip"), ("planner.box_m", bool(self.box_m))
        ) if value), "planner.execute")  # fmt: skip
        yield (
            self.needs_robot and not stream.pose.tip_link, parameter,
            "the tip is found by robot_description: set pose.tip_link to its link there, and pose.base_link",
        )  # fmt: skip
        for name in ("min_position", "max_position", "max_velocity", "max_step"):
            numbers, most = getattr(self, name), len(joints)
            fine = (0, 1, most) if name in ("max_velocity", "max_step") else (0, most)
            yield (
                is_joints and len(numbers) not in fine, f"planner.{name}",
                f"{len(numbers)} numbers for {most} joints",
            )  # fmt: skip
        if self.sample_space == "tip":
            yield from self._of_tip(stream)

    @staticmethod
    def _comparable(stream: StreamConfig) -> str:
        """What makes forecasts comparable."""
        ahead = stream.hop // stream.stride
        if ahead * stream.stride < stream.num_frames:
            return f"set latents.horizon to {ahead} or more"
        return f"set hop to less than the {stream.num_frames} frames of a window"

    def _of_tip(self, stream: StreamConfig) -> Iterator[Refusal]:
        yield (
            stream.are_actions_poses, "planner.sample_space",
            "tip makes joint actions of motions of the tip, and these actions are poses: use actions",
        )  # fmt: skip
        yield (
            not stream.has_origin and (
                stream.state_source != "joint_states" or stream.states.joint_names != stream.commands.joint_names
                or stream.states.field != "position"
            ), "planner.sample_space",
            "tip begins where the joints are: states must be the measured positions of joint_names",
        )  # fmt: skip
        yield (
            len(self.rest) not in (0, stream.commands.dim), "planner.rest",
            f"{len(self.rest)} numbers for {stream.commands.dim} joints",
        )  # fmt: skip
        yield (
            stream.commands.is_scaled or stream.states.is_scaled, "planner.sample_space",
            "tip needs joints in rad and m: leave actions.scale, actions.offset and those of the states alone",
        )  # fmt: skip
        yield (
            bool(self.gripper) and self.gripper not in stream.commands.joint_names, "planner.gripper",
            f"{quoted(self.gripper)} is not one of joint_names",
        )  # fmt: skip

    def dims(self, stream: StreamConfig) -> int:
        """How many numbers stand for a step of a candidate."""
        return _TIP_DIMS + self.yaw + bool(self.gripper) if self.sample_space == "tip" else stream.commands.dim

    def each_goal(self, name: str, count: int) -> tuple[float, ...]:
        """What ``goal_energy``, ``goal_plans`` or ``goal_steps`` is for each of so many sub-goals.

        Raises:
            ConfigError: where there are as many numbers as neither one nor the sub-goals.
        """
        numbers: tuple[float, ...] = getattr(self, name)
        if len(numbers) not in (1, count):
            raise ConfigError(
                f"planner.{name}", f"{len(numbers)} numbers for {count} sub-goals: one for all, or one for each"
            )
        return numbers if len(numbers) == count else numbers * count

    def decided(self, stream: StreamConfig) -> int:
        """Actions of a plan that are decided before it can be made, however fast it is; with :attr:`decided_steps` set,
        however slow it is, too."""
        return max(self.decided_steps, self._in_force(stream))

    @staticmethod
    def _in_force(stream: StreamConfig) -> int:
        """Those that are in force already: that of a step which is read before its last frame."""
        return int(stream.phase_frames < stream.stride - 1)
