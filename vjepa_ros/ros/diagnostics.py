"""What the node says about itself: throttled warnings and the statuses for ``/diagnostics``.

It reads counters and words them; it changes nothing.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.impl.rcutils_logger import RcutilsLogger

from vjepa_ros.forecast.prediction_error import Summary
from vjepa_ros.ros.candidates import Questions
from vjepa_ros.ros.connections import Connections
from vjepa_ros.ros.messages import status_message
from vjepa_ros.ros.timing import CallbackTimes
from vjepa_ros.stream.counters import Counters
from vjepa_ros.worker import Worker

WARN_PERIOD_S = 5.0


class Warnings:
    """Warns about each (topic, reason) at most every few seconds, and then says how many there were.

    rclpy's own throttling goes by the calling line, which is one for all topics and reasons.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._last_s: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def __call__(self, topic: str, reason: str, detail: str) -> None:
        """Report one dropped message, or whatever else must not be silent."""
        key = (topic, reason)
        now_s = time.monotonic()
        if now_s - self._last_s.get(key, float("-inf")) < WARN_PERIOD_S:
            self._unsaid[key] = self._unsaid.get(key, 0) + 1
            return
        self._last_s[key] = now_s
        more = self._unsaid.pop(key, 0)
        self._logger.warning(
            f"{topic}: {reason}: {detail}" + (f" ({more} more since the last warning)" if more else "")
        )


class Health:
    """Words the counters as diagnostic statuses; a level tells of the time since the last report.

    Args:
        node_name: fully qualified; the statuses are named after it.

    Attributes:
        problems: what is wrong since the last report, by a short key.
    """

    def __init__(self, node_name: str) -> None:
        self._name = node_name
        self._seen: dict[str, int] = {}
        self.problems: dict[str, str] = {}

    def statuses(
        self,
        state: str,
        counters: Counters | None,
        epoch: int,
        waits_for: str,
        worker: Worker[Any, Any] | None,
        not_finite: int,
    ) -> list[DiagnosticStatus]:
        """One status for the streams and one for the model; before the node is configured only its state.

        ``waits_for`` says in words what the streams cannot do without and do not have yet.
        """
        self.problems = {}
        if counters is None:
            return [status_message(f"{self._name}: node", DiagnosticStatus.OK, state, {"state": state})]
        return [self._stream(state, counters, epoch, waits_for), self._model(state, worker, not_finite)]

    def topics(self, state: str, connections: Connections, times: CallbackTimes) -> DiagnosticStatus:
        """What keeps messages away as long as it lasts, and how long the callbacks take; call it after statuses."""
        mismatches, namesakes = connections.present(), connections.namesakes()
        values: dict[str, Any] = {"incompatible_qos": connections.mismatches.total(), "namesakes": namesakes}
        values |= {f"incompatible_qos {topic}": count for topic, count in sorted(connections.mismatches.items())}
        values |= {f"callback_p99_ms {topic}": round(ms, 3) for topic, ms in times.p99_ms().items()}
        problems = {f"incompatible_qos {m.topic}": f"{m.topic}: incompatible_qos: {m.text}" for m in mismatches}
        if namesakes:
            problems["namesakes"] = f"{namesakes} other nodes have this name: give each a name of its own"
        return self._status("topics", state, problems, values)

    def prediction(self, state: str, errors: Summary | None) -> DiagnosticStatus:
        """How good the forecasts are: the last error, with what it is of, and the means of all."""
        values: dict[str, Any] = {"state": state, "count": 0 if errors is None else errors.count}
        if errors is not None:
            last = errors.last
            values |= {"stamp_ns": last.stamp_ns, "steps_ahead": last.ahead, "error": last.error}
            values |= {"no_change": last.no_change, "mean_error": errors.mean_error}
            values |= {"mean_no_change": errors.mean_no_change}
        return self._status("prediction", state, {}, values)

    def questions(self, state: str, questions: Questions) -> DiagnosticStatus:
        """What became of the questions; call it after statuses."""
        tally, goals_refused = questions.tally, questions.goals_refused
        refused = sum(tally.refused.values())
        values: dict[str, Any] = {"asked": tally.asked, "answered": tally.answered, "waiting": questions.waiting}
        values |= {"refused": refused, "goals": questions.goals, "goals_refused": goals_refused}
        values |= {f"refused {reason}": count for reason, count in tally.refused.items()}
        problems = self._new(
            questions_refused=("questions refused", refused), goals_refused=("goal images refused", goals_refused)
        )
        return self._status("questions", state, problems, values)

    def _stream(self, state: str, counters: Counters, epoch: int, waits_for: str) -> DiagnosticStatus:
        values: dict[str, Any] = asdict(counters)
        values.pop("rejected")
        values |= {"late": counters.late, "rejected": counters.rejected_total, "epoch": epoch, "state": state}
        values["waits_for"] = waits_for
        values |= {f"rejected {topic} {reason}": count for (topic, reason), count in sorted(counters.rejected.items())}
        problems = self._new(
            rejected=("messages rejected", counters.rejected_total),
            late=("messages late", counters.late),
            missing_commands=("steps without a command", counters.missing_commands),
            missing_states=("steps without a state", counters.missing_states),
            skipped=("windows skipped for want of them", counters.windows_skipped),
            reset=("windows lost to a reset before their commands and states had come", counters.windows_reset),
            gaps=("gaps between frames", counters.gaps),
        )
        if state == "active" and not self._new(frames=("frames", counters.frames)):
            problems["frames"] = "no frames"
        if state == "active" and waits_for:
            problems["waits_for"] = waits_for
        return self._status("stream", state, problems, values)

    def _model(self, state: str, worker: Worker[Any, Any] | None, not_finite: int) -> DiagnosticStatus:
        values: dict[str, Any] = {"state": state, "not_finite": not_finite}
        if worker is None:
            return status_message(f"{self._name}: model", DiagnosticStatus.OK, state, values)
        values |= asdict(worker.counters)
        values |= {"waiting": worker.waiting, "compute_ms": round(worker.compute_ms, 3)}
        problems = self._new(
            failures=("failures of the model", worker.counters.failures),
            superseded=("windows superseded: the model is slower than the camera", worker.counters.superseded),
            not_finite=("results with values that are not finite", not_finite),
        )
        if worker.failed is not None:
            text = f"the model has failed: {worker.failed}"
            return status_message(f"{self._name}: model", DiagnosticStatus.ERROR, text, values)
        return self._status("model", state, problems, values)

    def _status(self, part: str, state: str, problems: dict[str, str], values: dict[str, Any]) -> DiagnosticStatus:
        self.problems |= problems
        level = DiagnosticStatus.WARN if problems else DiagnosticStatus.OK
        return status_message(f"{self._name}: {part}", level, ", ".join(problems.values()) or state, values)

    def _new(self, **totals: tuple[str, int]) -> dict[str, str]:
        """What has risen since the last report, in words; counters that started anew count from 0."""
        said = {}
        for key, (words, total) in totals.items():
            before = self._seen.get(key, 0)
            risen = total - before if total >= before else total
            self._seen[key] = total
            if risen:
                said[key] = f"{risen} {words}"
        return said
