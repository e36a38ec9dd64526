"""What lies beside the package: who of examples, benchmarks and the tests' helpers may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# folder: the project's own that its files may import. That the package imports none of these is in test_layering.
MAY_IMPORT = {
    "launch": {"vjepa_ros"},  # the arguments are those of its tables
    "docs": {"docs", "examples", "support", "vjepa_ros"},
    "examples": {"examples", "vjepa_ros"},
    "benchmarks": {"benchmarks", "support", "vjepa_ros"},
    "test/support": {"examples", "support", "vjepa_ros"},
}
OWN = {"benchmarks", "docs", "examples", "support", "vjepa_ros"}
INDEPENDENT = ("oracle.py", "recorded.py", "panda.py")
"""Helpers that the package is held against: they know nothing of it."""


def imported(file: Path) -> Iterator[str]:
    """The first names of everything that a file imports, lazily or not; none is relative."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, file
            yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_each_imports_only_what_it_may(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    tests = {path.stem for path in (ROOT / "test").glob("*.py")}
    wrong = {file.name: set(imported(file)) & (OWN | tests) - MAY_IMPORT[folder] for file in files}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_what_the_package_is_held_against_knows_nothing_of_it(name: str) -> None:
    file = ROOT / "test" / "support" / name
    assert set(imported(file)) & OWN <= {"support"}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "support":
            assert {f"{alias.name}.py" for alias in node.names} <= set(INDEPENDENT)


def test_helpers_are_no_tests() -> None:
    """pytest collects nothing of them, and what is a test is not imported from there."""
    names = [path.name for path in (ROOT / "test" / "support").rglob("*.py")]
    assert not [
        name for name in names if name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
    ]
