"""Solvers: from energies of candidates to a plan. Arrays in, arrays out; no model, no ROS, no clock."""

from __future__ import annotations

from vjepa_ros.planning.solvers.cross_entropy import CrossEntropy
from vjepa_ros.planning.solvers.icem import ImprovedCrossEntropy
from vjepa_ros.planning.solvers.mppi import PathIntegral
from vjepa_ros.planning.solvers.search import (
    Energies,
    Options,
    Problem,
    Search,
    Solution,
    Solver,
    search,
    shifted,
    solve,
)

SOLVERS: dict[str, type[Solver]] = {"cem": CrossEntropy, "icem": ImprovedCrossEntropy, "mppi": PathIntegral}
"""Every solver, by the value of ``planner.solver``."""

__all__ = ["SOLVERS", "Energies", "Options", "Problem", "Search", "Solution", "Solver", "search", "shifted", "solve"]
