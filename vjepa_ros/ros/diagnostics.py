"""What the node says about itself: the statuses for ``/diagnostics``, out of one snapshot.

It reads counters and words them; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticStatus

from vjepa_ros.forecast.prediction_error import Summary
from vjepa_ros.ros.candidates import CandidateTopics
from vjepa_ros.ros.endpoints import Endpoints
from vjepa_ros.ros.graph import Finding
from vjepa_ros.ros.messages import status_message
from vjepa_ros.stream.intake import Intake
from vjepa_ros.worker import Worker

if TYPE_CHECKING:
    from vjepa_ros.ros.configured import Configured


@dataclass(frozen=True)
class Snapshot:
    """What the node is like at one moment, read once; everything that is said of it is said of this.

    Attributes:
        state: the lifecycle state.
        stream: what the streams have counted; None before the node is configured.
        model: what the worker has counted, and what it is at; without a worker only what was not finite.
        failed: why the model was given up, None where it was not.
        prediction: the prediction errors so far, None before the first.
        questions: what became of questions; None before the node is configured.
        planner: what the planner is at, and what became of plans; None where there is none, or nothing was active yet.
        topics: what keeps messages away, and how long callbacks take.
        mismatches: endpoints that cannot be connected to, in words, by topic.
        namesakes: other nodes of the same name.
        senders: what is wrong with those who send to the inputs; nothing where the node is not active.
        losses: frames that were dropped for their stamps, in all.
        clocks: what is known of stamps and clocks; None before the node is configured.
        clock_problems: what is wrong with them now, by a short key; each has been said when it began.
    """

    state: str
    stream: dict[str, Any] | None
    model: dict[str, Any]
    failed: Exception | None
    prediction: Summary | None
    questions: dict[str, Any] | None
    planner: dict[str, Any] | None
    topics: dict[str, Any]
    mismatches: dict[str, str]
    namesakes: int
    senders: tuple[Finding, ...]
    losses: tuple[Finding, ...]
    clocks: dict[str, Any] | None
    clock_problems: dict[str, str]

    @classmethod
    def of(
        cls, state: str, configured: Configured | None, worker: Worker[Any, Any] | None, endpoints: Endpoints
    ) -> Snapshot:
        """What is there now."""
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
            senders = endpoints.graph.look(configured.config, configured.intake.watch)
        else:
            endpoints.graph.forget()
        topics |= {f"senders {topic}": count for topic, count in sorted(endpoints.graph.senders.items())}
        topics |= {f"callback_max_ms {topic}": round(ms, 3) for topic, ms in endpoints.times.max_ms().items()}
        failed = None if worker is None else worker.failed  # before the counts, which then tell of what led to it
        model: dict[str, Any] = {"not_finite": configured.outcomes.not_finite if configured is not None else 0}
        if worker is not None:
            model |= {**asdict(worker.counters), "waiting": worker.waiting, "compute_ms": round(worker.compute_ms, 3)}
        return cls(
            state=state,
            stream=None if configured is None else _stream_values(configured.intake),
            model=model,
            failed=failed,
            prediction=None if configured is None else configured.outcomes.errors.summary,
            questions=None if configured is None else _question_values(configured.candidates),
            planner=None if configured is None else configured.planner.health,
            topics=topics,
            mismatches={mismatch.topic: mismatch.text for mismatch in mismatches},
            namesakes=namesakes,
            senders=tuple(senders),
            losses=() if configured is None else tuple(_losses(configured.intake)),
            clocks=None if configured is None else configured.intake.watch.values,
            clock_problems={} if configured is None else configured.intake.watch.problems,
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


class Health:
    """Words snapshots as diagnostic statuses; a level tells of the time since the last report.

    Args:
        node_name: fully qualified; the statuses are named after it.
    """

    def __init__(self, node_name: str) -> None:
        self._name = node_name
        self._seen: dict[str, int] = {}

    def report(self, now: Snapshot) -> tuple[list[DiagnosticStatus], dict[str, str]]:
        """The statuses, and what is wrong since the last report, by a short key.

        Before the node is configured there is only its state, and its topics.
        """
        parts: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        if now.stream is None or now.questions is None:
            parts["node"] = {}, {"state": now.state}
        else:
            parts["stream"] = self._stream_problems(now.state, now.stream), {**now.stream, "state": now.state}
            parts["model"] = self._model_problems(now.model), {"state": now.state, **now.model}
            parts["prediction"] = {}, {"state": now.state, **_prediction_values(now.prediction)}
            jumps = (now.clocks or {}).get("time_jumps_back", 0)
            found = self._new(time_jumps=("jumps of time back, which reset everything", jumps))
            parts["clocks"] = {**now.clock_problems, **found}, {"state": now.state, **(now.clocks or {})}
            parts["questions"] = self._question_problems(now.questions), now.questions
            if now.planner is not None:
                parts["planner"] = self._planner_problems(now.planner), {"state": now.state, **now.planner}
        parts["topics"] = self._own_problems(now.topics) | _topic_problems(now), now.topics
        statuses: list[DiagnosticStatus] = []
        problems: dict[str, str] = {}
        for part, (found, values) in parts.items():
            level = DiagnosticStatus.WARN if found else DiagnosticStatus.OK
            text = ", ".join(found.values()) or (_planning(now) if part == "planner" else now.state)
            if part == "model" and now.failed is not None:
                level, text, found = DiagnosticStatus.ERROR, f"the model has failed: {now.failed}", {}
            statuses.append(status_message(f"{self._name}: {part}", level, text, values))
            problems |= {} if part == "clocks" else found
        return statuses, problems

    def _stream_problems(self, state: str, values: Mapping[str, Any]) -> dict[str, str]:
        problems = self._new(
            rejected=("messages rejected", values["rejected"]),
            late=("messages late", values["late"]),
            missing_commands=("steps without a command", values["missing_commands"]),
            missing_states=("steps without a state", values["missing_states"]),
            skipped=("windows skipped for want of them", values["windows_skipped"]),
            reset=("windows lost to a reset before their commands and states had come", values["windows_reset"]),
            gaps=("gaps between frames", values["gaps"]),
        )
        taken = self._risen("frames_taken", values["frames"])
        if dropped := self._risen("out_of_order", values["frames_out_of_order"]):
            repeated = self._risen("repeated", values["frames_repeated"])
            said = f"{dropped} of {dropped + taken} frames dropped: stamped at or before the newest"
            problems["out_of_order"] = said + (f", {repeated} exactly as it" if repeated else "")
        if state == "active" and not self._new(frames=("frames", values["frames"])):
            problems["frames"] = "no frames"
        if state == "active" and values["waits_for"]:
            problems["waits_for"] = values["waits_for"]
        return problems

    def _model_problems(self, values: Mapping[str, Any]) -> dict[str, str]:
        if "failures" not in values:  # no worker
            return {}
        return self._new(
            failures=("failures of the model", values["failures"]),
            superseded=("windows superseded: the model is slower than the camera", values["superseded"]),
            not_finite=("results with values that are not finite", values["not_finite"]),
        )

    def _question_problems(self, values: Mapping[str, Any]) -> dict[str, str]:
        return self._new(
            questions_refused=("questions refused", values["refused"]),
            goals_refused=("goal images refused", values["goals_refused"]),
        )

    def _planner_problems(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Waiting for the first goal or window is none."""
        missing = {name: count for name, count in values.items() if name.startswith("no_plan ")}
        waits = sum(missing.get(f"no_plan {reason}", 0) for reason in ("no_goal", "no_window"))
        return self._new(
            no_plan=("windows without a plan, see planner_status", sum(missing.values()) - waits),
            late_plans=("plans that came after their step", values["late_plans"]),
            limit_hits=("commands that a limit has cut or kept back", values["limit_hits"]),
        )

    def _own_problems(self, values: Mapping[str, Any]) -> dict[str, str]:
        return self._new(internal=("mistakes of the node itself: see its log", values["internal_errors"]))

    def _new(self, **totals: tuple[str, int]) -> dict[str, str]:
        """What has risen since the last report, in words; counters that started anew count from 0."""
        said = {}
        for key, (words, total) in totals.items():
            if risen := self._risen(key, total):
                said[key] = f"{risen} {words}"
        return said

    def _risen(self, key: str, total: int) -> int:
        """By how much a total has risen since the last report; one that started anew, from 0."""
        before, self._seen[key] = self._seen.get(key, 0), total
        return total - before if total >= before else total


