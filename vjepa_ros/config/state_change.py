"""What actions do to states, as it follows from how both are made of messages; or why nothing follows.

It knows no arithmetic (:mod:`vjepa_ros.model.state_model` has it) and no latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from vjepa_ros.config.checks import require, require_choice
from vjepa_ros.config.pose import POSE_NAMES
from vjepa_ros.config.reductions import REDUCTIONS, Effect
from vjepa_ros.config.stream import StreamConfig

StateChange = Effect | Literal["none"]
"""What a reduction says that its actions do, or ``none``: the state stays what it is."""


def change_of_convention(convention: Mapping[str, Any]) -> StateChange:
    """What actions do that are made by these parameters: a preset's, or a sidecar's.

    Raises:
        ConfigError: where they do not say how actions are made, or nothing follows for states.
    """
    reduction = convention.get("actions.reduction")
    require(
        reduction is not None, "actions.reduction",
        "is not in the preset, so nobody knows how actions advance states: set it there, or give a state model",
    )  # fmt: skip
    return _change(str(reduction), convention.get("states.source"))


def change_of_stream(config: StreamConfig) -> StateChange:
    """What the actions of windows do that are made by these rules.

    Raises:
        ConfigError: where the actions say nothing about the states; it names the parameter. Windows of such a
            configuration can be predicted from, but not rolled out.
    """
    change = _change(config.reduction, config.state_source)
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
    require_dims(change, config.commands.dim, config.states.dim)
    return change


def require_dims(change: StateChange, action_dim: int, state_dim: int) -> None:
    """Refuse actions that cannot do this to states of these dimensions.

    Raises:
        ConfigError: naming the parameter.
    """
    require(
        change == "none" or action_dim == state_dim,
        "state_dim", f"{state_dim} state dimensions cannot be advanced by {action_dim} action dimensions ({change})",
    )  # fmt: skip
    require(
        change != "pose" or action_dim == len(POSE_NAMES), "action_dim",
        f"a pose has {len(POSE_NAMES)} dimensions (x, y, z, three Euler angles, gripper), not {action_dim}",
    )  # fmt: skip


def _change(reduction: str, state_source: str | None) -> StateChange:
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
