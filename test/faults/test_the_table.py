"""What the run says about itself is complete."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.table import FAULTS, Row, Table


def test_the_table_has_a_row_for_every_fault(request: pytest.FixtureRequest, table: Table) -> None:
    """Of a part of the folder it says nothing but that: the others are listed as not run."""
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
