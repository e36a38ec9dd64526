"""How far a fleet is, as it stands on the disk. It reads small files, and nothing heavy is imported for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vjepa_ros.fleet.store import Store


def status(out: Path) -> dict[str, Any]:
    """What is done of a fleet, what failed, and what is left, as it stands on the disk now.

    Args:
        out: its folder; a run may be at it.

    Returns:
        ``done``, ``failed``, ``left``, ``windows``, ``incomplete``: how many; ``dataset``: ``left`` or ``written``,
        None where none is wanted; ``failures``: (name, recording, reason) of those that failed.

    Raises:
        OutputError: where it is no folder of a fleet.
    """
    found = Store(out)
    dataset = found.manifest().get("dataset")
    done = windows = incomplete = left = 0
    failures = []
    for line in found.lines():
        report = found.report(line["name"], frames=dataset is not None)
        if report is not None:
            done += 1
            windows += report["rows"]
            incomplete += bool(report["incomplete"])
        elif (failure := found.failure(line["name"])) is not None:
            failures.append((line["name"], line["recording"], failure["reason"]))
        else:
            left += 1
    return {
        "done": done, "failed": len(failures), "left": left, "windows": windows, "incomplete": incomplete,
        "dataset": dataset, "failures": failures,
    }  # fmt: skip
