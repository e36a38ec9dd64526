"""The example that plans on a recording: what it prints is the plan, beside what was recorded."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import vjepa_ros
from examples import plan_bag


def test_a_plan_on_the_sample_bag(capsys: pytest.CaptureFixture[str]) -> None:
    plan_bag.main([])
    text = capsys.readouterr().out
    planned, recorded = (
        np.array([json.loads(row) for row in re.findall(rf"{word} (\[.*\])", text)]) for word in ("planned", "recorded")
    )
    assert planned.shape == recorded.shape == (plan_bag.HORIZON, 7)
    np.testing.assert_array_equal(planned[0], recorded[0])  # it is in force already
    assert 0 < np.abs(planned[1:] - planned[0]).max() <= 0.2 + 1e-3
    windows = list(vjepa_ros.read_windows(plan_bag.SAMPLE, params=plan_bag.PARAMETERS))
    np.testing.assert_allclose(recorded, windows[len(windows) // 2 + 2].actions.values[-3:], atol=6e-4)
    now, after = (float(number) for number in re.findall(r"(?:now|after the plan) ([0-9.]+)", text))
    assert now > 0 and after > 0
    assert "candidates tried 256" in text, "4 iterations of 64"
