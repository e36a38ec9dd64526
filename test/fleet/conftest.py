"""The recordings that the tests of a fleet are about."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import fleets


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bags")
    fleets.recordings(folder)
    return folder
