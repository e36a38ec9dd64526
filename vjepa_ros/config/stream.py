"""How stamped messages become windows: the rules of time as frozen values that refuse what makes no sense.

Like the rest of the configuration they have no defaults of their own, and know no files, messages or models.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from vjepa_ros.config.checks import Refusal, refuse, require, require_choice, require_finite
from vjepa_ros.config.inputs import COMMAND_TYPES, INPUTS, STATE_TYPES, CommandType, StateType
from vjepa_ros.config.pose import PoseConfig
from vjepa_ros.config.reductions import REDUCTIONS, Reduction
from vjepa_ros.errors import brief

Phase = Literal["first", "last"]
OnMissing = Literal["skip", "hold", "zero"]
Alignment = Literal["hold", "linear", "nearest"]
Tail = Literal["hold", "zero", "trajectory"]
Field = Literal["position", "velocity", "effort"]
StateSource = Literal["joint_states", "commands", "none"]

PHASES: tuple[str, ...] = get_args(Phase)
ON_MISSING: tuple[str, ...] = get_args(OnMissing)
ALIGNMENTS: tuple[str, ...] = get_args(Alignment)
TAILS: tuple[str, ...] = get_args(Tail)
FIELDS: tuple[str, ...] = get_args(Field)
STATE_SOURCES: tuple[str, ...] = get_args(StateSource)

_SLOWEST_HZ = 1e-4  # one frame in some three hours


@dataclass(frozen=True)
class SignalConfig:
    """How one stream of joint values is picked out of its messages and read at a time.

    Attributes:
        prefix: of its parameters, ``actions`` or ``states``.
        joint_names: the joints, in the order of the model's dimensions.
        field: which of a joint's values is taken.
        alignment: the value at a time: the newest before it, between that and the next, or the nearest.
        timeout_s: a value older than this is missing.
        on_missing: what a step gets whose value is missing: ``skip`` its window, ``hold`` the old value, or ``zero``.
        scale, offset: one number per joint; a value read is value * scale + offset.
    """

    prefix: str
    joint_names: tuple[str, ...]
    field: Field
    alignment: Alignment
    timeout_s: float
    on_missing: OnMissing
    scale: tuple[float, ...]
    offset: tuple[float, ...]

    def __post_init__(self) -> None:
        require_choice(self.field, f"{self.prefix}.field", FIELDS)
        require_choice(self.alignment, f"{self.prefix}.alignment", ALIGNMENTS)
        require_choice(self.on_missing, f"{self.prefix}.on_missing", ON_MISSING)
        require_finite(f"{self.prefix}.timeout_s", self.timeout_s, above_zero=True)
        for name, numbers in (("scale", self.scale), ("offset", self.offset)):
            require(
                len(numbers) == len(self.joint_names) and all(map(math.isfinite, numbers)),
                f"{self.prefix}.{name}",
                f"must be {len(self.joint_names)} finite numbers, one a joint, not {brief(numbers)}",
            )  # fmt: skip

    @property
    def dim(self) -> int:
        """Joints, which is dimensions of the action or state."""
        return len(self.joint_names)

    @cached_property  # asked with every message
    def is_scaled(self) -> bool:
        """Whether scale and offset change anything."""
        return any(scale != 1 for scale in self.scale) or any(self.offset)


@dataclass(frozen=True)
class StreamConfig:
    """The rules of time.

    Attributes:
        num_frames: N, the frames of a window.
        stride: sampled frames per step.
        phase: at which frame of its stride a step is read.
        hop: sampled frames between the starts of two consecutive windows.
        frame_rate_hz: sampling rate of the frames; 0 takes every frame.
        max_gap_s: source frames further apart than this restart the window.
        jump_back_s: a frame older than the newest by this much resets everything; by less, it is dropped.
        max_wait_s: a window is resolved at the latest when a frame this much newer than its last needed time arrives.
        command_type: the type of the command messages, one of :data:`~vjepa_ros.config.inputs.COMMAND_TYPES`.
        reduction: how the commands of a step become its action (rule 6), one of
            :data:`~vjepa_ros.config.reductions.REDUCTIONS`.
        tail: what the last action is made of where it reaches into the future.
        state_type: the type of the messages with measured joints, one of
            :data:`~vjepa_ros.config.inputs.STATE_TYPES`.
        state_source: where states come from; ``commands`` are those of the previous step, ``none`` is zeros.
        commands: how commands are read.
        states: how states are read.
        horizon: H, the forecasts that a window is asked for; they need H-1 actions after its last one.
        pose: where end-effector poses come from, if actions and states are such.

    Raises:
        ConfigError: where a value or a combination makes no sense; it names the parameter.
    """

    num_frames: int
    stride: int
    phase: Phase
    hop: int
    frame_rate_hz: float
    max_gap_s: float
    jump_back_s: float
    max_wait_s: float
    command_type: str
    reduction: str
    tail: Tail
    state_type: str
    state_source: StateSource
    commands: SignalConfig
    states: SignalConfig
    horizon: int
    pose: PoseConfig

    def __post_init__(self) -> None:
        require_choice(self.phase, "actions.phase", PHASES)
        require_choice(self.command_type, "actions.type", COMMAND_TYPES)
        require_choice(self.reduction, "actions.reduction", REDUCTIONS)
        require_choice(self.tail, "actions.tail", TAILS)
        require_choice(self.state_type, "states.type", STATE_TYPES)
        require_choice(self.state_source, "states.source", STATE_SOURCES)
        require(
            self.hop >= 1 and self.hop % self.stride == 0,
            "hop", f"{self.hop} frames is not a positive multiple of the {self.stride} frames of a step",
        )  # fmt: skip
        require_finite("frame_rate", self.frame_rate_hz)
        require(
            self.frame_rate_hz == 0 or self.frame_rate_hz >= _SLOWEST_HZ,
            "frame_rate", f"{self.frame_rate_hz} Hz is slower than {_SLOWEST_HZ} Hz; 0 takes every frame",
        )  # fmt: skip
        require_finite("window.max_gap_s", self.max_gap_s, above_zero=True)
        require(
            self.frame_rate_hz == 0 or self.max_gap_s * self.frame_rate_hz >= 1,
            "window.max_gap_s", f"{self.max_gap_s} s is shorter than a sampling period; every frame would restart it",
        )  # fmt: skip
        require_finite("time.jump_back_s", self.jump_back_s, above_zero=True)
        require_finite("actions.max_wait_s", self.max_wait_s)
        require(self.horizon >= 1, "latents.horizon", f"must be a whole number of at least 1, not {self.horizon}")
        refuse(self.reducer.refusals(self))
        refuse(self.command_kind.refusals(self))
        refuse(self._refusals_of_poses())
        refuse(self._refusals_of_the_future())
        refuse(self._refusals_of_states())

    def _refusals_of_poses(self) -> Iterator[Refusal]:
        is_pose, commands = self.pose.is_made_here, self.commands
        yield (
            is_pose and (commands.field, self.states.field) != ("position", "position"), "actions.field",
            "end-effector poses are made of positions: leave it and states.field at position",
        )  # fmt: skip
        yield (
            is_pose and commands.alignment == "linear", "actions.alignment",
            "linear is wrong for Euler angles, which wrap around: use hold or nearest",
        )  # fmt: skip
        for signal in (commands, self.states):
            yield (
                is_pose and signal.is_scaled, f"{signal.prefix}.scale",
                "a pose must be in m and rad already: a rotation cannot be scaled angle by angle",
            )  # fmt: skip
        yield (
            self.are_states_poses and self.states.alignment == "linear", "states.alignment",
            "linear is wrong for the Euler angles of a pose, which wrap around: use hold or nearest",
        )  # fmt: skip

    def _refusals_of_the_future(self) -> Iterator[Refusal]:
        is_trajectory, reaches_ahead = self.reads_measured_commands, self.reducer.reaches_ahead
        yield (
            self.tail != "hold" and not reaches_ahead, "actions.tail",
            f"the reduction {self.reduction} does not reach into the future: leave it at hold",
        )  # fmt: skip
        yield (
            self.tail == "trajectory" and not is_trajectory, "actions.tail",
            "trajectory reads the future points of JointTrajectory commands: set actions.type",
        )  # fmt: skip
        yield (
            self.tail == "hold" and reaches_ahead and self.steps < 2, "actions.tail",
            "hold repeats the action before the last, and the window has one step only: use zero",
        )  # fmt: skip
        yield (
            self.horizon > 1 and is_trajectory and self.steps < 2 and self.frame_rate_hz == 0, "latents.horizon",
            "with frame_rate 0 and one step in the window nothing says how far ahead to read the trajectory: use 1",
        )  # fmt: skip

    def _refusals_of_states(self) -> Iterator[Refusal]:
        yield (
            self.state_source == "commands" and self.states.dim != self.commands.dim, "states.source",
            f"commands have {self.commands.dim} dimensions and states {self.states.dim}",
        )  # fmt: skip

    @property
    def reducer(self) -> Reduction:
        """What the reduction is."""
        return REDUCTIONS[self.reduction]

    @property
    def command_kind(self) -> CommandType:
        """What the type of the commands is."""
        return COMMAND_TYPES[self.command_type]

    @property
    def state_kind(self) -> StateType:
        """What the type of the measured joints is."""
        return STATE_TYPES[self.state_type]

    @property
    def are_actions_poses(self) -> bool:
        """Whether an action is a pose or a difference of poses: metres, radians and how far the gripper is closed."""
        return self.pose.is_made_here or self.reducer.effect == "pose"

    @property
    def are_states_poses(self) -> bool:
        """Whether a state is a pose: one that is made here, or what pose differences are measured against."""
        return self.pose.is_made_here or (
            self.reducer.effect == "pose" and self.state_source == "joint_states"
            and self.states.joint_names == self.commands.joint_names
        )  # fmt: skip

    @property
    def has_origin(self) -> bool:
        """Whether it is the commands that say where an action begins: differences of targets, and no states."""
        return self.state_source == "none" and self.reducer.effect == "delta" and not self.reducer.of_messages

    @property
    def reads_measured_commands(self) -> bool:
        """Whether measured values of the commanded joints are needed: before a trajectory's first point."""
        return self.command_kind.is_trajectory and self.action_topic == "joint_commands"

    @property
    def measured_actions(self) -> bool:
        """Whether actions are made of what states are made of: measured poses."""
        return self.pose.is_made_here and self.pose.actions == "measured"

    @property
    def action_topic(self) -> str:
        """Which of the inputs actions come from."""
        if self.pose.source == "pose_topic":
            return "end_effector_pose" if self.measured_actions else "commanded_pose"
        return "joint_states" if self.measured_actions else "joint_commands"

    @property
    def state_topic(self) -> str:
        """Which of the inputs states come from, or ``none``."""
        measured = "end_effector_pose" if self.pose.source == "pose_topic" else "joint_states"
        return {"joint_states": measured, "commands": self.action_topic, "none": "none"}[self.state_source]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Those of :data:`~vjepa_ros.config.inputs.INPUTS` that are read."""
        return tuple(name for name, row in INPUTS.items() if row.is_read(self))

    def ros_type(self, name: str) -> str:
        """The type of an input's messages."""
        row = INPUTS[name]
        decided = {"actions.type": self.command_kind.ros_type, "states.type": self.state_kind.ros_type}
        return row.ros_type or decided[row.typed_by]

    @property
    def reaches_ahead(self) -> bool:
        """Whether the last action is about an interval that ends after the window."""
        return self.reducer.reaches_ahead

    @property
    def steps(self) -> int:
        """T', the steps of a window."""
        return self.num_frames // self.stride

    @property
    def compared_steps(self) -> tuple[int, ...]:
        """How many steps ahead forecasts are compared: those of the end of a later window that overlaps their own."""
        most = min(self.horizon, (self.num_frames - 1) // self.stride)
        return tuple(ahead for ahead in range(1, most + 1) if ahead * self.stride % self.hop == 0)

    @property
    def phase_frames(self) -> int:
        """Index, inside its stride, of the frame at which a step is read."""
        return 0 if self.phase == "first" else self.stride - 1

    @property
    def step_frames(self) -> range:
        """e(k) for k = 0..T'-1: the frames of a window at which actions and states are read (rule 6)."""
        return range(self.phase_frames, self.num_frames, self.stride)
