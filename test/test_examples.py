"""The examples stand on the package alone; what the demo of a bag expects is what the oracle says."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import oracle, recorded

from examples import demo_bag
from examples.planner import Received
from vjepa_ros.latents import Latents

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


def test_examples_need_no_file_of_the_tests() -> None:
    """Python does not find them in this process, nor whatever else lies beside the package but for the examples."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if not path.startswith(str(ROOT))]
    code = f"import sys, {', '.join(f'examples.{name}' for name in EXAMPLES)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-c", code], cwd="/", capture_output=True,
        text=True, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *paths])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not {"support", "benchmarks", "pytest"} & {module.split(".")[0] for module in done.stdout.split()}


@pytest.fixture(scope="module")
def expected() -> list[dict[str, Any]]:
    """By the demo, for every frame."""
    return demo_bag.expected_windows(0.0)


def assert_equal(expected: list[dict[str, Any]], frame_rate: float) -> None:
    """Not one number differs from the oracle's."""
    want = oracle.windows(*recorded.oracle_lists(), **recorded.oracle_arguments(frame_rate))
    assert len(expected) == len(want) > 20
    for got, oracles in zip(expected, want, strict=True):
        for key in demo_bag.COMPARED:
            np.testing.assert_array_equal(got[key], oracles[key])


def test_the_demo_expects_what_the_oracle_says(expected: list[dict[str, Any]]) -> None:
    assert_equal(expected, 0.0)


def test_and_at_another_frame_rate_too() -> None:
    assert_equal(demo_bag.expected_windows(8.0), 8.0)


def received(windows: list[dict[str, Any]]) -> list[Received]:
    """As if these had come from the node."""
    latents = np.zeros((1, 4, 4, 128), np.float32)
    return [Received(Latents(latents, window["frame_stamps"][-1], "camera"), window, b"", 1.0) for window in windows]


def test_the_demo_finds_no_difference_where_there_is_none(expected: list[dict[str, Any]]) -> None:
    assert demo_bag.difference(received(expected), expected) == ""


def test_the_demo_says_which_window_is_missing_or_differs(expected: list[dict[str, Any]]) -> None:
    assert demo_bag.difference(received(expected[:-1]), expected).startswith(f"{len(expected) - 1} windows came")
    for key in demo_bag.COMPARED:
        changed = np.array(expected[7][key])
        changed.flat[3] += 1 if changed.dtype == np.int64 else 1e-9
        windows = [*expected[:7], {**expected[7], key: changed.tolist()}, *expected[8:]]
        assert demo_bag.difference(received(windows), expected) == f"window 7 differs from the replay's in {key}"
    shifted = received(expected)
    shifted[3] = replace(shifted[3], latents=shifted[4].latents)
    assert demo_bag.difference(shifted, expected) == "window 3 is not stamped like its newest frame"
