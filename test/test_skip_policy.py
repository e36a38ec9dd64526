"""The policy of conftest.py, on sample files in a pytest of its own: which skips pass, and which fail the run."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
NOT_THERE = "surely_not_installed"


def run_pytest(folder: Path, source: str, *, skippable: str = "launch") -> subprocess.CompletedProcess[str]:
    """Run pytest on one sample file, next to a copy of the real conftest.py that allows ``skippable`` as well."""
    policy = CONFTEST.read_text(encoding="utf-8").replace(
        "SKIPPABLE_MODULES = {", f'SKIPPABLE_MODULES = {{"{skippable}", '
    )
    (folder / "conftest.py").write_text(policy, encoding="utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n  gpu: a marker\n  compiler: a marker\nxfail_strict = true\n", encoding="utf-8"
    )
    (folder / "test_passing.py").write_text("def test_passes(): pass", encoding="utf-8")
    (folder / "test_sample.py").write_text(f"import pytest\n{source}", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp", folder / "tmp", folder],
        cwd=folder,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "PATH": ""},  # no GPU and no compiler, whatever machine this is
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("def test_needs_it(): pytest.importorskip('{0}.sub')", "test_sample.py::test_needs_it"),
        ("pytest.importorskip('{0}')", "test_sample.py"),  # the whole file, when it is collected
        ("@pytest.mark.compiler\ndef test_built(): raise AssertionError", "test_sample.py::test_built"),
        ("@pytest.mark.gpu\ndef test_fast(): raise AssertionError", "test_sample.py::test_fast"),
    ],
)
def test_what_needs_ros_or_a_gpu_is_skipped_and_listed(tmp_path: Path, source: str, name: str) -> None:
    run = run_pytest(tmp_path, source.format(NOT_THERE), skippable=NOT_THERE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"allowed    {name}: " in run.stdout
    assert "FORBIDDEN" not in run.stdout


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("@pytest.mark.skip(reason='later')\ndef test_lazy(): pass", "test_sample.py::test_lazy"),
        ("@pytest.mark.skipif(True, reason='slow')\ndef test_lazy(): pass", "test_sample.py::test_lazy"),
        ("def test_lazy(): pytest.skip('no time')", "test_sample.py::test_lazy"),
        ("def test_other(): pytest.importorskip('{0}')", "test_sample.py::test_other"),
        ("pytest.importorskip('{0}')", "test_sample.py"),
        ("pytest.skip('all of it', allow_module_level=True)", "test_sample.py"),
        ("@pytest.mark.xfail\ndef test_known(): raise AssertionError", "test_sample.py::test_known"),
        (
            "@pytest.fixture\ndef thing(): pytest.skip('no thing')\ndef test_with(thing): pass",
            "test_sample.py::test_with",
        ),
    ],
)
def test_every_other_skip_fails_the_run_by_name(tmp_path: Path, source: str, name: str) -> None:
    run = run_pytest(tmp_path, source.format(NOT_THERE))
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"FORBIDDEN  {name}: " in run.stdout


def test_an_installed_but_broken_module_is_no_reason(tmp_path: Path) -> None:
    (tmp_path / "broken_bridge.py").write_text("raise ImportError('compiled against another numpy')", encoding="utf-8")
    anything = ", exc_type=ImportError" if pytest.version_tuple >= (8, 2) else ""  # it was the default before
    run = run_pytest(
        tmp_path,
        f"def test_it(): pytest.importorskip('broken_bridge'{anything})",
        skippable="broken_bridge",
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert "FORBIDDEN  test_sample.py::test_it: " in run.stdout


def test_a_failure_stays_a_failure(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "def test_wrong(): raise AssertionError")
    assert run.returncode == 1
    assert "1 failed, 1 passed" in run.stdout


def skips_as_a_file(source: str) -> bool:
    """Whether a file says, outside of its functions, that it is to be skipped."""
    statements = list(ast.parse(source).body)
    while statements:
        statement = statements.pop()
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        nested = [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt)]
        statements += nested
        calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call) and not nested]
        if any(ast.unparse(call.func) in ("pytest.importorskip", "pytest.skip") for call in calls):
            return True
    return False


def test_no_file_is_skipped_as_a_whole() -> None:
    """launch_testing's plugin imports each file while it collects the folder: one that raises takes all others out."""
    assert skips_as_a_file("import pytest\npytest.importorskip('cv2')")
    assert skips_as_a_file("import pytest\nif True:\n    cv2 = pytest.importorskip('cv2')")
    assert not skips_as_a_file("import pytest\ndef test(): pytest.skip('later')")
    files = sorted(Path(__file__).parent.rglob("*.py"))
    assert len(files) > 100
    assert [file.name for file in files if skips_as_a_file(file.read_text(encoding="utf-8"))] == []


def test_each_test_process_has_a_ros_domain_of_its_own(tmp_path: Path) -> None:
    mine = int(os.environ["ROS_DOMAIN_ID"])
    assert 1 <= mine <= 101
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    check = f"import os\ndef test_domain(): assert int(os.environ['ROS_DOMAIN_ID']) not in ({mine}, 0)"
    assert run_pytest(tmp_path, check).returncode == 0
