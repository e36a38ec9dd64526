"""What is public without ROS: each name there after the import, documented, and its example true."""

from __future__ import annotations

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import vjepa_ros
from vjepa_ros.config.presets import MODEL_PARAMETERS
from vjepa_ros.engine import loading

NAMES = [name for name in vjepa_ros.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_a_docstring_whose_example_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])  # the sample bag is named as in a checkout
    value = getattr(vjepa_ros, name)
    examples = doctest.DocTestFinder(recurse=False).find(value, name, globs={})
    assert examples and examples[0].examples, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    runner.run(examples[0], out=said.append)
    assert runner.failures == 0, "".join(said)


def test_importing_stays_quick_and_finds_every_name() -> None:
    """Nothing heavy before it is asked for; and a star import gives all."""
    code = (
        "import sys, vjepa_ros; heavy = {'torch', 'numpy', 'cv2', 'yaml', 'rosbags', 'rclpy'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "assert set(vjepa_ros.__all__) <= set(dir(vjepa_ros));"
        "exec('from vjepa_ros import *'); assert 'rclpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = vjepa_ros.lode


def test_there_is_one_load_and_its_signature_names_every_option() -> None:
    assert vjepa_ros.load is loading.load
    parameters = inspect.signature(vjepa_ros.load).parameters
    assert list(parameters)[0] == "preset"
    assert all(parameter.kind is parameter.KEYWORD_ONLY for name, parameter in parameters.items() if name != "preset")
    assert set(MODEL_PARAMETERS) <= set(parameters)
    said = inspect.getdoc(vjepa_ros.load) or ""
    assert [name for name in parameters if f"{name}:" not in said and f"{name}," not in said] == []


def test_everything_public_is_typed_for_those_who_check() -> None:
    """The names that are imported late stand under TYPE_CHECKING too."""
    tree = ast.parse(Path(vjepa_ros.__file__).read_text(encoding="utf-8"))
    typed = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(NAMES) <= typed
