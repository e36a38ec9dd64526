"""What holds for every test: its place among ROS processes, what may be skipped, and who runs what where several run.

A skipped or expectedly failing test fails the run, unless it is on the short list below: it needs a part of a full ROS
installation that has no wheel (``pytest.importorskip("launch")``), a middleware with security, a GPU
(``@pytest.mark.gpu``), or a C++ compiler (``@pytest.mark.compiler``). All of them are listed at the end, by name or by
file. It knows nothing of the package.

With ``-n 2`` of pytest-xdist, as in ``make test``, two workers share the tests, file by file. The first begins with
those that talk to other processes, the others at the other end, so that as few nodes as can be compute at the same
time. One that dies is replaced, and what it died of is not run again. This process then runs no test: it gets reports,
and what workers leave to be printed in their ``workeroutput``.

Tests are skipped one by one, never as a file: launch_testing's plugin imports every file of a folder while it collects
the folder, and one that raises takes all of them out.
"""

from __future__ import annotations

import faulthandler
import os
import random
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Parts of a ROS installation that exist nowhere else; onnxruntime, which has no wheel for Python 3.10; pinocchio,
# which forward kinematics are compared with, whose wheel would put its own numpy over the one that a ROS installation
# was compiled against; rerun, which wants Python 3.11, numpy 2 and 500 MB; and what reads the datasets of a fleet, or
# stands in for a bucket: lerobot and datasets want another torch and another huggingface_hub than the rest, moto and
# s3fs bring some fifty packages.
SKIPPABLE_MODULES = {
    "bond", "boto3", "control_msgs", "cv_bridge", "datasets", "ffmpeg_image_transport_msgs", "launch", "launch_ros",
    "launch_testing", "lerobot", "moto", "onnxruntime", "pinocchio", "rerun", "ros2cli", "ros2launch",
    "rosbag2_interfaces", "rosbag2_py", "s3fs", "sros2",
}  # fmt: skip
NO_GPU = "needs a CUDA device"
NO_COMPILER = "needs g++"
NO_SECURITY = "needs a middleware with security"  # the wheels' Fast DDS has none

# Whose tests start nodes, commands and senders, and wait for what they say; all others only compute.
LIVE = ("benchmarks", "ros", "faults", "launch", "replay", "test_examples.py", "commands")
# One worker runs a folder as a whole where its last test judges what all others there left in memory.
UNDIVIDED = ("faults",)

# What pytest.importorskip says of a module that is not installed; one that is there but broken must not be skipped.
_NOT_INSTALLED = re.compile(r"could not import '(?P<module>[\w.]+)': No module named '(?P<missing>[\w.]+)'$")


def _claim_domain() -> tuple[int, socket.socket]:
    """Take a ROS domain that no other test process on this machine has, for as long as the socket lives.

    The name of an abstract Unix socket is the lock: it goes away with the process, and leaves no file.
    """
    # Above 101, the ports of a domain reach into those that Linux hands out at random; 0 is everybody's default.
    for domain in random.sample(range(1, 102), 101):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0vjepa_ros.test.domain.{domain}")
        except OSError:
            lock.close()
            continue
        return domain, lock
    raise RuntimeError("all ROS domains from 1 to 101 are taken by other test processes")


# Here and not in a fixture: it must be in the environment before anything imports rclpy.
_domain, _domain_lock = _claim_domain()
os.environ["ROS_DOMAIN_ID"] = str(_domain)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.pop("ROS_LOCALHOST_ONLY", None)  # the older name of the same setting, which would overrule it
os.environ.setdefault("ROS_LOG_DIR", str(Path(__file__).parents[1] / "log" / "ros"))
if "PYTEST_XDIST_WORKER" in os.environ:  # two workers with two threads each on two cores keep both busy with waiting
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# What tests start finds what pytest itself finds by the `pythonpath` of pyproject.toml.
_paths = [
    str(Path(__file__).parents[1]),
    str(Path(__file__).parent),
    *os.environ.get("PYTHONPATH", "").split(os.pathsep),
]
os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, _paths)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked ``gpu`` or ``compiler`` where there is none; torch is imported where such a test exists."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip(NO_GPU)
    if item.get_closest_marker("compiler") is not None and shutil.which("g++") is None:
        pytest.skip(NO_COMPILER)


