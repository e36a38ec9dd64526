"""The conventions of V-JEPA 2-AC at both rates that it may have been trained at: poses of a robot, then forecasts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import panda, plain_model, recorded
from support.agreement import FOLDED_TOLERANCE
from support.builders import assert_same
from support.end_effectors import DESCRIPTION, MESSAGES, feed, intake_of, text

from vjepa_ros.config.node import resolve
from vjepa_ros.forecast.forecaster import Forecaster, load_model
from vjepa_ros.forecast.info import latent_info

SMALL: dict[str, Any] = {
    "encoder_dim": 64, "encoder_depth": 2, "encoder_heads": 1, "predictor_dim": 64, "predictor_depth": 2,
    "predictor_heads": 2, "device": "cpu", "dtype": "float32", "threads": 1, "engine.fast": False,
}  # fmt: skip
MOST = 7  # steps of context, of 8


@pytest.mark.parametrize("rate_hz", [0.94, 4.0])
def test_windows_and_forecasts_at(rate_hz: float) -> None:
    intake, told = intake_of(frame_rate=rate_hz)
    windows = feed(intake, [(DESCRIPTION, text()), *(item for item in MESSAGES if item[0] != recorded.COMMANDS)])
    poses = panda.oracle_poses()
    rate = {"frame_rate": rate_hz, "max_gap_ns": round(2.5e9 / rate_hz)}
    assert_same(windows, panda.oracle_windows(poses, poses, **rate))
    assert len(windows) > 3 and told == []

    config = resolve({**panda.PRESET, **SMALL, "frame_rate": rate_hz})
    model = load_model(config)
    forecaster, info = Forecaster(model, config), latent_info(config, model)
    assert (info["step_period_s"], info["context_steps"]) == (1 / rate_hz, MOST)
    encoder, predictor = (dict(part.named_parameters()) for part in (model.encoder, model.predictor))
    per_step = model.grid.tokens_per_step
    forecasts = []
    for window in windows[:: len(windows) // 3]:
        steps_s = np.diff(np.array(window.step_stamps_ns)) / 1e9
        np.testing.assert_allclose(steps_s, 1 / rate_hz, atol=0.06)  # a frame of the camera, 20 a second
        np.testing.assert_array_equal(window.actions.values[-1], window.actions.values[-2])  # held
        clip = torch.stack([torch.from_numpy(frame.image) for frame in window.frames], dim=1)[None]
        given = (torch.from_numpy(signal.values).float()[None, -MOST:] for signal in (window.actions, window.states))
        with torch.no_grad():
            context = plain_model.normalized(plain_model.encode(config.model, encoder, clip))[:, -MOST * per_step :]
            expected = plain_model.roll_out(config.model, predictor, context, *given)[0]
        got = torch.from_numpy(forecaster(window).predicted)
        difference = (got.reshape(expected.shape) - expected).abs().max()
        print(f"{rate_hz} Hz: maximum {difference:.1e}")
        assert difference < FOLDED_TOLERANCE
        forecasts.append(got)
    assert (forecasts[0] - forecasts[-1]).abs().mean() > 100 * FOLDED_TOLERANCE, "the arm has moved"
