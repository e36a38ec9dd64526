"""What the parameters say, as a whole: validated, with presets and defaults filled in.

Values in, frozen configurations out; the only files it reads are the preset and the sidecar of the weights, each once.
It knows no ROS and builds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vjepa_ros.config.checks import require
from vjepa_ros.config.limits import ImageLimits, MessageLimits
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.config.own_weights import checkpoint_of, require_own_sizes
from vjepa_ros.config.parts import (
    BondConfig,
    CameraConfig,
    CandidatesConfig,
    ClockConfig,
    EngineConfig,
    LatentsConfig,
    WeightsConfig,
    WorkerConfig,
    part,
)
from vjepa_ros.config.planner import PlannerConfig
from vjepa_ros.config.pose import POSE_NAMES, PoseConfig
from vjepa_ros.config.presets import model_of
from vjepa_ros.config.sidecar import JOINT_NORMALIZATION, Sidecar
from vjepa_ros.config.state_change import StateChange, change_of_stream
from vjepa_ros.config.stream import SignalConfig, StreamConfig
from vjepa_ros.config.table import effective
from vjepa_ros.config.view import ViewConfig
from vjepa_ros.errors import CheckpointError, ConfigError, listed

MOST_LATENT_BYTES = 2**30
"""Of the latents of one window as they are published; a middleware carries no message of 2 GB or more."""

_STREAMS = ("image", "joint_commands", "joint_states")  # that have clocks of their own


@dataclass(frozen=True)
class NodeConfig:
    """Everything that the parameters say.

    Attributes:
        parameters: every parameter's effective value, by name, as they were given.
        model, stream: the model and the rules of time.
        normalization: of actions and states.
        state_change: what actions do to states; None where nothing follows for them.
        no_state_change: why nothing does, None where it does.
        convention_warnings: where the weights were trained with another convention, which was overridden.
        weights, engine: where the weights come from, and how the model computes.
        camera, clocks: how images come, and how far the clocks are apart.
        worker, latents, candidates: how windows wait, what is published, how questions are answered.
        images, messages: what one of them may cost.
        planner: how is planned, and what may be sent to the robot.
        bond: how a lifecycle manager is told that the node is alive.
    """

    parameters: Mapping[str, Any]
    model: ModelConfig
    stream: StreamConfig
    normalization: Normalizations
    state_change: StateChange | None
    no_state_change: ConfigError | None
    convention_warnings: tuple[str, ...]
    weights: WeightsConfig
    engine: EngineConfig
    camera: CameraConfig
    clocks: ClockConfig
    worker: WorkerConfig
    latents: LatentsConfig
    candidates: CandidatesConfig
    images: ImageLimits
    messages: MessageLimits
    planner: PlannerConfig
    bond: BondConfig

    def with_transport(self, transport: str) -> NodeConfig:
        """The same for images that come as ``raw`` or ``compressed``: in a recording the topic says which."""
        parameters = {**self.parameters, "image_transport": transport}
        return replace(self, parameters=parameters, camera=replace(self.camera, transport=transport))


def resolve(values: Mapping[str, Any]) -> NodeConfig:
    """Validate parameters as a whole.

    Args:
        values: parameters by name; those left out have their defaults.

    Raises:
        ConfigError: naming the parameter at fault and why.
    """
    parameters = effective(values)
    v = dict(parameters)
    if v["pose.source"] != "names":
        v["joint_names"], v["state_names"] = list(POSE_NAMES), []
        for name in ("action_dim",) if v["states.source"] == "none" else ("action_dim", "state_dim"):
            require(v[name] == len(POSE_NAMES), name, f"must be {len(POSE_NAMES)}, those of a pose, not {v[name]}")
    weights, warnings = _weights(v)
    model = model_of(v["preset"], v)
    require_own_sizes(v["checkpoint"], weights.checkpoint, weights.sidecar, model)
    stream = _stream(v, model)
    _require_sendable(model, stream, v["latents.steps"])
    change, no_change = _state_change(stream)
    planner = part(PlannerConfig, v, "planner.")
    planner.require_fit(stream, no_change)
    return NodeConfig(
        parameters=parameters,
        model=model,
        stream=stream,
        normalization=Normalizations.of(v, model.action_dim, model.state_dim),
        state_change=change,
        no_state_change=no_change,
        convention_warnings=warnings,
        weights=weights,
        engine=EngineConfig(
            v["device"], v["dtype"], v["threads"], v["engine.fast"], v["engine.compile"], v["engine.backend"]
        ),
        camera=CameraConfig(v["image_transport"], part(ViewConfig, v, "view."), tuple(v["cameras"])),
        clocks=ClockConfig({name: v[f"time.offset_s.{name}"] for name in _STREAMS}, v["time.max_skew_s"]),
        worker=part(WorkerConfig, v),
        latents=part(LatentsConfig, v, "latents."),
        candidates=part(CandidatesConfig, v, "candidates."),
        images=part(ImageLimits, v, "images."),
        messages=part(MessageLimits, v, "messages."),
        planner=planner,
        bond=part(BondConfig, v, "bond."),
    )


def _require_sendable(model: ModelConfig, stream: StreamConfig, steps: str) -> None:
    """Refuse latents that no message holds: of all the forecasts of a window."""
    published = stream.horizon + (0 if steps == "forecast" else model.most_context - 1)
    height, width = (side // model.patch_size for side in model.image_size)
    size = published * height * width * model.latent_dim * 4  # bytes of float32
    require(
        size <= MOST_LATENT_BYTES,
        "latents.horizon", f"latents of {published} steps are {size / 1e9:.1f} GB, more than the "
        f"{MOST_LATENT_BYTES / 1e9:.1f} GB of a message",
    )  # fmt: skip


def _weights(v: dict[str, Any]) -> tuple[WeightsConfig, tuple[str, ...]]:
    """Where the weights come from; with what their sidecars say done to the values, as :func:`_apply` does it.

    Returns:
        That, and where the values differ from the convention, if that is overridden.
    """
    sidecars = {}
    files = {**v, "checkpoint": checkpoint_of(v["preset"], v["checkpoint"])}
    for name in ("checkpoint", "predictor_checkpoint"):
        try:
            sidecars[name] = Sidecar.of_checkpoint(files[name])
        except CheckpointError as error:
            raise ConfigError(name, str(error)) from error
    weights = WeightsConfig(
        files["checkpoint"],
        v["random_predictor"],
        v["seed"],
        sidecars["checkpoint"],
        v["predictor_checkpoint"],
        sidecars["predictor_checkpoint"],
        v["encoder_key"],
    )
    return weights, () if weights.deciding is None else _apply(weights.deciding, v)


def _apply(sidecar: Sidecar, v: dict[str, Any]) -> tuple[str, ...]:
    """Take the normalisation of a sidecar where none is set; where it names another convention, refuse.

    Returns:
        The differences, where they are overridden.
    """
    for name in JOINT_NORMALIZATION:
        v[name] = v[name] or sidecar.normalization[name]
    return sidecar.require_convention(v, v["override_convention"])


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
        state_type=v["states.type"],
        state_source=v["states.source"],
        commands=_signal("actions", "joint_names", v["joint_names"], v, "action_dim", model.action_dim),
        states=_signal("states", named_by, state_names, v, "state_dim", model.state_dim),
        horizon=v["latents.horizon"],
        pose=part(PoseConfig, v, "pose."),
    )


def _state_change(stream: StreamConfig) -> tuple[StateChange | None, ConfigError | None]:
    """What actions do to states, and why nothing follows for them; more than one forecast cannot do without."""
    try:
        return change_of_stream(stream), None
    except ConfigError as error:
        if stream.horizon > 1:
            raise ConfigError(error.parameter, f"{error.reason}; or set latents.horizon: 1") from error
        return None, error


def _signal(prefix: str, named_by: str, names: list[str], v: dict[str, Any], dim_name: str, dim: int) -> SignalConfig:
    require(len(set(names)) == len(names), named_by, f"names a joint twice: {listed(names)}")
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
