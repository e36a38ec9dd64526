"""A sqlite3 file for every test that asks for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import sqlites


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The beginning of the sample bag as a sqlite3 file."""
    return sqlites.written(tmp_path)
