"""The package's metadata: package.xml says what ROS tools need, and says the same as the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from catkin_pkg.changelog import BulletList, Changelog, populate_changelog_from_rst
from catkin_pkg.package import parse_package

import vjepa_ros

ROOT = Path(__file__).parents[1]

# module -> rosdep key, where they differ; None: no key fits, package.xml says why
KEYS = {
    "PIL": "python3-pil",
    "accelerate": None,
    "av": None,
    "backports": "python3-rosbags-pip",  # zstd, which rosbags depends on; from Python 3.14 on it is `compression`
    "compression": "python3-rosbags-pip",
    "cv2": "python3-opencv",
    "faiss": None,
    "fsspec": None,
    "hypothesis": "python3-hypothesis",
    "jinja2": None,
    "lz4": "python3-rosbags-pip",
    "matplotlib": "python3-matplotlib",
    "numpy": "python3-numpy",
    "pandas": None,
    "pyarrow": None,
    "_pytest": "python3-pytest",
    "pytest": "python3-pytest",
    "ray": None,
    "rerun": None,
    "rich": "python3-rich",
    "rosbags": "python3-rosbags-pip",
    "safetensors": None,
    "tensorboardX": None,
    "torch": None,
    "yaml": "python3-yaml",
}
# What only a checkout needs, and requirements/ installs: the tests' own tools, the public code that tests and
# benchmarks compare with, and what reads ONNX files, which the package itself asks for by name only where it is wanted.
DEVELOPMENT_ONLY = {
    "catkin_pkg",
    "lz4",
    "onnx",
    "onnxruntime",
    "packaging",
    "psutil",
    "transformers",
    "vjepa2",
    "xdist",
}
TESTS_OWN = {"benchmarks", "docs", "test"}
"""The folders that need it; what is installed, and the examples, do without."""


def third_party_imports(folder: str) -> set[str]:
    """Top-level modules imported anywhere under a folder, less the standard library and the project's own."""
    files = list((ROOT / folder).rglob("*.py"))
    own = {path.stem for place in (ROOT, ROOT / "test") for path in place.iterdir()} | {file.stem for file in files}
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.split(".")[0])
    return found - (own - {"launch"}) - set(sys.stdlib_module_names)  # launch is a folder here, but a package of ROS


