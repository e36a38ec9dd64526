"""What the node says about itself: the statuses for ``/diagnostics``, out of one snapshot.

It reads counters and words them; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from vjepa_ros.forecast.prediction_error import Summary
from vjepa_ros.ros.graph import Finding
from vjepa_ros.ros.input_health import Judged
from vjepa_ros.ros.messages import status_message
from vjepa_ros.ros.snapshot import SeenCamera, Snapshot

_MOST_OF_AN_ERROR = 500  # characters


_SAID_ELSEWHERE = ("clocks", "inputs", "windows")
"""Parts whose problems the log has from whoever found them."""


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
        if not now.cameras or now.questions is None:  # not configured
            parts["node"] = {}, {"state": now.state, "last_error": now.last_error[:_MOST_OF_AN_ERROR]}
        else:
            for camera in now.cameras:
                found = self._stream_problems(now.state, camera)
                parts[_named("stream", camera)] = found, {**camera.stream, "state": now.state}
            error = {"last_error": now.last_error[:_MOST_OF_AN_ERROR]}
            own = {"state": now.state, "epoch": now.cameras[0].stream["epoch"], **now.identity, **error}
            parts["model"] = self._model_problems(now.model), {**own, **now.model}
            parts["windows"] = self._window_problems(now), {"state": now.state, **_window_values(now)}
            parts["latency"] = {}, {"state": now.state, **now.stages}
            numbers = {name: value for one in now.inputs for name, value in one.values.items()}
            parts["inputs"] = _input_problems(now.inputs), {"state": now.state, **numbers}
            for camera in now.cameras:
                values = {"state": now.state, **_prediction_values(camera.prediction)}
                parts[_named("prediction", camera)] = {}, values
            for camera in now.cameras:
                jumps = camera.clocks.get("time_jumps_back", 0)
                found = self._new(camera.name, time_jumps=("jumps of time back, which reset everything", jumps))
                parts[_named("clocks", camera)] = (
                    {**camera.clock_problems, **found},
                    {"state": now.state, **camera.clocks},
                )
            parts["questions"] = self._question_problems(now.questions), now.questions
            if now.planner is not None:
                parts["planner"] = self._planner_problems(now.planner), {"state": now.state, **now.planner}
        parts["topics"] = self._own_problems(now.topics) | _topic_problems(now), now.topics
        statuses: list[DiagnosticStatus] = []
        problems: dict[str, str] = {}
        for part, (found, values) in parts.items():
            level = DiagnosticStatus.WARN if found else DiagnosticStatus.OK
            text = ", ".join(found.values()) or _well(part, now)
            if part == "model" and now.failed is not None:
                level, text, found = DiagnosticStatus.ERROR, f"the model has failed: {now.failed}", {}
            if part == "inputs" and any(one.keeps_from_publishing for one in now.inputs):
                level = DiagnosticStatus.ERROR
            if part == "node" and now.loading:
                level, text = DiagnosticStatus.OK, now.loading
            elif part == "node" and now.last_error:
                level, text = DiagnosticStatus.ERROR, now.last_error[:_MOST_OF_AN_ERROR]
            statuses.append(status_message(f"{self._name}: {part}", level, text, values, now.hardware_id))
            kind, _, camera_name = part.partition(" ")
            of = f"{camera_name}: " if camera_name else ""
            if kind not in _SAID_ELSEWHERE:
                problems |= {f"{of}{key}": f"{of}{said}" for key, said in found.items()}
        return statuses, problems

    def _stream_problems(self, state: str, camera: SeenCamera) -> dict[str, str]:
        values, of = camera.stream, camera.name
        problems = self._new(
            of,
            rejected=("messages rejected", values["rejected"]),
            late=("messages late", values["late"]),
            missing_commands=("steps without a command", values["missing_commands"]),
            missing_states=("steps without a state", values["missing_states"]),
            skipped=("windows skipped for want of them", values["windows_skipped"]),
            reset=("windows lost to a reset before their commands and states had come", values["windows_reset"]),
            gaps=("gaps between frames", values["gaps"]),
        )
        taken = self._risen(f"{of} frames_taken", values["frames"])
        if dropped := self._risen(f"{of} out_of_order", values["frames_out_of_order"]):
            repeated = self._risen(f"{of} repeated", values["frames_repeated"])
            said = f"{dropped} of {dropped + taken} frames dropped: stamped at or before the newest"
            problems["out_of_order"] = said + (f", {repeated} exactly as it" if repeated else "")
        if state == "active" and not self._new(of, frames=("frames", values["frames"])):
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

    def _window_problems(self, now: Snapshot) -> dict[str, str]:
        values = _window_values(now)
        return self._new(**{
            f"windows_{name}": (f"windows {_LOST[name]}", values[name]) for name in _LOST
        })  # fmt: skip

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

    def _new(self, of: str = "", /, **totals: tuple[str, int]) -> dict[str, str]:
        """What has risen since the last report, in words; counters that started anew count from 0.

        Args:
            of: the camera whose totals they are, where it is one of several.
            totals: by a short key, with what is counted.
        """
        said = {}
        for key, (words, total) in totals.items():
            if risen := self._risen(f"{of} {key}", total):
                said[key] = f"{risen} {words}"
        return said

    def _risen(self, key: str, total: int) -> int:
        """By how much a total has risen since the last report; one that started anew, from 0."""
        before, self._seen[key] = self._seen.get(key, 0), total
        return total - before if total >= before else total


_LOST = {
    "skipped_missing": "skipped for want of commands or states",
    "dropped_reset": "lost to a reset",
    "dropped_superseded": "superseded by newer ones",
    "dropped_outdated": "of an epoch that was over",
    "dropped_not_finite": "with values that are not finite",
}
"""Where windows are lost, in words, by the key of their number."""


_OF_STREAMS = ("windows", "windows_skipped", "windows_reset")


def _named(part: str, camera: SeenCamera) -> str:
    return f"{part} {camera.name}".strip()


def _window_values(now: Snapshot) -> dict[str, int]:
    """What became of windows: those that were made, published, wait, and were lost, by the reason."""
    model = now.model
    stream = {key: sum(camera.stream[key] for camera in now.cameras) for key in _OF_STREAMS}
    return {
        "made": stream["windows"],
        "published": model.get("done", 0),
        "waiting": model.get("waiting", 0),
        "skipped_missing": stream["windows_skipped"],
        "dropped_reset": stream["windows_reset"],
        "dropped_superseded": model.get("superseded", 0),
        "dropped_outdated": model.get("outdated", 0),
        "dropped_not_finite": model.get("not_finite", 0),
    }


def input_findings(inputs: Iterable[Judged]) -> list[Finding]:
    """What the log is to say of inputs: those that have stopped; a late one may be there again before that is read."""
    return [Finding(one.topic, one.state, one.text) for one in inputs if one.state == "stopped"]


def _input_problems(inputs: Iterable[Judged]) -> dict[str, str]:
    return {f"{one.state} {one.topic}": f"{one.topic}: {one.text}" for one in inputs if one.state != "well"}


def _well(part: str, now: Snapshot) -> str:
    """One plain sentence where nothing is wrong: the state, where there is no more to say."""
    if part == "planner":
        return _planning(now)
    if now.state != "active":
        return now.state
    if part == "inputs":
        return "all inputs come as they are expected"
    if part == "windows":
        values = _window_values(now)
        return f"{values['published']} of {values['made']} windows published"
    if part == "latency" and "encode_p50_ms" in now.stages:
        model_ms = now.stages["encode_p50_ms"] + now.stages["predict_p50_ms"]
        return f"a window takes the model {model_ms:.1f} ms in the median"
    return now.state


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
