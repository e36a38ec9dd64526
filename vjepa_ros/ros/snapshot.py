"""What the node is like at one moment, read once: counters, times and rates, for whoever words them.

It changes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vjepa_ros import devices
from vjepa_ros.forecast.prediction_error import Summary
from vjepa_ros.ros.candidates import CandidateTopics
from vjepa_ros.ros.endpoints import Endpoints
from vjepa_ros.ros.graph import Finding
from vjepa_ros.ros.input_health import Judged, judged
from vjepa_ros.stream.intake import Intake

if TYPE_CHECKING:
    from vjepa_ros.ros.active import Active
    from vjepa_ros.ros.camera import Camera
    from vjepa_ros.ros.configured import Configured


@dataclass(frozen=True)
class SeenCamera:
    """What one camera's stream is like.

    Attributes:
        name: of the camera; empty for the only one.
        stream: what the stream has counted.
        prediction: the prediction errors so far, None before the first.
        clocks: what is known of stamps and clocks.
        clock_problems: what is wrong with them now, by a short key; each has been said when it began.
    """

    name: str
    stream: dict[str, Any]
    prediction: Summary | None
    clocks: dict[str, Any]
    clock_problems: dict[str, str]

    @classmethod
    def of(cls, camera: Camera) -> SeenCamera:
        """What is there now."""
        watch = camera.intake.watch
        return cls(
            camera.name, _stream_values(camera.intake), camera.outcomes.errors.summary, watch.values, watch.problems
        )


@dataclass(frozen=True)
class Snapshot:
    """What the node is like at one moment, read once; everything that is said of it is said of this.

    Attributes:
        state: the lifecycle state.
        cameras: what there is of each; none before the node is configured.
        model: what the worker has counted, and what it is at; without a worker only what was not finite.
        failed: why the model was given up, None where it was not.
        questions: what became of questions; None before the node is configured.
        planner: what the planner is at, and what became of plans; None where there is none, or nothing was active yet.
        topics: what keeps messages away, and how long callbacks take.
        mismatches: endpoints that cannot be connected to, in words, by topic.
        namesakes: other nodes of the same name.
        senders: what is wrong with those who send to the inputs; nothing where the node is not active.
        losses: frames that were dropped for their stamps, in all.
        hardware_id: the computer and, once the node is configured, what the model runs on.
        identity: which model it is, by preset and hash, and how much memory it has; empty before configure.
        inputs: how those come that should come all the time; nothing where the node is not active.
        stages: how long windows take, stage by stage; nothing where the node is not active.
        last_error: the last thing that failed, empty where nothing has.
        loading: how far the loading of a model is, empty where none is being loaded.
    """

    state: str
    cameras: tuple[SeenCamera, ...]
    model: dict[str, Any]
    failed: Exception | None
    questions: dict[str, Any] | None
    planner: dict[str, Any] | None
    topics: dict[str, Any]
    mismatches: dict[str, str]
    namesakes: int
    senders: tuple[Finding, ...]
    losses: tuple[Finding, ...]
    hardware_id: str
    identity: dict[str, Any]
    inputs: tuple[Judged, ...]
    stages: dict[str, float]
    last_error: str
    loading: str

    @classmethod
    def of(
        cls,
        state: str,
        configured: Configured | None,
        active: Active | None,
        endpoints: Endpoints,
        last_error: str = "",
        loading: str = "",
    ) -> Snapshot:
        """What is there now.

        Args:
            state: the lifecycle state.
            configured, active: what there is of them.
            endpoints: the node's.
            last_error: of the node itself; one of the model is newer.
            loading: how far the loading of a model is, empty where none is being loaded.
        """
        worker = None if active is None else active.worker
        connections = endpoints.connections
        mismatches, namesakes = connections.present(), connections.namesakes()
        topics: dict[str, Any] = {"incompatible_qos": connections.mismatches.total(), "namesakes": namesakes}
        topics |= {f"incompatible_qos {topic}": count for topic, count in sorted(connections.mismatches.items())}
        last_line = endpoints.last_line
        topics["internal_errors"] = last_line.counts.total()
        topics |= {f"internal_errors {place}": count for place, count in sorted(last_line.counts.items())}
        topics |= {f"rejected {topic} {why}": count for (topic, why), count in sorted(last_line.dropped.items())}
        topics |= {f"callback_p99_ms {topic}": round(ms, 3) for topic, ms in endpoints.times.p99_ms().items()}
        senders: list[Finding] = []
        if configured is not None and state == "active":
            senders = endpoints.graph.look(configured.config, configured.cameras[0].intake.watch)
        else:
            endpoints.graph.forget()
        topics |= {f"senders {topic}": count for topic, count in sorted(endpoints.graph.senders.items())}
        topics |= {f"callback_max_ms {topic}": round(ms, 3) for topic, ms in endpoints.times.max_ms().items()}
        failed = None if worker is None else worker.failed  # before the counts, which then tell of what led to it
        cameras = [] if configured is None else configured.cameras
        model: dict[str, Any] = {"not_finite": sum(camera.outcomes.not_finite for camera in cameras)}
        if worker is not None:
            model |= {**asdict(worker.counters), "waiting": worker.waiting, "compute_ms": round(worker.compute_ms, 3)}
            if len(cameras) == 1:
                del model["together"]
        return cls(
            state=state,
            cameras=tuple(map(SeenCamera.of, cameras)),
            model=model,
            failed=failed,
            questions=None if configured is None else _question_values(configured.candidates),
            planner=None if configured is None else configured.planner.health,
            topics=topics,
            mismatches={mismatch.topic: mismatch.text for mismatch in mismatches},
            namesakes=namesakes,
            senders=tuple(senders),
            losses=tuple(loss for camera in cameras for loss in _losses(camera.intake)),
            hardware_id=_hardware_id(configured),
            identity={} if configured is None else _identity(configured),
            inputs=_inputs(configured, active, endpoints) if state == "active" else (),
            stages={} if active is None else active.stages.values,
            last_error=(worker.last_error if worker is not None else "") or last_error,
            loading=loading,
        )


def _hardware_id(configured: Configured | None) -> str:
    host = socket.gethostname()
    return host if configured is None else f"{host}: {configured.device_name}"


def _identity(configured: Configured) -> dict[str, Any]:
    """Which model it is: the same words as in ``latent_info``."""
    info = configured.info
    memory = devices.memory_in_use(configured.model.device)
    return {
        "model": info["model"], "trained": info["trained"], "weights_hash": info["weights_hash"],
        "info_id": info["info_id"], "device": str(configured.model.device), "dtype": info["model_dtype"],
        **{f"device_memory_{what}_mb": round(size / 1e6, 1) for what, size in memory.items()},
    }  # fmt: skip


def _inputs(configured: Configured | None, active: Active | None, endpoints: Endpoints) -> tuple[Judged, ...]:
    if configured is None or active is None:
        return ()
    return tuple(
        judged(configured.config, active.rates, endpoints.resolved, active.now_s(), held_up=active.is_holding_up)
    )


def _losses(intake: Intake) -> Iterator[Finding]:
    for topic, text in intake.watch.losses.items():
        yield Finding(topic, "out_of_order", text)


def _stream_values(intake: Intake) -> dict[str, Any]:
    counters = intake.counters
    values: dict[str, Any] = asdict(counters)
    values.pop("rejected")
    values |= {"late": counters.late, "rejected": counters.rejected_total, "epoch": intake.stream.epoch}
    values["waits_for"] = intake.waits_for
    return values | {f"rejected {topic} {why}": count for (topic, why), count in sorted(counters.rejected.items())}


def _question_values(candidates: CandidateTopics) -> dict[str, Any]:
    tally = candidates.tally
    values: dict[str, Any] = {"asked": tally.asked, "answered": tally.answered, "waiting": candidates.waiting}
    values |= {"refused": sum(tally.refused.values()), "goals": candidates.goals}
    values["goals_refused"] = candidates.goals_refused
    return values | {f"refused {reason}": count for reason, count in tally.refused.items()}