def _prediction_values(errors: Summary | None) -> dict[str, Any]:
    """How good the forecasts are: the last error, with what it is of, and the means of all."""
    if errors is None:
        return {"count": 0}
    last = errors.last
    return {
        "count": errors.count, "stamp_ns": last.stamp_ns, "steps_ahead": last.ahead, "error": last.error,
        "no_change": last.no_change, "mean_error": errors.mean_error, "mean_no_change": errors.mean_no_change,
    }  # fmt: skip


def _planning(now: Snapshot) -> str:
    """What the planner is at, in words."""
    values = now.planner
    if values is None or now.state != "active":
        return now.state
    what = f"{values['planning']}, executing" if values["executing"] else str(values["planning"])
    return f"{what}: {values['reason']}: {values['detail']}" if values["reason"] else what


def _topic_problems(now: Snapshot) -> dict[str, str]:
    """What keeps messages away, as long as it lasts."""
    problems = {
        f"incompatible_qos {topic}": f"{topic}: incompatible_qos: {text}" for topic, text in now.mismatches.items()
    }
    for found in now.senders:
        problems[f"{found.reason} {found.topic}"] = f"{found.topic}: {found.reason}: {found.detail}"
    if now.namesakes:
        problems["namesakes"] = f"{now.namesakes} other nodes have this name: give each a name of its own"
    return problems
