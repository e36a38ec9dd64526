"""What is encoded alone, a tubelet or a frame, is encoded once, when it enters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.builders import MS
from support.forecasters import config

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.forecast.forecaster import Forecaster
from vjepa_ros.stream.actions import Steps
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.future import Future
from vjepa_ros.stream.window import Window

# -- each tubelet or frame alone: encoded once, when it enters

SIDE_PX = 32

SMALL = {"image_size": [SIDE_PX, SIDE_PX], "encoder_depth": 1, "predictor_depth": 1}


class Encodings:
    """Counts what a model encodes, one entry per call: the frames in it."""

    def __init__(self, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes = {**SMALL, **({"encoder_family": "vjepa2_1", "encoder_depth": 4} if encoding == "frame" else {})}
        self.config = config(**{**sizes, "encoding": encoding, "latents__publish_context": True})
        self.model = vjepa_ros.load("tiny_random", encoding=encoding, **sizes)
        self.calls: list[int] = []
        encode = self.model.encode

        def counted(clip: torch.Tensor) -> torch.Tensor:
            self.calls.append(clip.shape[2])
            return encode(clip)

        monkeypatch.setattr(self.model, "encode", counted)

    def forecaster(self) -> Forecaster:
        return Forecaster(self.model, self.config)

    def taken(self) -> list[int]:
        """The calls since this was asked last."""
        calls, self.calls[:] = list(self.calls), []
        return calls


@pytest.fixture(params=["tubelet", "frame_repeat", "frame"])
def encodings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Encodings]:
    yield Encodings(request.param, monkeypatch)


def moving_window(model: WorldModel, first: int, epoch: int = 0, places: list[int] | None = None) -> Window:
    """A window of a long recording: frames ``first`` to ``first + 15``, or those at these places."""
    places = list(range(first, first + 16)) if places is None else places

    def image(place: int) -> NDArray[np.float32]:
        return np.random.default_rng(place).normal(size=(3, SIDE_PX, SIDE_PX)).astype(np.float32)

    shots = {place: Frame(place * 50 * MS, "camera", image(place)) for place in places}
    steps = model.config.steps
    joints = Steps(np.random.default_rng(1000 + first).normal(size=(steps, 7)), (0,) * steps, missing=0, usable=True)
    frames = tuple(shots[place] for place in places)
    return Window(
        epoch,
        first,
        frames,
        tuple(frame.stamp_ns for frame in frames[:: 16 // steps]),
        joints,
        joints,
        late=0,
        future=Future.none(7),
    )


@pytest.mark.parametrize("hop", [2, 4])
def test_what_is_encoded_alone_is_encoded_once_and_gives_the_same_bits(encodings: Encodings, hop: int) -> None:
    model = encodings.model
    size = model.config.stride
    kept = encodings.forecaster()
    for number in range(4):
        window = moving_window(model, number * hop)
        forecast = kept(window)
        entered = 16 if number == 0 else hop
        assert encodings.taken() == [size] * (entered // size)
        anew = encodings.forecaster()(window)
        assert encodings.taken() == [size] * (16 // size)
        np.testing.assert_array_equal(forecast.predicted, anew.predicted, strict=True)
        np.testing.assert_array_equal(forecast.context, anew.context, strict=True)


def test_each_unit_is_encoded_as_if_it_were_all_there_is(encodings: Encodings) -> None:
    model, window = encodings.model, moving_window(encodings.model, 0)
    size, tokens = model.config.stride, model.grid.rows * model.grid.cols
    context = encodings.forecaster()(window).context
    assert context is not None
    for step in range(model.config.steps):
        frames = window.frames[step * size : (step + 1) * size]
        clip = torch.from_numpy(np.stack([frame.image for frame in frames], axis=1)[None])
        alone = model.encode(clip)
        assert alone.shape == (1, tokens, 128)
        np.testing.assert_array_equal(context[step].reshape(tokens, 128), alone[0].numpy())


def test_another_epoch_reuses_nothing(encodings: Encodings) -> None:
    """After a jump of time the same stamp may be another picture."""
    size, forecaster = encodings.model.config.stride, encodings.forecaster()
    for epoch in (0, 1):
        forecaster(moving_window(encodings.model, 0, epoch))
        assert encodings.taken() == [size] * (16 // size)
    forecaster(moving_window(encodings.model, 0, 1))
    assert encodings.taken() == []


def test_what_stands_twice_in_a_window_is_encoded_once(encodings: Encodings) -> None:
    """A camera four times slower than the frame rate: each frame serves four ticks."""
    size, forecaster = encodings.model.config.stride, encodings.forecaster()
    window = moving_window(encodings.model, 0, places=[place // 4 for place in range(16)])
    forecaster(window)
    assert encodings.taken() == [size] * 4


def test_clip_encodes_every_window_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    encodings = Encodings("clip", monkeypatch)
    forecaster = encodings.forecaster()
    for number in range(2):
        forecaster(moving_window(encodings.model, 2 * number))
        assert encodings.taken() == [16]
