"""A grid of actions around the recorded one, the energies of their forecasts, and what these come to.

It knows no bags, no files and no pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.checks import require
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.devices import failures
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import EngineError
from vjepa_ros.forecast.forecaster import Forecaster
from vjepa_ros.planning.energies import Energies
from vjepa_ros.probe.pairs import Pair

_POSE_UNITS = ("m", "m", "m", "rad", "rad", "rad", "0..1")
_JOINT_UNITS = {"position": "rad or m", "velocity": "rad/s or m/s", "effort": "Nm or N"}
_METRES = 3  # the dimensions of a pose that are lengths


@dataclass(frozen=True)
class Axis:
    """A dimension of the action that is scanned.

    Attributes:
        index: its place in the action.
        name, unit: what it is called and measured in.
        span: how far the grid reaches to either side of the recorded value.
    """

    index: int
    name: str
    unit: str
    span: float

    @property
    def label(self) -> str:
        """Name and unit."""
        return f"{self.name} [{self.unit}]"


@dataclass(frozen=True)
class Scan:
    """The grid of actions; the recorded one is in its middle.

    Attributes:
        axes: the two dimensions; all others stay as recorded.
        points: grid points along each of them, an odd number.
    """

    axes: tuple[Axis, Axis]
    points: int

    def offsets(self, axis: int) -> NDArray[np.float64]:
        """(points,) what is added to the recorded value along the first (0) or second (1) dimension."""
        middle = self.points // 2
        return np.asarray((np.arange(self.points) - middle) * (self.axes[axis].span / middle), np.float64)

    def candidates(self, action: NDArray[np.float64]) -> NDArray[np.float64]:
        """(A,) the recorded action -> (points * points, A); along the second dimension first."""
        first, second = np.meshgrid(self.offsets(0), self.offsets(1), indexing="ij")
        found = np.tile(action, (self.points**2, 1))
        found[:, self.axes[0].index] += first.ravel()
        found[:, self.axes[1].index] += second.ravel()
        return found


def choose_axes(
    config: StreamConfig, dims: Sequence[str], movement: NDArray[np.float64], spans: tuple[float, float]
) -> tuple[Axis, Axis]:
    """The two dimensions to scan.

    Args:
        config: names them and says what they are.
        dims: names or indices of two; empty for those that move most. Metres do not compare with radians, so of a pose
            these are two of x, y, z.
        movement: (A,) how much each moves.
        spans: how far the grid reaches along each.

    Raises:
        ConfigError: for dimensions that are not there.
    """
    names = config.commands.joint_names
    there = ", ".join(f"{index}: {name}" for index, name in enumerate(names))
    is_pose = config.are_actions_poses
    if dims:
        require(len(dims) == 2, "dims", f"names {len(dims)} dimensions of the action, not two")
        for name in dims:
            known = name in names or (name.isdecimal() and int(name) < len(names))
            require(known, "dims", f"{name!r} is no dimension of the action; there are {there}")
        indices = [names.index(name) if name in names else int(name) for name in dims]
        require(indices[0] != indices[1], "dims", f"names {names[indices[0]]} twice")
    else:
        require(len(names) >= 2, "dims", "the action has one dimension, and a landscape needs two")
        comparable = movement[:_METRES] if is_pose else movement
        indices = sorted(np.argsort(-comparable, kind="stable")[:2].tolist())
    units = _POSE_UNITS if is_pose else (_joint_unit(config),) * len(names)
    first, second = (Axis(index, names[index], units[index], span) for index, span in zip(indices, spans, strict=True))
    return first, second


def _joint_unit(config: StreamConfig) -> str:
    # Without fields nobody says what the numbers are, and a scale makes other units of them.
    known = config.command_kind.has_fields and not config.commands.is_scaled
    return _JOINT_UNITS[config.commands.field] if known else "as read"


@dataclass(frozen=True)
class Landscape:
    """The energies around one window's recorded action.

    Attributes:
        epoch, number, stamp_ns: of the window.
        action: (A,) the recorded action, as read.
        energies: (points, points) float32, along the first and the second dimension.
        no_change: the energy of expecting that nothing changes.
    """

    epoch: int
    number: int
    stamp_ns: int
    action: NDArray[np.float64]
    energies: NDArray[np.float32]
    no_change: float

    @property
    def recorded(self) -> float:
        """The energy of the recorded action: that of the grid's middle."""
        middle = len(self.energies) // 2
        return float(self.energies[middle, middle])

    @property
    def minimum(self) -> tuple[int, int]:
        """Where on the grid the lowest energy is; the first such place."""
        first, second = np.unravel_index(int(self.energies.argmin()), self.energies.shape)
        return int(first), int(second)

    @property
    def rank(self) -> float:
        """The recorded action's place among all, 1 for the lowest energy; equal ones share the mean of their places."""
        lower, equal = (self.energies < self.recorded).sum(), (self.energies == self.recorded).sum()
        return float(lower + (equal + 1) / 2)

    def row(self, scan: Scan) -> dict[str, Any]:
        """What a table says of it."""
        row: dict[str, Any] = {"epoch": self.epoch, "window": self.number, "stamp_ns": self.stamp_ns}
        middle = scan.points // 2
        for place, (axis, at) in enumerate(zip(scan.axes, self.minimum, strict=True)):
            recorded, offset = float(self.action[axis.index]), float(scan.offsets(place)[at])
            row |= {
                f"recorded_{axis.name}": recorded,
                f"minimum_{axis.name}": recorded + offset,
                f"offset_{axis.name}": offset,
            }
        return row | {
            "steps_off": max(abs(at - middle) for at in self.minimum),
            "energy_recorded": self.recorded,
            "energy_minimum": float(self.energies.min()),
            "energy_maximum": float(self.energies.max()),
            "energy_no_change": self.no_change,
            "rank": self.rank,
        }


def medians(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The median of every figure of the rows."""
    names = [name for name in rows[0] if name not in ("epoch", "window", "stamp_ns")]
    return {name: float(np.median([row[name] for row in rows])) for name in names}


def survey(
    model: WorldModel,
    forecaster: Forecaster,
    energies: Energies,
    scan: Scan,
    pair: Pair,
    batch_size: int,
    progress: Callable[[int], None] = lambda more: None,
) -> Landscape:
    """Forecast one step for every action of the grid, and compare with what was observed then.

    Args:
        model: compares.
        forecaster: encodes windows with it.
        energies: forecasts candidates with it.
        scan: the grid.
        pair: the windows.
        batch_size: forecasts that are made at once.
        progress: is told how many forecasts more there are.

    Raises:
        EngineError: if the model or its device fails, or gives what is not finite.
    """
    size = model.grid.tokens_per_step
    goal = forecaster.see(pair.later).context[:, -size:]  # (1, H'*W', D)
    seen = forecaster.see(pair.window)
    no_change = model.energy(seen.context[:, -size:], goal)
    candidates = scan.candidates(pair.action)[:, None]  # (points * points, 1, A)
    found = energies.in_batches(seen, candidates, goal, batch_size, progress)
    with failures("copying energies to the host"):
        still = float(no_change.item())
    if not (np.isfinite(found).all() and np.isfinite(still)):
        raise EngineError(f"window {pair.window.number} of epoch {pair.window.epoch} gave energies that are not finite")
    return Landscape(
        pair.window.epoch, pair.window.number, pair.window.stamp_ns, pair.action,
        found.reshape(scan.points, scan.points), still,
    )  # fmt: skip
