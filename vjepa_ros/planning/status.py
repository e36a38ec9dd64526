"""What ``planner_status`` and ``/diagnostics`` say, out of the planner's state. It changes nothing."""

from __future__ import annotations

import math
from typing import Any

from vjepa_ros.planning.execution import Execution
from vjepa_ros.planning.plan_outcome import REASONS, Outcome
from vjepa_ros.planning.planner import Planner


def state_of(planner: Planner, outcome: Outcome) -> tuple[str, str, str]:
    """The state (``planned``, ``waiting`` or ``reached``), and why there is no plan: a reason and a detail, or empty.

    Args:
        planner: its goals, and what it waits for now.
        outcome: what became of the last plan.
    """
    if planner.aims.is_reached:
        return "reached", "", ""
    reason, detail = planner.waits_for(outcome)
    return "waiting" if reason else "planned", reason, detail


def plan_values(planner: Planner, outcome: Outcome, execution: Execution) -> dict[str, Any]:
    """The values of ``planner_status``.

    Args:
        planner: its goals and counts.
        outcome: what became of the last plan.
        execution: whether plans are sent.
    """
    aims, plan, window = planner.aims, outcome.plan, None if outcome.seen is None else outcome.seen.window
    goal = aims.current
    state, reason, detail = state_of(planner, outcome)
    return {
        "state": state,
        "reason": reason,
        "detail": detail,
        "goal": None if goal is None else goal.name,
        "goal_stamp": None if goal is None else goal.stamp_ns,
        "sub_goal": aims.index + 1 if goal is not None else 0,
        "sub_goals": aims.count,
        "energy": None if math.isnan(outcome.now) else outcome.now,
        "planned_energy": None if plan is None else float(plan.energies[-1]),
        "epoch": None if window is None else window.epoch,
        "window": None if window is None else window.number,
        "window_stamp": None if window is None else window.stamp_ns,
        "actions": None if plan is None else plan.actions.tolist(),
        "decided": outcome.first,
        "ended_early": plan is not None and plan.ended_early,
        "late": outcome.is_late,
        "took_s": round(outcome.took_s, 6),
        "delay_s": round(planner.delay_s, 6),
        "executing": execution.is_on,
        "end_reason": execution.reason,
        "end_detail": execution.detail,
        "commands_sent": execution.sent,
        "limit_hits": execution.hits,
        **{name: planner.tally[name] for name in ("planned", "restarted", "no_picture")},
        "late_plans": planner.tally["late"],
        "no_plan": {why: planner.tally[why] for why in REASONS if planner.tally[why]},
    }  # fmt: skip


def health_values(values: dict[str, Any]) -> dict[str, Any]:
    """What the planner's part of ``/diagnostics`` has of these: a count for each reason, and no actions.

    Args:
        values: of :func:`plan_values`.
    """
    left_out = {"actions", "no_plan", "state", "epoch", "window", "window_stamp", "goal_stamp"}
    kept = {name: "" if value is None else value for name, value in values.items() if name not in left_out}
    no_plan = {f"no_plan {reason}": count for reason, count in values["no_plan"].items()}
    return {"planning": values["state"], **kept, **no_plan}
