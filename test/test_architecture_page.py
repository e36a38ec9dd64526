"""docs/architecture.md: its rooms are the package's, and the ways that it draws are there and go only down."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_layering import ALLOWED, PACKAGE, part_of

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")


def drawn(heading: str) -> list[str]:
    """What is drawn under a heading: its blocks, those of one heading in their order."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```text\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


# -- the rooms

ROOMS = re.findall(r"^  (\w+)(?:/|\.py)  +\S", drawn("The rooms")[0], re.MULTILINE)


def test_every_room_is_named_and_no_other() -> None:
    there = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(ROOMS) == sorted(there)
    assert there == {part.partition(".")[0] for part in ALLOWED}


def test_a_room_imports_only_what_stands_below_it() -> None:
    for part, (parts, _) in ALLOWED.items():
        room = part.partition(".")[0]
        if room in ROOMS:
            imported = {name.partition(".")[0] for name in parts} - {room}
            assert imported <= set(ROOMS[ROOMS.index(room) + 1 :]), part


# -- the ways of parameters


@dataclass(frozen=True)
class Station:
    """A line of a drawn way: a file, a name in it, and how far to the right that stands."""

    file: str
    name: str
    depth: int

    @property
    def said_as(self) -> str:
        """The name as a caller writes it: that of a class where it is what makes one."""
        return self.name.removesuffix(".__init__").removesuffix(".__call__").rpartition(".")[2]


WAYS = [
    [Station(file, name, len(indent)) for file, indent, name in re.findall(r"^(\S+\.py)( +)(\S+)", way, re.MULTILINE)]
    for block in drawn("The ways of parameters")
    for way in block.split("\n\n")
]


def calls(way: list[Station]) -> Iterator[tuple[Station, Station]]:
    """(caller, called): the nearest station above that stands further left, and each station that has one."""
    above: list[tuple[int, Station]] = []
    for station in way:
        column = len(station.file) + station.depth
        above = [(place, caller) for place, caller in above if place < column]
        if above:
            yield above[-1][1], station
        above.append((column, station))


CALLS = [call for way in WAYS for call in calls(way)]


def definition(station: Station) -> ast.AST:
    """The function or class of this name, read without running the file."""
    node: ast.AST = ast.parse((PACKAGE / station.file).read_text(encoding="utf-8"))
    for word in station.name.split("."):
        kinds = (ast.FunctionDef, ast.ClassDef)
        found = [n for n in ast.iter_child_nodes(node) if isinstance(n, kinds) and n.name == word]
        assert len(found) == 1, f"there is no {word} of {station.name} in {station.file}"
        node = found[0]
    return node


def names_in(node: ast.AST) -> set[str]:
    """Every name and attribute that is used in a piece of code."""
    inside = list(ast.walk(node))
    return {n.id for n in inside if isinstance(n, ast.Name)} | {n.attr for n in inside if isinstance(n, ast.Attribute)}


def test_the_ways_are_found() -> None:
    assert len(WAYS) == 5
    assert sum(map(len, WAYS)) == len(CALLS) + len(WAYS), "each way begins with one station that nobody above it calls"
    assert len(CALLS) >= 40, "fewer: the pattern is out of date"


@pytest.mark.parametrize("station", [station for way in WAYS for station in way], ids=lambda s: f"{s.file}-{s.name}")
def test_a_station_exists(station: Station) -> None:
    assert isinstance(definition(station), (ast.FunctionDef, ast.ClassDef))


@pytest.mark.parametrize(("caller", "called"), CALLS, ids=lambda station: station.name)
def test_a_station_is_called_by_the_one_above_it(caller: Station, called: Station) -> None:
    assert called.said_as in names_in(definition(caller)), f"{caller.name} says nothing of {called.name}"


def goes_down(caller: Station, called: Station) -> bool:
    """Whether the caller's room is the other's, or may import it."""
    upper, lower = (part_of(PACKAGE / station.file) for station in (caller, called))
    return lower == upper or lower in ALLOWED[upper][0]


@pytest.mark.parametrize(("caller", "called"), CALLS, ids=lambda station: station.name)
def test_a_way_goes_only_down(caller: Station, called: Station) -> None:
    assert goes_down(caller, called), f"{caller.file} must not know {called.file}"


def test_what_is_wrong_is_found() -> None:
    way = [Station("weights/file.py", "open_weights", 2), Station("engine/loading.py", "load", 2)]
    ((caller, called),) = calls(way)
    assert not goes_down(caller, called) and goes_down(called, caller)
    assert called.said_as not in names_in(definition(caller))
    with pytest.raises(AssertionError, match="there is no nobody"):
        definition(Station("units.py", "nobody", 1))
