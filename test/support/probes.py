"""``vjepa_probe`` called in this process on the sample bag, and what it leaves and says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import bags, replays
from vjepa_ros.commands import probe

SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 2 * bags.S]
"""Its first two seconds."""
STD = [0.01 * (index + 1) for index in range(7)]  # small, so that actions tell in a model that was never trained
NORMALISED = ("--set", f"actions.std={STD}")


def run(*arguments: Any) -> int:
    """Its exit status."""
    return probe.main([*map(str, arguments), "--params", str(replays.PARAMS), *replays.ONE_THREAD])


def report(out: Path, name: str) -> dict[str, Any]:
    """What it wrote."""
    found: dict[str, Any] = json.loads((out / name).read_text(encoding="utf-8"))
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run what must be refused: exit status 1, and the last line of what it said."""
    assert run(*arguments) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vjepa_probe: ")]
    return lines[-1].removeprefix("vjepa_probe: ")
