"""The version of rosbags: in the range that the metadata declares, which was tried, and with what is used of it.

Cut files are read by parts of it that are nobody's interface: another version may do without them.
"""

from __future__ import annotations

import ast
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from catkin_pkg.package import parse_package
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from rosbags.rosbag2.storage_mcap import McapReader
from support.recorded import BAG

from vjepa_ros.recordings import cut_mcap

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


def test_it_brings_the_decompressor_that_is_imported_beside_it() -> None:
    """``backports.zstd``, or from Python 3.14 on the standard library: older versions had another package."""
    names = {Requirement(entry).name for entry in requires("rosbags") or []}
    assert "backports.zstd" in names


def test_what_is_used_of_its_reader_is_there() -> None:
    tree = ast.parse(Path(cut_mcap.__file__).read_text(encoding="utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "_reader"
    }
    assert {"bio", "data_start", "data_end", "meta_scan", "messages_scan", "statistics"} <= used
    (file,) = BAG.glob("*.mcap")
    reader = McapReader(file)
    assert {name for name in used if not hasattr(reader, name)} == set()
