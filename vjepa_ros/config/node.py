"""What the parameters say, as a whole: validated, with presets and defaults filled in.

Values in, frozen configurations out; the only file it reads is the sidecar of the weights. It knows no ROS and builds
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vjepa_ros.config.checks import require
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.normalization import Normalization, normalization
from vjepa_ros.config.pose import POSE_NAMES, PoseConfig
from vjepa_ros.config.presets import model_config
from vjepa_ros.config.questions import QuestionConfig
from vjepa_ros.config.sidecar import JOINT_NORMALIZATION, Sidecar
from vjepa_ros.config.state_model import StateModel
from vjepa_ros.config.stream import SignalConfig, StreamConfig
from vjepa_ros.config.table import effective
from vjepa_ros.config.view import ViewConfig
from vjepa_ros.errors import CheckpointError, ConfigError


@dataclass(frozen=True)
class NodeConfig:
    """Everything that the parameters say.

    Attributes:
        model, stream: the model and the rules of time.
        view: what of a camera image is looked at.
        actions, states: their normalisation.
        state_model: how actions advance states, for the forecasts after the first; None where there are none.
        offsets_s: added to the stamps, by stream: ``image``, ``joint_commands``, ``joint_states``.
        max_skew_s: clocks of camera and joints further apart are warned about.
        convention_warnings: where the weights were trained with another convention, which was overridden.
        checkpoint, random_predictor, device, dtype, seed, threads, fast, compile_graphs: how the model is loaded and
            run.
        image_transport: ``raw`` or ``compressed``.
        lossless, queue_size, max_failures: how the worker works.
        forecast_only, wire_encoding, publish_context: what is published.
        questions: how questions about candidate actions are answered.
    """

    model: ModelConfig
    stream: StreamConfig
    view: ViewConfig
    actions: Normalization
    states: Normalization
    state_model: StateModel | None
    offsets_s: dict[str, float]
    max_skew_s: float
    convention_warnings: tuple[str, ...]
    checkpoint: str | None
    random_predictor: bool
    device: str
    dtype: str
    seed: int
    threads: int
    fast: bool
    compile_graphs: bool
    image_transport: str
    lossless: bool
    queue_size: int
    max_failures: int
    forecast_only: bool
    wire_encoding: str
    publish_context: bool
    questions: QuestionConfig


def resolve(values: Mapping[str, Any]) -> NodeConfig:
    """Validate parameters as a whole.

    Args:
        values: parameters by name; those left out have their defaults.

    Raises:
        ConfigError: naming the parameter at fault and why.
    """
    v = effective(values)
    if v["pose.source"] != "names":
        v["joint_names"], v["state_names"] = list(POSE_NAMES), []
        for name in ("action_dim",) if v["states.source"] == "none" else ("action_dim", "state_dim"):
            require(v[name] == len(POSE_NAMES), name, f"must be {len(POSE_NAMES)}, those of a pose, not {v[name]}")
    warnings = _apply_sidecar(v)
    overrides = {field.name: v[field.name] for field in fields(ModelConfig) if field.name != "preset"}
    model = model_config(v["preset"], **overrides)
    stream = _stream(v, model)
    actions, states = normalization("actions", v, model.action_dim), normalization("states", v, model.state_dim)
    return NodeConfig(
        model=model,
        stream=stream,
        view=ViewConfig(tuple(v["view.roi"]), v["view.rotation_deg"], v["view.flip"]),
        actions=actions,
        states=states,
        state_model=_state_model(stream, actions, states),
        offsets_s={name: v[f"time.offset_s.{name}"] for name in ("image", "joint_commands", "joint_states")},
        max_skew_s=v["time.max_skew_s"],
        convention_warnings=warnings,
        checkpoint=v["checkpoint"] or None,
        random_predictor=v["random_predictor"],
        device=v["device"],
        dtype=v["dtype"],
        seed=v["seed"],
        threads=v["threads"],
        fast=v["engine.fast"],
        compile_graphs=v["engine.compile"],
        image_transport=v["image_transport"],
        lossless=v["queue"] == "all",
        queue_size=v["queue_size"],
        max_failures=v["max_failures"],
        forecast_only=v["latents.steps"] == "forecast",
        wire_encoding=v["latents.dtype"],
        publish_context=v["latents.publish_context"],
        questions=QuestionConfig(**{field.name: v[f"candidates.{field.name}"] for field in fields(QuestionConfig)}),
    )


def _apply_sidecar(v: dict[str, Any]) -> tuple[str, ...]:
    """Take the normalisation of the weights' sidecar where none is set; where it names another convention, refuse.

    Returns:
        The differences, where they are overridden.
    """
    weights = Path(v["checkpoint"]).expanduser()
    if weights.suffix != ".safetensors":
        return ()
    try:
        sidecar = Sidecar.next_to(weights)
    except CheckpointError as error:
        raise ConfigError("checkpoint", str(error)) from error
    if sidecar is None:
        return ()
    for name in JOINT_NORMALIZATION:
        v[name] = v[name] or sidecar.normalization[name]
    differences = sidecar.differences(v)
    if differences and not v["override_convention"]:
        name, first = next(iter(differences.items()))
        others = "".join(f"; {name}: {text}" for name, text in list(differences.items())[1:])
        raise ConfigError(name, f"{first}{others}; to run them all the same, set override_convention: true")
    return tuple(f"{name}: {text}" for name, text in differences.items())


def _stream(v: dict[str, Any], model: ModelConfig) -> StreamConfig:
    state_names, named_by = (v["state_names"], "state_names") if v["state_names"] else (v["joint_names"], "joint_names")
    if v["states.source"] == "none":  # nothing is read: the names stand for dimensions only
        state_names = [f"zero_{index}" for index in range(model.state_dim)]
    return StreamConfig(
        num_frames=model.num_frames,
        stride=model.stride,
        phase=v["actions.phase"],
        hop=v["hop"],
        frame_rate_hz=v["frame_rate"],
        max_gap_s=v["window.max_gap_s"] or (2.5 / v["frame_rate"] if v["frame_rate"] else 1.0),
        jump_back_s=v["time.jump_back_s"],
        max_wait_s=v["actions.max_wait_s"],
        command_type=v["actions.type"],
        reduction=v["actions.reduction"],
        tail=v["actions.tail"],
        state_source=v["states.source"],
        commands=_signal("actions", "joint_names", v["joint_names"], v, "action_dim", model.action_dim),
        states=_signal("states", named_by, state_names, v, "state_dim", model.state_dim),
        horizon=v["latents.horizon"],
        pose=PoseConfig(**{field.name: v[f"pose.{field.name}"] for field in fields(PoseConfig)}),
    )


def _state_model(stream: StreamConfig, actions: Normalization, states: Normalization) -> StateModel | None:
    if stream.horizon == 1:
        return None
    try:
        return StateModel.of_stream(stream, actions, states)
    except ConfigError as error:
        raise ConfigError(error.parameter, f"{error.reason}; or set latents.horizon: 1") from error


def _signal(prefix: str, named_by: str, names: list[str], v: dict[str, Any], dim_name: str, dim: int) -> SignalConfig:
    require(len(set(names)) == len(names), named_by, f"names a joint twice: {names}")
    require(
        len(names) == dim, named_by,
        f"names {len(names)} joints, but {dim_name} is {dim}: name {dim}, or set {dim_name} for a model of your own",
    )  # fmt: skip
    return SignalConfig(
        prefix=prefix,
        joint_names=tuple(names),
        field=v[f"{prefix}.field"],
        alignment=v[f"{prefix}.alignment"],
        timeout_s=v[f"{prefix}.timeout_s"],
        on_missing=v[f"{prefix}.on_missing"],
        scale=tuple(map(float, v[f"{prefix}.scale"])) or (1.0,) * dim,
        offset=tuple(map(float, v[f"{prefix}.offset"])) or (0.0,) * dim,
    )
