"""What landscapes made by hand come to: figures, which value has the best, and the sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vjepa_ros.probe.landscape import Axis, Landscape, Scan
from vjepa_ros.probe.scan_figures import FIGURES, Figures, best, sentences

GRID = Scan((Axis(0, "x", "m", 0.2), Axis(1, "y", "m", 0.4)), 5)  # 0.1 and 0.2 apart


def landscape(first: int, second: int, recorded: float, no_change: float) -> Landscape:
    """One with its minimum so many grid points off."""
    energies = np.full((5, 5), 9.0, np.float32)
    energies[2, 2] = recorded
    energies[2 + first, 2 + second] = min(recorded, 0.125)
    return Landscape(0, 0, 0, np.zeros(2), energies, no_change)


def figures(value: Any, *landscapes: Landscape) -> Figures:
    return Figures.of(value, 10, landscapes, GRID)


NEAR = figures(0.94, landscape(0, 0, 0.125, 1.0), landscape(1, 0, 0.5, 0.25))
FAR = figures(4.0, landscape(2, 1, 0.5, 1.0), landscape(-1, -1, 0.5, 1.0))


def test_the_figures() -> None:
    np.testing.assert_allclose(NEAR.distances, [0, 0.1])
    np.testing.assert_allclose(FAR.distances, [np.hypot(0.2, 0.2), np.hypot(0.1, 0.2)])
    assert NEAR.figure("distance") == pytest.approx(0.05)
    assert (NEAR.figure("rank"), FAR.figure("rank")) == (1.5, 2.0)
    assert NEAR.figure("error_over_no_change") == 0.625 / 1.25
    np.testing.assert_array_equal(NEAR.each("error_over_no_change"), [0.125, 2.0])
    np.testing.assert_array_equal(FAR.on_edge, [True, False])
    assert {name: best([FAR, NEAR], name) for name in FIGURES} == {
        "distance": [0.94], "rank": [0.94], "error_over_no_change": [4.0, 0.94],
    }  # fmt: skip


def test_where_nothing_changed_there_is_no_error_over_it() -> None:
    still = figures(1.0, landscape(0, 0, 0.125, 0.0))
    assert still.figure("error_over_no_change") is None and len(still.each("error_over_no_change")) == 0
    assert best([still, FAR], "error_over_no_change") == [4.0]
    assert best([still], "error_over_no_change") == []
    assert "With frame_rate 1.0" not in " ".join(sentences("frame_rate", [still, FAR], trained=True))


def test_what_is_shared_is_said_to_be() -> None:
    again = figures(0.5, landscape(0, 0, 0.125, 1.0), landscape(1, 0, 0.5, 0.25))
    assert best([NEAR, again, FAR], "distance") == [0.94, 0.5]
    said = sentences("frame_rate", [NEAR, again, FAR], trained=True)
    assert said[0].startswith(
        "With frame_rate 0.94 or 0.5 every figure is lowest: 0.05 for the distance of the minimum"
    )


def test_a_value_without_windows_has_no_figures_and_is_never_best() -> None:
    nothing = Figures.of(0.5, 0, [], GRID)
    for name in FIGURES:
        assert nothing.figure(name) is None and len(nothing.each(name)) == 0
        assert best([nothing, FAR], name) == [4.0]
    assert sentences("frame_rate", [nothing, NEAR, FAR], trained=True) == sentences(
        "frame_rate", [NEAR, FAR], trained=True
    )
    only = sentences("frame_rate", [nothing, NEAR], trained=True)
    assert only == ["Only with frame_rate 0.94 are there windows to probe: nothing to compare."]


def test_the_sentences() -> None:
    agree = sentences("frame_rate", [NEAR, FAR], trained=True)
    assert agree == [
        "With frame_rate 0.94 every figure is lowest: 0.05 for the distance of the minimum from the recorded action, "
        "1.5 for the recorded action's rank, 0.5 for the error over that of no change."
    ]
    better = figures(2.0, landscape(2, 2, 0.25, 1.0))
    differ = sentences("frame_rate", [NEAR, better, FAR], trained=False)
    assert differ[0].startswith("UNTRAINED: ")
    assert "do not agree on one frame_rate" in differ[1] and "`windows`" in differ[1]
    assert "rank with 0.94 (1.5)" in differ[1] and "no change with 2.0 (0.25)" in differ[1]
    assert differ[2] == "The distance is lowest at the end of what was tried, 0.94: try values beyond it."
    assert differ[3] == "With one value 100% of the minima lie on the edge of the grid; `spans` widens it."
    worse = [figures(value, landscape(1, 0, 0.5, 0.25)) for value in ("none", "vertical", "horizontal")]
    (_, last) = sentences("view.flip", worse, trained=True)
    assert last.startswith("With no value are forecasts nearer to what came than no change")
