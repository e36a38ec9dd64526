"""From a window to its latents on a GPU: nothing waits for the device but the copy of what is published."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from support.builders import model_window
from torch import Tensor

from vjepa_ros.config.node import resolve
from vjepa_ros.forecast import forecaster
from vjepa_ros.stream.future import Future


@pytest.mark.gpu
@pytest.mark.parametrize("horizon", [1, 3])
def test_only_the_copy_of_what_is_published_waits(horizon: int, monkeypatch: pytest.MonkeyPatch) -> None:
    joints = [f"joint{number}" for number in range(7)]
    config = resolve({"joint_names": joints, "device": "cuda", "latents.horizon": horizon})
    forecasts_of = forecaster.Forecaster(forecaster.load_model(config), config)
    assert forecasts_of._model.dtype == torch.bfloat16, "the default on a GPU"
    assert len(forecasts_of._model._graphs._recorded) == 2
    future = Future(np.zeros((horizon - 1, 7)), tuple(range(horizon - 1)), ("held",) * (horizon - 1))
    window = replace(model_window(), future=future)
    forecasts_of(window)
    real = forecaster._to_host

    def copied(latents: Tensor) -> Any:
        torch.cuda.set_sync_debug_mode("default")
        return real(latents)

    monkeypatch.setattr(forecaster, "_to_host", copied)
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert forecasts_of(window).finite
    finally:
        torch.cuda.set_sync_debug_mode("default")
