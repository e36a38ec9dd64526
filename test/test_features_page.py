"""docs/features.md: its code runs, and its picture is what the encoder says of the sample bag."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from docs import draw_features

ROOT = Path(__file__).parents[1]


def test_the_code_gives_the_shapes_that_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(block, names)
    said = re.findall(r"^(\w+) = .*  # (\(\d[\d, ]*\))$", "".join(blocks), re.MULTILINE)
    assert len(said) == 4, "fewer: the pattern is out of date"
    for name, shape in said:
        assert tuple(names[name].shape) == ast.literal_eval(shape), name
    assert names["wm"].trained, "random features mean nothing"
    assert names["alike"][0, 2, 1] == pytest.approx(1) and np.abs(names["alike"]).max() < 1 + 1e-5
    np.testing.assert_allclose(names["alike"], draw_features.similarity(names["latents"], (2, 1)), rtol=0, atol=1e-5)
    variances = names["components"].reshape(-1, 3).var(axis=0)
    assert variances[0] > variances[1] > variances[2] > 0


def test_the_picture_is_what_it_draws() -> None:
    stored = cv2.cvtColor(cv2.imread(str(draw_features.PICTURE)), cv2.COLOR_BGR2RGB)
    drawn = draw_features.picture(draw_features.seen())
    assert stored.shape == drawn.shape
    # Another processor rounds elsewhere; below, a principal component may point the other way, which is other colours.
    above = slice(0, stored.shape[0] * 2 // 3)
    assert np.abs(stored[above].astype(int) - drawn[above]).mean() < 1, "python -m docs.draw_features"


def test_the_table_is_alike_in_all_moments() -> None:
    """What the page says of the picture."""
    found = draw_features.seen()
    alike = draw_features.similarity(found.latents, draw_features.PATCH)
    row, column = draw_features.PATCH
    others = np.delete(alike.reshape(len(alike), -1), row * alike.shape[2] + column, axis=1)
    print(alike[:, row, column], others.max())
    assert alike[:, row, column].min() > np.median(others) + 0.3
    strength = np.linalg.norm(found.changed, axis=-1).mean(axis=0)  # (H', W')
    assert strength[:2, 1:3].min() > 2 * strength[3].max(), "the arm changes, the floor does not"
