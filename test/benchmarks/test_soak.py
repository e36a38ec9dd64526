"""A minute of load, and large messages: the short form of ``make soak``, with images as the node takes them by default.

It judges what was sent, what arrived, that the model computed, and memory. How fast callbacks were it prints and does
not judge, on purpose: other processes decide that as much as this package, and no test here passes or fails by timing.
They decide as well what is lost where a robot sends by the clock and the node gets no time to take it: here the robot
waits for the node, the minute lasts as long as it takes, and all of it must arrive. ``make soak`` judges both, on a
machine that is left to it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import soak

ROOT = Path(__file__).parents[2]
SECONDS, SETTLE_S = 60, 20
HOP, UNTIL_FULL = 2, 8  # frames from a window to the next, and hops until the first one is full
# 20 MB in the nine minutes that `make soak` looks at would be 1.5 MB here; the allocator's own steps are as large.
MAX_GROWTH_MB = 5.0


def measured(*arguments: str) -> dict[str, Any]:
    run = subprocess.run([*soak.THIS, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=580)
    assert run.returncode == 0, run.stderr
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    print(figures)
    return figures


@pytest.mark.timeout(600)
def test_a_minute_of_images_and_commands_arrives_in_memory_that_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """The limits of ``make soak``, all but that of the callbacks' time; and nothing at all is lost."""
    with capsys.disabled():
        figures = measured("--paced", "--seconds", str(SECONDS), "--settle", str(SETTLE_S))
    assert figures["images_share"] == figures["commands_share"] == 1.0
    assert figures["windows"] == figures["images_sent"] // HOP - UNTIL_FULL
    assert figures["windows"] == figures["computed"] + figures["superseded"]
    assert figures["callback_p99_ms"].keys() == {"/image", "/joint_commands"}
    untimed = {**figures, "callback_p99_ms": dict.fromkeys(figures["callback_p99_ms"], 0.0)}
    assert soak.failures(untimed) == []
    assert figures["memory_growth_mb"] < MAX_GROWTH_MB


GOOD = {
    "seconds": 600.0, "hz": 30.0, "command_hz": 500.0, "images_sent": 18_000, "images_share": 0.98,
    "commands_sent": 300_000, "commands_share": 0.995, "computed": 4_000, "memory_growth_mb": 1.0,
    "callback_p99_ms": {"/image": 9.0, "/joint_commands": 0.2},
    "callback_max_ms": {"/image": 120.0, "/joint_commands": 1.0}, "rejected": 0,
}  # fmt: skip


def test_figures_that_are_as_they_should_be() -> None:
    assert soak.failures(GOOD) == []
    assert soak.failures({"lost": 0}) == []


def test_the_longest_callback_is_judged_where_hostile_images_came() -> None:
    hostile = {**GOOD, "rejected": 100, "callback_max_ms": {"/image/compressed": 99.0, "/joint_commands": 1.0}}
    assert soak.failures(hostile) == []
    assert soak.failures({**hostile, "callback_max_ms": GOOD["callback_max_ms"]}) == ["callback_max_ms"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("images_sent", 17_800),
        ("commands_sent", 296_000),
        ("images_sent", 0),
        ("commands_sent", 0),
        ("images_share", 0.969),
        ("commands_share", 0.989),
        ("computed", 0),
        ("computed", 599),
        ("callback_p99_ms", {"/image": 25.1, "/joint_commands": 0.2}),
        ("callback_p99_ms", {}),
        ("memory_growth_mb", 20.0),
        ("lost", 1),
    ],
)
def test_a_figure_that_is_missed_fails_by_name(name: str, value: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.failures({**GOOD, name: value}) == [name]
    assert f"{name}: {value} is not" in capsys.readouterr().err


@pytest.mark.timeout(300)
def test_no_large_message_is_lost_through_the_profile_that_is_shipped() -> None:
    figures = measured("--large", "30")
    assert figures["segment_mb"] > 64 and figures["sender"]["segment_mb"] > 64, "the profile has taken effect"
    assert figures["megabytes"] > 6.4
    assert (figures["sent"], figures["lost"]) == (30, 0)
