"""The small parts of a node's configuration: fields called as their parameters, without defaults of their own.

They know nothing of what is done by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from vjepa_ros.config.backends import DEFAULT_BACKEND
from vjepa_ros.config.checks import require
from vjepa_ros.config.ros_names import require_cameras
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.config.view import ViewConfig

PartT = TypeVar("PartT")


def part(kind: type[PartT], values: Mapping[str, Any], prefix: str = "") -> PartT:
    """A dataclass whose fields are parameters: field ``dtype`` with the prefix ``latents.`` is ``latents.dtype``.

    Args:
        kind: the dataclass; lists become tuples.
        values: every parameter's effective value, by name.
        prefix: of the parameters' names.
    """
    found = {field.name: values[f"{prefix}{field.name}"] for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})


@dataclass(frozen=True)
class WeightsConfig:
    """Where the weights come from.

    Attributes:
        checkpoint: path of a weights file; empty for seeded random weights.
        predictor_checkpoint: path of the file that the predictor comes from; empty for the same one.
        random_predictor: take the encoder alone from the file.
        seed: of random weights.
        sidecar: what stands next to the file about it, None where there is nothing; read once.
        predictor_sidecar: the same of the predictor's own file.
        encoder_key: the only key of a ``.pt`` that the encoder is taken from; empty for the usual ones.

    Raises:
        ConfigError: for a predictor's file without an encoder's, or with a random predictor.
    """

    checkpoint: str
    random_predictor: bool
    seed: int
    sidecar: Sidecar | None = None
    predictor_checkpoint: str = ""
    predictor_sidecar: Sidecar | None = None
    encoder_key: str = ""

    def __post_init__(self) -> None:
        name, given = "predictor_checkpoint", bool(self.predictor_checkpoint)
        require(not given or bool(self.checkpoint), name, "needs the file of its encoder: name that as `checkpoint`")
        require(not given or not self.random_predictor, name, "cannot be used with `random_predictor`: choose one")

    @property
    def deciding(self) -> Sidecar | None:
        """The sidecar whose convention and normalisation count: that of the file that the predictor comes from.

        It was trained with them; what an encoder's says besides was written for another predictor, or for none.
        """
        return self.predictor_sidecar if self.predictor_checkpoint else self.sidecar


@dataclass(frozen=True)
class EngineConfig:
    """Where and how the model computes.

    Attributes:
        device, dtype: as torch names them, or ``auto``; devices of OpenVINO as it names them.
        threads: of torch on a CPU; 0 for all cores but one.
        fast: pack the layers for inference.
        compile: let ``torch.compile`` work on what is recorded on a GPU.
        backend: what computes encoder and one-step prediction, as :data:`.backends.BACKENDS` names it.
    """

    device: str
    dtype: str
    threads: int
    fast: bool
    compile: bool
    backend: str = DEFAULT_BACKEND


@dataclass(frozen=True)
class CameraConfig:
    """How the camera's images come, and what of them is looked at.

    Attributes:
        transport: one of :data:`~vjepa_ros.config.inputs.CAMERAS`.
        view: region of interest, turn and flip.
        names: of several cameras; empty for the only one, which has no name.

    Raises:
        ConfigError: for names that cannot be.
    """

    transport: str
    view: ViewConfig
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_cameras(self.names)

    @property
    def each(self) -> tuple[str, ...]:
        """The names of all cameras, the first one's first; an empty one where there is only one."""
        return self.names or ("",)


@dataclass(frozen=True)
class BondConfig:
    """How a lifecycle manager is told that the node is alive; the parameters ``bond.*``.

    Attributes:
        heartbeat_s: between two heartbeats; 0 for none.
        timeout_s: without one of the manager for so long, it is gone.

    Raises:
        ConfigError: for a timeout that one late heartbeat would exceed.
    """

    heartbeat_s: float
    timeout_s: float

    def __post_init__(self) -> None:
        too_short = f"{self.timeout_s:g} s is not more than bond.heartbeat_s, {self.heartbeat_s:g} s"
        require(self.timeout_s > self.heartbeat_s, "bond.timeout_s", too_short)


@dataclass(frozen=True)
class ClockConfig:
    """How far the clocks of the streams are apart.

    Attributes:
        offsets_s: added to the stamps, by stream: ``image``, ``joint_commands``, ``joint_states``.
        max_skew_s: clocks of camera and joints further apart are warned about.
    """

    offsets_s: Mapping[str, float]
    max_skew_s: float


@dataclass(frozen=True)
class WorkerConfig:
    """How windows wait for the model.

    Attributes:
        queue: ``latest``: the newest window wins; ``all``: none is lost.
        queue_size: windows that wait at most where none is lost.
        max_failures: times in a row that the model may fail.
    """

    queue: str
    queue_size: int
    max_failures: int

    @property
    def lossless(self) -> bool:
        """Whether every window is computed."""
        return self.queue == "all"


@dataclass(frozen=True)
class LatentsConfig:
    """What is published; the parameters ``latents.*``, but for the horizon, which is the windows' too.

    Attributes:
        steps: ``forecast`` or ``all``.
        dtype: ``32FC1`` or ``16FC1``.
        publish_context: whether the encoder's latents are published too.
    """

    steps: str
    dtype: str
    publish_context: bool

    @property
    def forecast_only(self) -> bool:
        """Whether only forecasts are published."""
        return self.steps == "forecast"


@dataclass(frozen=True)
class CandidatesConfig:
    """How questions about candidate actions are answered; the parameters ``candidates.*``.

    Attributes:
        max_age_s: a window older than this is not asked about.
        max_count, max_horizon: the most candidates, and steps of each, in one question.
        batch_size: candidates that the model rolls out at once.
        queue_size: questions that wait at most.
    """

    max_age_s: float
    max_count: int
    max_horizon: int
    batch_size: int
    queue_size: int
