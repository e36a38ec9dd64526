"""The table of faults, printed at the end of the run; one predictor process and one robot per file, as in test/ros,
which every test finds as the first one did."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from ros.conftest import one_thread, put_back, robot, ros  # noqa: F401 - fixtures
from support.fault_feed import MAX_WAIT_S
from support.fault_table import FAULTS, Row, Table
from support.harness import Predictor

TABLE = Table()
_ROW = pytest.StashKey[Row]()


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    """The node; it waits for joints so long that those that come after a burst of frames are not late."""
    process = Predictor(tmp_path_factory.mktemp("predictor") / "log.txt", {"actions.max_wait_s": MAX_WAIT_S})
    yield process
    assert process.stop() == 0, process.log
    assert "Traceback" not in process.log


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """The row of the fault that the test is marked with; survived if the test passes, and the end of its file too."""
    row = request.node.stash[_ROW] = TABLE.row(request.node.get_closest_marker("fault").args[0])
    row.file = str(request.node.path)
    return row


@pytest.fixture
def table() -> Table:
    """All rows so far."""
    return TABLE


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep whether the test passed; a node that serves a whole file ends with the last test of it."""
    report = yield
    if report.when == "call" and _ROW in item.stash:
        item.stash[_ROW].survived = report.passed
    if report.when == "teardown" and report.failed:
        TABLE.ended_badly(str(item.path))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The test of the whole table comes last."""
    items.sort(key=lambda item: item.name == "test_the_table_has_a_row_for_every_fault")


def _title() -> str:
    return f"{len(TABLE.rows)} of {len(FAULTS)} faults"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist leaves the table to the process that prints, by test/conftest.py."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None and TABLE.rows:
        output.setdefault("vjepa_ros_sections", []).append((_title(), TABLE.lines()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if TABLE.rows:
        terminalreporter.section(_title())
        for line in TABLE.lines():
            terminalreporter.line(line)
