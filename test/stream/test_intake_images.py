"""Images on their way into the stream: what is dropped is counted, reported, and changes nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from support.builders import MS, stream_config

from vjepa_ros.config.view import ViewConfig
from vjepa_ros.errors import InputError
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.intake import Intake

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
SQUARE = Preprocess("square", (16, 16))


def stamped(stamp_ns: int, **fields: Any) -> SimpleNamespace:
    """A message with the fields of a ROS one."""
    sec, nanosec = divmod(stamp_ns, 10**9)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id="camera")
    return SimpleNamespace(header=header, **fields)


def raw(stamp_ns: int, encoding: str = "rgb8", picture: np.ndarray = PICTURE, **changes: Any) -> SimpleNamespace:
    fields: dict[str, Any] = {
        "encoding": encoding, "height": picture.shape[0], "width": picture.shape[1], "step": picture.shape[1] * 3,
        "is_bigendian": 0, "data": picture.tobytes(),
    }  # fmt: skip
    return stamped(stamp_ns, **{**fields, **changes})


class Recorder(Intake):
    """An intake that keeps what it reports."""

    def __init__(self, preprocess: Any = SQUARE, fallback: Any = None) -> None:
        self.reports: list[tuple[str, str, str]] = []
        super().__init__(stream_config(), preprocess, lambda *report: self.reports.append(report), fallback=fallback)

    @property
    def frames(self) -> list[Frame]:
        """Those that have reached the window that is being filled."""
        return list(self.stream._sampled)


def test_raw_and_compressed_images_become_preprocessed_frames() -> None:
    intake = Recorder()
    intake.image("/image", raw(1000 * MS), 0)
    png = cv2.imencode(".png", PICTURE[..., ::-1])[1].tobytes()
    intake.compressed_image("/image/compressed", stamped(1050 * MS, format="png", data=png), 0)
    grey = np.array([[0x0000, 0xFFFF]] * 2, ">u2")
    intake.image("/image", raw(1100 * MS, "mono16", grey, step=4, is_bigendian=1), 0)
    assert [(frame.stamp_ns, frame.frame_id) for frame in intake.frames] == [
        (1000 * MS, "camera"), (1050 * MS, "camera"), (1100 * MS, "camera"),
    ]  # fmt: skip
    for frame in intake.frames[:2]:
        np.testing.assert_array_equal(frame.image, SQUARE(PICTURE))
    np.testing.assert_array_equal(intake.frames[2].image, SQUARE(np.uint8([[[0] * 3, [255] * 3]] * 2)))
    assert intake.reports == []


@pytest.mark.parametrize(
    "reason, advice, change",
    [
        ("unknown_encoding", "send rgb8", {"encoding": "yuv_of_mars"}),
        ("depth_image", "colour image", {"encoding": "16UC1"}),
        ("empty_image", "30x0 px", {"height": 0}),
        ("bad_layout", "step 3", {"step": 3}),
        ("roi_outside", "set view.roi", {"height": 10}),
    ],
)
def test_what_cannot_be_used_is_dropped_counted_and_reported(reason: str, advice: str, change: Any) -> None:
    intake = Recorder(Preprocess("eval", (16, 16), ViewConfig((0, 0, 30, 20), 0, "none")))
    intake.image("/image", raw(1000 * MS), 0)
    assert intake.image("/image", raw(1050 * MS, **change), 0) == []
    intake.image("/image", raw(1100 * MS), 0)
    assert [frame.stamp_ns for frame in intake.frames] == [1000 * MS, 1100 * MS]
    assert dict(intake.counters.rejected) == {("/image", reason): 1}
    ((topic, reported, detail),) = intake.reports
    assert (topic, reported) == ("/image", reason) and advice in detail


def test_the_fallback_decodes_what_is_unknown_and_nothing_else() -> None:
    asked = []

    def fallback(message: Any) -> np.ndarray:
        asked.append(message.encoding)
        if message.encoding == "sand":
            raise InputError("unknown_encoding", "cv_bridge: no sand")
        return PICTURE[::-1]

    intake = Recorder(fallback=fallback)
    for index, encoding in enumerate(["rgb8", "yuv_of_mars", "sand", "16UC1"]):
        intake.image("/image", raw((1000 + index) * MS, encoding), 0)
    assert asked == ["yuv_of_mars", "sand"]
    np.testing.assert_array_equal(intake.frames[1].image, SQUARE(PICTURE[::-1]))
    assert len(intake.frames) == 2
    assert [reason for _, reason, _ in intake.reports] == ["unknown_encoding", "depth_image"]
    assert "send rgb8" in intake.reports[0][2] and "cv_bridge: no sand" in intake.reports[0][2]


def test_what_opencv_refuses_is_dropped_and_counted() -> None:
    def preprocess(pixels: np.ndarray) -> np.ndarray:
        if pixels[0, 0, 0] == 255:
            cv2.resize(pixels, (0, 0))  # raises cv2.error
        return SQUARE(pixels)

    intake = Recorder(preprocess, fallback=lambda message: PICTURE.astype(np.float32))
    intake.image("/image", raw(1000 * MS, picture=np.full((4, 4, 3), 255, np.uint8)), 0)
    intake.image("/image", raw(1001 * MS, "yuv_of_mars"), 0)  # the fallback gives what the preprocessing refuses
    assert intake.frames == []
    assert dict(intake.counters.rejected) == {("/image", "unusable_image"): 2}
    assert all("px: " in detail for _, _, detail in intake.reports)


def test_a_still_is_preprocessed_like_a_frame_and_touches_no_window() -> None:
    intake = Recorder(fallback=lambda message: PICTURE)
    intake.image("/image", raw(1000 * MS), 0)
    swapped = raw(0, "bgr8", np.ascontiguousarray(PICTURE[..., ::-1]))
    for still in (raw(0), swapped, raw(0, "yuv_of_mars")):
        np.testing.assert_array_equal(intake.still(still), intake.frames[0].image, strict=True)
    for still, reason in ((raw(0, "16UC1"), "depth_image"), (raw(0, height=0), "empty_image")):
        with pytest.raises(InputError) as caught:
            intake.still(still)
        assert caught.value.reason == reason
    narrow = Recorder(Preprocess("square", (16, 16), ViewConfig((0, 0, 31, 20), 0, "none")))
    with pytest.raises(InputError, match="roi_outside"):
        narrow.still(raw(0))
    assert len(intake.frames) == 1 and not intake.reports and intake.counters.rejected_total == 0
