"""The recording that several tests probe."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import bags, probes


@pytest.fixture(scope="package")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two seconds of the sample bag."""
    return bags.write(tmp_path_factory.mktemp("short") / "bag", probes.SHORT)
