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


def run_pytest(folder: Path, source: str, *options: str, skippable: str = "launch") -> subprocess.CompletedProcess[str]:
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
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp", folder / "tmp", *options, folder],
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


SPREAD = """
import os
import pytest

@pytest.mark.parametrize("number", range(20))
def test_of_one_file(number):
    with open("workers.txt", "a") as file:
        print(__file__, os.environ["PYTEST_XDIST_WORKER"], os.environ["ROS_DOMAIN_ID"], file=file)
"""


def test_workers_run_whole_files_in_domains_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(SPREAD, encoding="utf-8")
    run = run_pytest(tmp_path, SPREAD, "-n", "2")
    assert run.returncode == 0 and "41 passed" in run.stdout, run.stdout + run.stderr
    lines = [line.split() for line in (tmp_path / "workers.txt").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 40 and len({file for file, _, _ in lines}) == 2
    assert len({(file, worker) for file, worker, _ in lines}) == 2, "a file was divided"
    assert len({worker for _, worker, _ in lines}) == len({domain for _, _, domain in lines}) == 2


def test_the_policy_holds_with_workers(tmp_path: Path) -> None:
    """A skip of one worker and a file that another one leaves out reach the process that prints and judges."""
    (tmp_path / "test_left_out.py").write_text(f"import pytest\npytest.importorskip('{NOT_THERE}')", encoding="utf-8")
    allowed = run_pytest(tmp_path, f"def test_it(): pytest.importorskip('{NOT_THERE}')", "-n", "2", skippable=NOT_THERE)
    assert allowed.returncode == 0, allowed.stdout + allowed.stderr
    for name in ("test_sample.py::test_it", "test_left_out.py"):
        assert f"allowed    {name}: " in allowed.stdout
    forbidden = run_pytest(tmp_path, "def test_it(): pytest.skip('no time')", "-n", "2", skippable=NOT_THERE)
    assert forbidden.returncode == 1, forbidden.stdout + forbidden.stderr
    assert "FORBIDDEN  test_sample.py::test_it: no time" in forbidden.stdout
    assert "allowed    test_left_out.py: " in forbidden.stdout


LEFT = """
def pytest_sessionfinish(session):
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["vjepa_ros_sections"] = [("what a worker says", ["one line"])]
"""


def test_what_workers_say_is_printed(tmp_path: Path) -> None:
    (tmp_path / "left.py").write_text(LEFT, encoding="utf-8")
    run = run_pytest(tmp_path, "def test_it(): pass", "-n", "1", "-p", "left")
    assert run.returncode == 0 and "what a worker says" in run.stdout and "\none line\n" in run.stdout, run.stdout


def test_without_workers_or_without_the_plugin_all_is_as_before(tmp_path: Path) -> None:
    for options in (("-n", "0"), ("-p", "no:xdist")):
        run = run_pytest(tmp_path, "def test_it(): pytest.skip('no time')", *options)
        assert run.returncode == 1 and "FORBIDDEN  test_sample.py::test_it" in run.stdout, run.stdout + run.stderr


HANGS = """
import ctypes

@pytest.mark.timeout(1)
def test_hangs():
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)  # for ever, whatever signals come

def test_alone_after_it(): pass
"""


def test_one_that_hangs_in_compiled_code_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VJEPA_ROS_TEST_AFTER_TIMEOUT_S", "1")
    run = run_pytest(tmp_path, HANGS, "-n", "1")
    said = run.stdout + run.stderr
    assert run.returncode == 1 and "1 failed, 2 passed" in said, said
    assert "test_sample.py::test_hangs" in said and "Timeout (0:00:02)!" in said, said
