"""Where an action leads: the state one step later, for rollouts, in the units that the model sees.

A state model follows from how actions and states are made of messages. Numbers in, numbers out: no latents, no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vjepa_ros.config.checks import require, require_choice
from vjepa_ros.config.normalization import Normalization, normalization
from vjepa_ros.config.reductions import POSE_DIM, REDUCTIONS, Effect
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.geometry import Vector, pose_sum

Kind = Effect | Literal["none"]


@dataclass(frozen=True)
class StateModel:
    """How an action advances the state.

    Attributes:
        kind: ``target``: the action is the next state; ``delta``: it is added; ``pose``: it is composed with the pose;
            ``none``: the state stays what it is.
        actions, states: what was done to them before the model sees them; the state model undoes it, and does it again.

    Raises:
        ConfigError: where actions of these dimensions cannot do this to states of those.
    """

    kind: Kind
    actions: Normalization
    states: Normalization

    def __post_init__(self) -> None:
        a, s = len(self.actions.mean), len(self.states.mean)
        require(
            self.kind == "none" or a == s,
            "state_dim", f"{s} state dimensions cannot be advanced by {a} action dimensions ({self.kind})",
        )  # fmt: skip
        require(
            self.kind != "pose" or a == POSE_DIM,
            "action_dim", f"a pose has {POSE_DIM} dimensions (x, y, z, three Euler angles, gripper), not {a}",
        )  # fmt: skip

    @classmethod
    def of_convention(cls, convention: Mapping[str, Any], action_dim: int, state_dim: int) -> StateModel:
        """The state model of actions that are made by these parameters: a preset's or a sidecar's.

        Raises:
            ConfigError: where they do not say how actions are made, or no state follows from it.
        """
        reduction = convention.get("actions.reduction")
        require(
            reduction is not None, "actions.reduction",
            "is not in the preset, so nobody knows how actions advance states: set it there, or give a state model",
        )  # fmt: skip
        kind = _kind(str(reduction), convention.get("states.source"))
        actions, states = (
            normalization(prefix, convention, dim) for prefix, dim in (("actions", action_dim), ("states", state_dim))
        )
        return cls(kind, actions, states)

    @classmethod
    def of_stream(cls, config: StreamConfig, actions: Normalization, states: Normalization) -> StateModel:
        """The state model of windows that are made by these rules.

        Raises:
            ConfigError: where the actions say nothing about the states; it names the parameter. Windows of such a
                configuration can be predicted from, but not rolled out.
        """
        kind = _kind(config.reduction, config.state_source)
        if config.state_source == "joint_states":
            require(
                config.commands.joint_names == config.states.joint_names,
                "state_names", "a rollout advances the state by the commands: the joints and their order must be "
                f"those of joint_names, {list(config.commands.joint_names)}",
            )  # fmt: skip
            require(
                not config.reducer.of_messages or config.states.field == "position",
                "states.field", "a rollout adds the sum of the commands, which are motions, to the states: that makes "
                f"positions of positions, and nothing of {config.states.field}",
            )  # fmt: skip
            require(
                config.reducer.of_messages or config.commands.field == config.states.field,
                "states.field", f"a rollout advances the state by the commands: {config.commands.field} commands say "
                f"nothing about {config.states.field}",
            )  # fmt: skip
        return cls(kind, actions, states)

    def require_dims(self, action_dim: int, state_dim: int) -> None:
        """Refuse to advance other states by other actions.

        Raises:
            ConfigError: where the dimensions are others.
        """
        for name, wanted, own in (("action_dim", action_dim, self.actions), ("state_dim", state_dim, self.states)):
            require(len(own.mean) == wanted, name, f"is {wanted}, but {len(own.mean)} in the state model")

    def advance(self, states: Vector, actions: Vector) -> Vector:
        """(..., S) states and (..., A) actions, as the model sees them -> (..., S) the states one step later."""
        if self.kind == "none":
            return states
        before, action = self.states.undo(states), self.actions.undo(actions)
        if self.kind == "target":
            after = action
        else:
            after = pose_sum(before, action) if self.kind == "pose" else before + action
        return self.states.apply(after)

    def unroll(self, start: Vector, actions: Vector) -> Vector:
        """(1, S) a state and (K, H, A) actions -> (K, H, S) the states after each of them."""
        candidates, horizon, _ = actions.shape
        states = np.empty((candidates, horizon, start.shape[-1]))
        last = np.repeat(start, candidates, axis=0)  # (K, S)
        for step in range(horizon):
            last = states[:, step] = self.advance(last, actions[:, step])
        return states


def _kind(reduction: str, state_source: str | None) -> Kind:
    if state_source == "none":
        return "none"
    require_choice(reduction, "actions.reduction", REDUCTIONS)
    how = REDUCTIONS[reduction]
    what, measured = ("pose differences", "poses") if how.effect == "pose" else (reduction, "states")
    # State k is then the command at step k-1, so it is advanced by the change from there to step k: an action that
    # reaches from k to k+1 comes a step too late.
    require(
        not (state_source == "commands" and how.reaches_ahead and not how.of_messages),
        "states.source", f"commands as states are a step behind {what}: a rollout needs measured {measured}",
    )  # fmt: skip
    return how.effect
