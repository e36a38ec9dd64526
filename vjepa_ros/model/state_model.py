"""Where an action leads: the state one step later, for rollouts, in the units in which both are read.

Numbers in, numbers out: no latents, no time, no normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vjepa_ros.config.checks import require
from vjepa_ros.config.state_change import StateChange, require_dims
from vjepa_ros.geometry import Vector, pose_sum


@dataclass(frozen=True)
class StateModel:
    """How an action advances the state.

    Attributes:
        change: ``target``: the action is the next state; ``delta``: it is added; ``pose``: it is composed with the
            pose; ``none``: the state stays what it is.
        action_dim, state_dim: A and S.

    Raises:
        ConfigError: where actions of these dimensions cannot do this to states of those.
    """

    change: StateChange
    action_dim: int
    state_dim: int

    def __post_init__(self) -> None:
        require_dims(self.change, self.action_dim, self.state_dim)

    def require_dims(self, action_dim: int, state_dim: int) -> None:
        """Refuse to advance other states by other actions.

        Raises:
            ConfigError: where the dimensions are others.
        """
        for name, wanted, own in (
            ("action_dim", action_dim, self.action_dim), ("state_dim", state_dim, self.state_dim)
        ):  # fmt: skip
            require(own == wanted, name, f"is {wanted}, but {own} in the state model")

    def advance(self, states: Vector, actions: Vector) -> Vector:
        """(..., S) states and (..., A) actions, as they are read -> (..., S) the states one step later."""
        if self.change == "none":
            return states
        if self.change == "target":
            return actions
        return pose_sum(states, actions) if self.change == "pose" else states + actions

    def unroll(self, start: Vector, actions: Vector) -> Vector:
        """(..., S) states and (..., H, A) actions -> (..., H, S) the states after each action.

        The axes before the last ones are those of both, broadcast against each other.
        """
        horizon, lead = actions.shape[-2], np.broadcast_shapes(start.shape[:-1], actions.shape[:-2])
        states = np.empty((*lead, horizon, self.state_dim))
        last = np.broadcast_to(start, (*lead, self.state_dim))
        for step in range(horizon):
            last = states[..., step, :] = self.advance(last, actions[..., step, :])
        return states
