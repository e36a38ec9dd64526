"""Solvers: from energies of candidates to a plan. Arrays in, arrays out; no model, no ROS, no clock."""

from __future__ import annotations

from pkgutil import resolve_name

from vjepa_ros.config.planner_rows import SOLVERS as ROWS
from vjepa_ros.planning.solvers.search import (
    Energies,
    Options,
    Problem,
    Search,
    Solution,
    Solver,
    costs_of,
    search,
    shifted,
    solve,
)

SOLVERS: dict[str, type[Solver]] = {name: resolve_name(place) for name, place in ROWS.items()}
"""Every solver, by the value of ``planner.solver``; which there are is a matter of the configuration."""

__all__ = [
    "SOLVERS",
    "Energies",
    "Options",
    "Problem",
    "Search",
    "Solution",
    "Solver",
    "costs_of",
    "search",
    "shifted",
    "solve",
]
