"""The topics that a planner may send on, by name alone: a node without one knows them, and imports no more of it."""

from __future__ import annotations

PLAN, PLAN_ENERGY, STATUS, PICTURE, COMMAND = "~/plan", "~/plan_energy", "~/planner_status", "~/plan_image", "~/command"
SENT = (PLAN, PLAN_ENERGY, STATUS, PICTURE, COMMAND)
