"""Recordings of the simulated arm where there are none yet: `vjepa_simulate` for scripts that are called again.

    tools/run.sh tools/simulate_once.py --episodes 300 --seed 1 -o recordings

takes what `vjepa_simulate` takes. What lies there already is kept where it was made of the same, and refused where not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from vjepa_ros.commands import simulate
from vjepa_ros.documents import Unreadable, from_json, read_text
from vjepa_ros.errors import ConfigError, brief, place
from vjepa_ros.simulation.plan import ABOUT


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    given = simulate.parser().parsed(arguments)
    if given.force or not given.out.exists():
        return simulate.main(arguments)
    try:
        said = difference(given)
    except ConfigError:
        return simulate.main(arguments)  # which says what makes no sense
    if said:
        print(f"{place(given.out)}: {said}; remove it, or make the new ones elsewhere", file=sys.stderr)
    return 1 if said else 0


def difference(given: argparse.Namespace) -> str:
    """Where what lies there is not what is asked for, in words; empty where it is."""
    try:
        found = from_json(read_text(given.out / ABOUT))
    except Unreadable as error:
        return f"there is something, but no {ABOUT} that says what it was made of ({error})"
    found = found if isinstance(found, dict) else {}
    wanted: dict[str, Any] = {"episodes": given.episodes, "bags": given.bags, **asdict(simulate.world_of(given))}
    other = [name for name, value in wanted.items() if found.get(name) != value]
    if not other:
        return ""
    return "its recordings were made of " + ", ".join(
        f"{name} {brief(found.get(name))}, not {brief(wanted[name])}" for name in other
    )


if __name__ == "__main__":
    sys.exit(main())
