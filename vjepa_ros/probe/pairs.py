"""Which windows can be probed: those whose next step another window observes, and what was really done in between.

Windows in, numbers out; it knows no model, no bags and no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.checks import require
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.stream.window import Window


@dataclass(frozen=True)
class Pair:
    """A window, and the one that ends a step later: the first whose newest step is the one after the window's last.

    A goal from there comes from an encoder that has seen it, never from the window's own (rule 8).

    Attributes:
        window: where the forecast starts from.
        later: where the goal comes from.
    """

    window: Window
    later: Window

    @property
    def action(self) -> NDArray[np.float64]:
        """(A,) what led from the window's last step to the next one, as read.

        The later window knows it; the window's own last action may be a guess, where the reduction reaches ahead.
        """
        action: NDArray[np.float64] = self.later.actions.values[-2]
        return action

    def movement(self, config: StreamConfig) -> NDArray[np.float64]:
        """(A,) how far the action moves each dimension: its size, or for targets by how much they then change."""
        if config.reducer.effect == "target":
            return np.asarray(np.abs(self.later.actions.values[-1] - self.action))
        return np.abs(self.action)


def require_pairs(config: StreamConfig) -> None:
    """Refuse windows of which no two belong together.

    Raises:
        ConfigError: naming the parameter.
    """
    require(
        config.steps >= 2, "num_frames",
        "is one step: no two windows share a frame, so nothing shows that one goes on where the other ends",
    )  # fmt: skip
    require(config.hop == config.stride, "hop", f"must be {config.stride}, so that a window ends at every step")


def pairs(windows: Iterable[Window], config: StreamConfig) -> Iterator[Pair]:
    """The pairs among windows that come in order: of the same epoch, one step apart, with no gap in between.

    Args:
        windows: all of them, one ending at every step.
        config: has passed :func:`require_pairs`.
    """
    before: Window | None = None
    for window in windows:
        if before is not None and window.follows(before, config.stride):
            yield Pair(before, window)
        before = window


def spread(count: int, wanted: int) -> list[int]:
    """Indices of as many of ``count`` things as are wanted, all where there are no more: the middles of equal parts."""
    parts = min(count, wanted)
    return [(2 * part + 1) * count // (2 * parts) for part in range(parts)]