# s; by so much a test may overrun its time before its process is ended. pytest-timeout ends a test as soon as Python
# runs again: where it hangs in compiled code, or in a thread's lock on the way out, that is never.
_AFTER_TIMEOUT = float(os.environ.get("VJEPA_ROS_TEST_AFTER_TIMEOUT_S", "60"))
_STDERR = pytest.StashKey[Any]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the real standard error: while a test runs, what is written to it is captured, and lost with the process."""
    config.stash[_STDERR] = os.fdopen(os.dup(2), "w")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End a process whose test hangs, with the stacks of its threads; xdist then names the test and goes on."""
    marker = item.get_closest_marker("timeout")
    given = marker.args[0] if marker is not None and marker.args else item.config.getoption("timeout", None)
    limit = float(given or item.config.getini("timeout") or 0) if item.config.pluginmanager.hasplugin("timeout") else 0
    if limit > 0:
        faulthandler.dump_traceback_later(limit + _AFTER_TIMEOUT, exit=True, file=item.config.stash[_STDERR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _is_allowed(reason: str) -> bool:
    """Whether a test may be skipped for this reason."""
    match = _NOT_INSTALLED.match(reason)
    if match is None:
        return reason in (NO_GPU, NO_COMPILER, NO_SECURITY)
    module, missing = match["module"].split(".")[0], match["missing"].split(".")[0]
    return module == missing and module in SKIPPABLE_MODULES


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test, or a whole file, was skipped."""
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def _skipped(config: pytest.Config) -> dict[str, str]:
    """The tests and files that were skipped, or failed as expected, with their reasons."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    stats: dict[str, list[pytest.TestReport | pytest.CollectReport]] = reporter.stats if reporter is not None else {}
    return {report.nodeid: _reason(report) for kind in ("skipped", "xfailed") for report in stats.get(kind, [])}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where something was skipped that must not be."""
    passed = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if passed and not all(map(_is_allowed, _skipped(session.config).values())):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what workers have left; list what was skipped, and what of it must not be."""
    for title, lines in terminalreporter.config.stash.get(_SECTIONS, []):
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.line(line)
    skipped = _skipped(terminalreporter.config)
    if not skipped:
        return
    terminalreporter.section("skipped tests")
    alike: dict[tuple[str, str], list[str]] = {}
    for test, reason in sorted(skipped.items()):
        alike.setdefault((test.split("::")[0], reason), []).append(test)
    for (file, reason), tests in alike.items():
        verdict = "allowed  " if _is_allowed(reason) else "FORBIDDEN"
        named = tests[0] if len(tests) == 1 else f"{len(tests)} tests of {file}"
        terminalreporter.line(f"{verdict}  {named}: {reason}")
    if not all(map(_is_allowed, skipped.values())):
        terminalreporter.line("FORBIDDEN: not on the list of test/conftest.py, so the run fails.", red=True)


def _rank(file: str) -> int:
    """Where a file stands in the queue: the live ones first, folder by folder; the order is kept among equals."""
    place = file.split("/")[1] if "/" in file else ""
    return LIVE.index(place) if place in LIVE else len(LIVE)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out whole files, from both ends of the queue; another ``--dist`` than the default goes its own way."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class FromBothEnds(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            parts = file.split("/")
            return "/".join(parts[:2]) if len(parts) > 2 and parts[1] in UNDIVIDED else file

        def schedule(self) -> None:
            self.config.option.loadscopereorder = False  # it would sort by the number of tests
            super().schedule()
            # A worker begins a test when it knows the next one, or that there is none; one that took the place of
            # another would wait for ever for either where a single test was left of what it got.
            for node in self.nodes:
                while self.workqueue and self._pending_of(self.assigned_work[node]) < 2:
                    self._reschedule(node)
                if not self.workqueue and not node.shutting_down:
                    node.shutdown()

        def remove_node(self, node: Any) -> str | None:
            """As xdist's, but the test that a worker died of is not run again: it may kill the next one as well."""
            left = {scope: unit for scope, unit in self.assigned_work.pop(node).items() if not all(unit.values())}
            crashed = next((test for unit in left.values() for test, done in unit.items() if not done), None)
            for scope, unit in left.items():
                unit.update({crashed: True} if crashed in unit else {})
                if not all(unit.values()):
                    self.workqueue[scope] = unit
            for other in self.assigned_work:
                self._reschedule(other)
            return crashed

        def _assign_work_unit(self, node: Any) -> None:
            if self.workqueue:
                first = node is next(iter(self.assigned_work))
                scopes = sorted(self.workqueue, key=_rank)
                self.workqueue.move_to_end(scopes[0 if first else -1], last=False)
            super()._assign_work_unit(node)

    return FromBothEnds(config, log)


SECTIONS = "vjepa_ros_sections"  # where a worker leaves what is to be printed at the end: titles with lines
_SECTIONS = pytest.StashKey[list[tuple[str, list[str]]]]()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Keep what a worker had to say; one that died has said nothing."""
    said = getattr(node, "workeroutput", {}).get(SECTIONS, [])
    node.config.stash.setdefault(_SECTIONS, []).extend(said)
