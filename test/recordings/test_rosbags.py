"""The version of rosbags: in the range that the metadata declares, which was tried, and with what it brings."""

from __future__ import annotations

import ast
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from catkin_pkg.package import parse_package
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]


def declared() -> SpecifierSet:
    """The range in setup.py."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (extras,) = (
        node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "extras_require"
    )
    (found,) = (entry for entry in ast.literal_eval(extras)["standalone"] if Requirement(entry).name == "rosbags")
    return Requirement(found).specifier


def test_the_installed_version_lies_in_the_declared_range() -> None:
    assert {clause.operator for clause in declared()} == {">=", "<"}
    assert declared().contains(version("rosbags"))


@pytest.mark.parametrize("outside", ["0.11.6", "0.12", "1.0"])
def test_versions_that_nobody_has_tried_are_outside(outside: str) -> None:
    assert not declared().contains(outside)


def test_every_file_that_names_it_says_the_same() -> None:
    lines = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("rosbags"))
    assert Requirement(line).specifier == declared()
    pins = (ROOT / "requirements" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (pin,) = (line for line in pins if line.startswith("rosbags"))
    assert declared().contains(pin.removeprefix("rosbags=="))
    (depend,) = (depend for depend in parse_package(str(ROOT / "package.xml")).exec_depends if "rosbags" in depend.name)
    assert SpecifierSet(f">={depend.version_gte},<{depend.version_lt}") == declared()


def test_it_brings_the_decompressors_that_are_imported_beside_it() -> None:
    """``backports.zstd``, or from Python 3.14 on the standard library: older versions had another package."""
    names = {Requirement(entry).name for entry in requires("rosbags") or []}
    assert {"backports.zstd", "lz4"} <= names


def test_nothing_of_it_reads_bags_and_only_what_is_public_is_used() -> None:
    """A format is read in one place; and its readers refuse what other recorders write."""
    used = {
        (node.module, alias.name)
        for file in (ROOT / "vjepa_ros").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rosbags")
        for alias in node.names
    }
    assert {module for module, _ in used} <= {
        "rosbags.interfaces", "rosbags.rosbag2", "rosbags.serde", "rosbags.typesys"
    }  # fmt: skip
    assert {name for module, name in used if module == "rosbags.rosbag2"} == {
        "CompressionFormat", "CompressionMode", "StoragePlugin", "Writer"
    }  # fmt: skip
