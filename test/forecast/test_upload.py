"""Frames on their way to the device: the right pixels, and each frame once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.builders import clip_of

from vjepa_ros.forecast import upload
from vjepa_ros.forecast.upload import Upload
from vjepa_ros.stream.frame import Frame

CPU = torch.device("cpu")


def frame(index: int) -> Frame:
    return Frame(index, "camera", np.random.default_rng(index).normal(size=(3, 4, 6)).astype(np.float32))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_clip_is_the_frames_in_order(dtype: torch.dtype) -> None:
    frames = [frame(index) for index in range(5)]
    clip = Upload(CPU, dtype)(frames)
    assert clip.dtype == dtype and torch.equal(clip, torch.from_numpy(clip_of(frames)).to(dtype))


def test_each_frame_travels_once_as_long_as_it_is_in_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    travelled: list[float] = []
    real = upload.to_device

    def noted(value: torch.Tensor, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        travelled.append(value.sum().item())
        return real(value, device, dtype)

    monkeypatch.setattr(upload, "to_device", noted)
    frames = [frame(index) for index in range(6)]
    uploads = Upload(CPU, torch.float32)
    for first in range(3):  # windows of four, one of them twice in it
        window = [*frames[first : first + 3], frames[first + 2]]
        assert torch.equal(uploads(window), torch.from_numpy(clip_of(window)))
    assert travelled == [torch.from_numpy(f.image).sum().item() for f in frames[:5]]
    uploads([frames[0]])
    assert len(travelled) == 6, "it had left the window and was forgotten"


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    frames = [frame(index) for index in range(5)]
    uploads = Upload(torch.device("cuda"), torch.bfloat16)
    for first in (0, 1):
        window = frames[first : first + 4]
        assert torch.equal(uploads(window).cpu(), torch.from_numpy(clip_of(window)).bfloat16())
