"""docs/pictures.md: its picture is what the node's own code draws."""

from __future__ import annotations

import cv2
import numpy as np

from docs import draw_pictures


def test_the_picture_is_what_the_node_draws() -> None:
    stored = cv2.cvtColor(cv2.imread(str(draw_pictures.PICTURE)), cv2.COLOR_BGR2RGB)
    drawn = draw_pictures.picture()
    assert stored.shape == drawn.shape
    # Another processor rounds elsewhere, and a principal component that is not the largest may point elsewhere.
    for columns in (slice(0, 160), slice(516, 676)):
        assert np.abs(stored[:, columns].astype(int) - drawn[:, columns]).mean() < 1, "python -m docs.draw_pictures"
    # Forecasts of a trained model have the colours of what comes.
    observed, forecast = (drawn[:, left : left + 160].astype(int) for left in (168, 348))
    assert np.abs(observed - forecast).mean() < 25 < np.abs(observed - observed[:, ::-1]).mean()
