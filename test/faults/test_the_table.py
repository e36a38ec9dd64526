"""What the run says about itself is complete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.fault_table import FAULTS, Row, Table


def test_the_table_has_a_row_for_every_fault(request: pytest.FixtureRequest, table: Table) -> None:
    """Where only a part of the folder runs, the others are listed as not run, and nothing else is said of them."""
    marked = {mark.args[0] for item in request.session.items for mark in item.iter_markers("fault")}
    here = {Path(item.path).parent for item in request.session.items}
    assert Path(__file__).parent in here
    assert marked <= set(FAULTS)
    assert table.missing == [], "faults that nothing was said about"
    assert all(row.survived and "?" not in (row.injected, row.lost) for row in table.rows.values()), table.lines()


def test_a_missing_or_unknown_row_is_noticed() -> None:
    table = Table()
    row = table.row("jitter")
    assert len(table.missing) == len(FAULTS) - 1 and "jitter" not in table.missing
    assert "NO" in table.lines()[-1]
    row.survived = True
    assert "yes" in table.lines()[-1]
    for fault in ("jitter", "bad luck"):
        with pytest.raises(KeyError):
            table.row(fault)
    assert Row("jitter").survived is False


BAD_END = """
import pytest

@pytest.fixture(scope="module")
def node():
    yield
    assert False, "it ended with 1"

@pytest.mark.fault("jitter")
def test_jitter(node, row):
    row.injected, row.lost = "some", "nothing"

@pytest.mark.fault("duplicates")
def test_duplicates(node, row):
    row.injected, row.lost = "some", "nothing"
"""
GOOD_END = """
import pytest

@pytest.mark.fault("no subscriber")
def test_no_subscriber(row):
    row.injected, row.lost = "some", "nothing"

@pytest.mark.fault("zero stamps")
def test_zero_stamps(row):
    row.injected, row.lost = "some", "nothing"
    assert False
"""


def test_a_node_that_ends_badly_has_not_survived(tmp_path: Path) -> None:
    """A run of pytest with this table: the node of one file ends badly after its tests; a test of the other fails."""
    (tmp_path / "test_bad_end.py").write_text(BAD_END, encoding="utf-8")
    (tmp_path / "test_good_end.py").write_text(GOOD_END, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = fault(name)\n", encoding="utf-8")
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "faults.conftest", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path + os.pathsep + os.environ.get("PYTHONPATH", "")},
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:2] == "| "]
    survived = {cells[0]: cells[2] for cells in rows[2:]}
    assert survived == {"jitter": "NO", "duplicates": "NO", "zero stamps": "NO", "no subscriber": "yes"}, done.stdout