def test_package_xml_is_valid() -> None:
    """By the same parser as colcon's: elements, attributes, e-mail address, version, licence."""
    warnings: list[str] = []
    package = parse_package(str(ROOT / "package.xml"), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []
    assert package.package_format == 3
    assert package.get_build_type() == "ament_python"
    assert [license.file for license in package.licenses] == ["LICENSE"]
    assert (ROOT / "LICENSE").is_file()


def test_the_elements_stand_in_the_order_of_the_schema() -> None:
    """The parser above does not look at it, the schema of format 3 asks for it."""
    tags = [element.tag for element in ElementTree.parse(ROOT / "package.xml").getroot()]
    kinds = ["depend" if tag.endswith("depend") else tag for tag in tags]
    assert list(dict.fromkeys(kinds)) == [
        "name", "version", "description", "maintainer", "license", "url", "author", "depend", "export",
    ]  # fmt: skip
    assert kinds == sorted(kinds, key=list(dict.fromkeys(kinds)).index)


def test_a_release_finds_all_that_it_needs() -> None:
    """What bloom and rosdoc2 read besides: addresses, the licence's text, a configuration and its folder."""
    package = parse_package(str(ROOT / "package.xml"))
    assert {url.type for url in package.urls} == {"website", "repository"}
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    exported = {export.tagname: export.content for export in package.exports}
    assert exported == {"build_type": "ament_python", "rosdoc2": "rosdoc2.yaml"}
    head, settings = yaml.safe_load_all((ROOT / "rosdoc2.yaml").read_text(encoding="utf-8"))
    assert head == {"type": "rosdoc2 config", "version": 1}
    ((sphinx,),) = (builder.values() for builder in settings["builders"])
    assert (ROOT / sphinx["sphinx_sourcedir"] / "conf.py").is_file()


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_the_changelog_is_one_that_a_release_reads() -> None:
    """By version, the newest first; a release puts its number and date in the place of Forthcoming."""
    text = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    headings = re.findall(r"^(.+)\n-{5,}$", text, re.MULTILINE)
    version = parse_package(str(ROOT / "package.xml")).version
    if headings[0] == "Forthcoming":
        headings[0] = f"{version} (2999-12-31)"
        text = re.sub(r"^Forthcoming\n-+$", f"{headings[0]}\n{'-' * len(headings[0])}", text, flags=re.MULTILINE)
    changelog = Changelog("vjepa_ros")
    populate_changelog_from_rst(changelog, text)
    read = list(changelog.foreach_version())
    assert [f"{number} ({date:%Y-%m-%d})" for number, date, _ in read] == headings, "one that is not read"
    numbers = [tuple(map(int, number.split("."))) for number, _, _ in read]
    assert numbers == sorted(set(numbers), reverse=True) and numbers[0] == tuple(map(int, version.split(".")))
    for number, _, content in read:
        assert any(len(block.bullets) > 0 for block in content if isinstance(block, BulletList)), number


def test_one_version() -> None:
    asked = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "--name", "--version", "--maintainer-email"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    name, version, email = asked.stdout.split()
    package = parse_package(str(ROOT / "package.xml"))
    assert (name, version, email) == (package.name, package.version, package.maintainers[0].email)
    assert version == vjepa_ros.__version__


@pytest.mark.parametrize("folder", ["vjepa_ros", "launch", "examples", "benchmarks", "docs", "test"])
def test_every_import_is_a_declared_dependency(folder: str) -> None:
    package = parse_package(str(ROOT / "package.xml"))
    declared = {dependency.name for dependency in package.exec_depends}
    allowed = set()
    if folder in TESTS_OWN:
        declared |= {dependency.name for dependency in package.test_depends}
        allowed = DEVELOPMENT_ONLY
    needed = {KEYS.get(module, module) for module in third_party_imports(folder) - allowed} - {None}
    assert needed <= declared


def test_what_only_a_checkout_needs_is_needed_and_installed_by_it() -> None:
    """No name is left over from code that is gone, and `make setup` brings each."""
    used = set().union(*map(third_party_imports, sorted(TESTS_OWN)))
    assert used >= DEVELOPMENT_ONLY
    files = [*(ROOT / "requirements").glob("*.txt"), ROOT / "setup.py"]
    listed = "\n".join(file.read_text(encoding="utf-8") for file in files).lower().replace("-", "_")
    assert [module for module in DEVELOPMENT_ONLY if module not in listed] == []


def test_nothing_pulls_torch_in() -> None:
    """A requirement on torch could replace a robot's own build by another one."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    required = next(
        keyword.value for keyword in ast.walk(ast.parse(text))
        if isinstance(keyword, ast.keyword) and keyword.arg == "install_requires"
    )  # fmt: skip
    assert ast.literal_eval(required) == ["setuptools"]


def test_every_requirement_has_a_pinned_version() -> None:
    def names(file: str) -> set[str]:
        lines = (ROOT / "requirements" / file).read_text(encoding="utf-8").splitlines()
        entries = [line.split("#")[0].strip() for line in lines]
        return {re.split("[<>=;]", entry)[0].strip().lower() for entry in entries if entry}

    assert names("dev.txt") | names("ros-jazzy.txt") <= names("constraints.txt")
    kilted = names("ros-kilted.txt")
    assert {name.replace("kilted", "jazzy") for name in kilted} == names("ros-jazzy.txt")
    assert kilted <= names("constraints-kilted.txt") and all(
        name[:4] == "ros-" for name in names("constraints-kilted.txt")
    )
