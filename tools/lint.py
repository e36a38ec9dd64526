"""Runs ruff and mypy, each where what its verdict hangs on has the versions of requirements/constraints.txt.

What mypy says depends on the types of every package that the code imports, and next to a sourced ROS some of these are
the system's own: OpenCV 4.6 has no types, and those of numpy 1.26 are others. Such a verdict says nothing about the
code, so what would not be the pinned one is left out, with a line that says so, and is no failure. It knows pip's
version numbers and nothing of ROS.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
RUFF = (["ruff", "check", "."], ["ruff", "format", "--check", "."])
MYPY = (["mypy"],)


def read(file: str) -> dict[str, Requirement]:
    """The requirements in a file that this Python has, by name."""
    lines = (line.partition("#")[0].strip() for line in (REQUIREMENTS / file).read_text("utf-8").splitlines())
    found = [Requirement(line) for line in lines if line]
    found = [requirement for requirement in found if requirement.marker is None or requirement.marker.evaluate()]
    return {canonicalize_name(requirement.name): requirement for requirement in found}  # Jinja2 is jinja2


def difference(name: str, pinned: dict[str, Requirement]) -> str:
    """How the installed version of a package is not the pinned one, in words; empty where it is."""
    try:
        there = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not there"
    wanted = pinned[name].specifier
    # A local version, as in 2.13.0+cu130, is the same code built for something else.
    return "" if wanted.contains(Version(there).public, prereleases=True) else f"{name} is {there}, not {wanted}"


def main() -> int:
    """The exit status: 1 where a check that was run failed."""
    pinned = read("constraints.txt")
    failed = False
    for commands, names in ((RUFF, ["ruff"]), (MYPY, list(read("dev.txt")))):
        differences = list(filter(None, (difference(name, pinned) for name in names)))
        if differences:
            print(f"lint: {commands[0][0]} is left out, where it would say other things: {'; '.join(differences)}")
            continue
        for command in commands:
            failed |= subprocess.run([sys.executable, "-m", *command], check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
