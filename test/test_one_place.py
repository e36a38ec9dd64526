"""To add one thing, touch one place: nothing asks for a row by its name, and CONTRIBUTING.md names what is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vjepa_ros.config.encodings import ENCODINGS
from vjepa_ros.config.families import FAMILIES
from vjepa_ros.config.inputs import COMMAND_TYPES
from vjepa_ros.config.reductions import REDUCTIONS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vjepa_ros"
NAMES = {*REDUCTIONS, *COMMAND_TYPES, *ENCODINGS, *FAMILIES}


def asked_for(source: str) -> Iterator[tuple[int, str]]:
    """(line, name) wherever something is compared with the name of a row, or looked for among such names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Compare, ast.match_case)):
            for part in ast.walk(node.pattern if isinstance(node, ast.match_case) else node):
                if isinstance(part, ast.Constant) and part.value in NAMES:
                    yield part.lineno, str(part.value)
        elif (
            isinstance(node, ast.Dict) and len(NAMES & {k.value for k in node.keys if isinstance(k, ast.Constant)}) > 1
        ):
            yield node.lineno, "a table of its own"


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_nothing_asks_for_a_row_by_its_name(file: Path) -> None:
    found = list(asked_for(file.read_text(encoding="utf-8")))
    assert not found, f"{file.relative_to(ROOT)} should ask the row, not for its name: {found}"


@pytest.mark.parametrize(
    "source",
    [
        "x = config.reduction == 'sum'",
        "x = 'clip' != config.encoding",
        "x = kind in ('pick', 'pose_delta')",
        "match kind:\n    case 'tubelet':\n        pass",
        "KINDS = {'pick': 1, 'sum': 2}",
        "def f():\n    return config.command_type == 'JointTrajectory'",
    ],
)
def test_whoever_asks_by_name_is_found(source: str) -> None:
    assert list(asked_for(source))


def test_whoever_does_not_is_not() -> None:
    assert not list(asked_for("x = Row('sum', way == 1)\nlabels = {'mean': 0, 'std': 1}\nassert n == 3, 'clip'"))


# -- CONTRIBUTING.md

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_page_names_what_is_there() -> None:
    named = set(re.findall(r"`((?:vjepa_ros|test|docs|config|launch|tools|requirements)/[\w./]*)`", PAGE))
    assert len(named) >= 15, "fewer: the pattern is out of date"
    planned = {name for name in named if "planned" in next(line for line in PAGE.splitlines() if f"`{name}`" in line)}
    missing = {name for name in named - planned if not (ROOT / name).exists()}
    assert not missing


def test_every_reduction_and_encoding_is_explained() -> None:
    page = (ROOT / "docs" / "time.md").read_text(encoding="utf-8")
    table = page.split("| reduction | action[k] |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(REDUCTIONS)
    section = page.split("## 7. Encodings")[1].split("\n## ")[0]
    assert all(f"`{name}`" in section for name in ENCODINGS)
