"""Runs ``vjepa_replay`` in this process, and compares what it writes with the oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from support import oracle, recorded
from vjepa_ros.commands import replay
from vjepa_ros.replay.digest import Digest

PARAMS = recorded.BAG.parents[2] / "config" / "predictor.yaml"
ONE_THREAD = ("--set", "threads=1", "device=cpu")


def run(*arguments: Any) -> int:
    """The exit status of the command."""
    return replay.main([*map(str, arguments), "--params", str(PARAMS), *ONE_THREAD])


def report(out: Path) -> dict[str, Any]:
    """The report of a replay."""
    found: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return found


def lines(dump: Path) -> list[dict[str, Any]]:
    """The windows of a dump."""
    return [json.loads(line) for line in dump.read_text(encoding="utf-8").splitlines()]


def expected(bag: Path, max_wait_s: float = 0.2, **options: Any) -> list[dict[str, Any]]:
    """The oracle's windows of a bag."""
    arguments = recorded.oracle_arguments() | {"max_wait_ns": round(max_wait_s * 1e9)} | options
    return oracle.windows(*recorded.oracle_lists(bag), **arguments)


def digest(windows: list[dict[str, Any]]) -> dict[str, str]:
    """The hashes of windows given as dictionaries: the oracle's, a dump's, or those of ``window_info``."""
    found = Digest()
    for window in windows:
        keys = ("epoch", "frame_stamps", "step_stamps", "actions", "states")
        found.add_window(*(window[key] for key in keys), future_actions=window.get("future_actions", ()))
    return found.hexadecimal(latents=False)


def assert_equal(got: list[dict[str, Any]], want: list[dict[str, Any]]) -> None:
    """Equal, value by value."""
    assert [w["frame_stamps"] for w in got] == [w["frame_stamps"] for w in want]
    for one, other in zip(got, want, strict=True):
        assert (one["epoch"], one["step_stamps"]) == (other["epoch"], other["step_stamps"])
        np.testing.assert_array_equal(one["actions"], other["actions"])
        np.testing.assert_array_equal(one["states"], other["states"])
        for key in ("future_actions", "future_step_stamps", "future_sources"):
            np.testing.assert_array_equal(one.get(key, []), other.get(key, []))
