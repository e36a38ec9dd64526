"""Messages into windows: joints by name, missing stamps, and bad input that changes nothing but its counter."""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.builders import MS, NAMES, clip_of, signal_config, stream_config

from vjepa_ros.errors import InputError
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.images.raw import decode_raw
from vjepa_ros.stream.intake import Intake
from vjepa_ros.stream.joints import JointStates
from vjepa_ros.stream.window import Window

CAMERA, COMMANDS, STATES = "/camera/image_raw", "/joint_commands", "/joint_states"
S = 1000 * MS
T0_NS = 1_700_000_000 * S
RECEIVED_NS = 5_000_000_000 * S  # far from every stamp: where it shows up, it was used


def header(stamp_ns: int) -> SimpleNamespace:
    sec, nanosec = divmod(stamp_ns, S)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id="camera_link")


def image(stamp_ns: int, **fields: Any) -> Any:
    """A sensor_msgs/Image, 6 x 8 px, whose grey level follows its stamp."""
    data = array.array("B", [stamp_ns // MS % 251]) * (6 * 8 * 3)
    values = {"encoding": "rgb8", "height": 6, "width": 8, "step": 24, "is_bigendian": 0, "data": data}
    return SimpleNamespace(header=header(stamp_ns), **{**values, **fields})


def joint_state(stamp_ns: int, number: float, **fields: Any) -> Any:
    """A sensor_msgs/JointState with the wanted joints last and backwards, after one that nobody asked for."""
    position = array.array("d", [np.nan, -number, number])
    values = {"name": ["gripper", *reversed(NAMES)], "position": position, "velocity": [], "effort": []}
    return SimpleNamespace(header=header(stamp_ns), **{**values, **fields})


class Recorder:
    """An intake with what it reported, preprocessed and gave out."""

    def __init__(self, **changes: Any) -> None:
        self.reports: list[tuple[str, str]] = []
        self.windows: list[Window] = []
        self.preprocessed: list[NDArray[np.uint8]] = []
        self._resize = Preprocess("square", (4, 4))
        self.intake = Intake(stream_config(**changes), self.preprocess, self.report)  # type: ignore[arg-type]

    def preprocess(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.preprocessed.append(pixels)
        return self._resize(pixels)

    def report(self, topic: str, reason: str, detail: str) -> None:
        assert detail, "a report must say what was found"
        self.reports.append((topic, reason))

    def take(self, topic: str, message: Any, received_ns: int = RECEIVED_NS) -> None:
        methods = {CAMERA: self.intake.image, COMMANDS: self.intake.joint_command, STATES: self.intake.joint_state}
        self.windows += methods[topic](topic, message, received_ns)


def good_messages() -> list[tuple[str, Any]]:
    """A second of a robot: 20 frames, 100 commands and 100 states."""
    messages = []
    for index in range(100):
        stamp_ns = T0_NS + index * 10 * MS
        messages += [(COMMANDS, joint_state(stamp_ns, index)), (STATES, joint_state(stamp_ns, 1000 + index))]
        if index % 5 == 0:
            messages.append((CAMERA, image(stamp_ns)))
    return messages


# -- joints by name


def picker(*names: str) -> Any:
    """(names, positions) -> the values of these joints."""
    read = JointStates(signal_config(names=names))
    return lambda names, positions: read(SimpleNamespace(name=names, position=positions))


def test_joints_are_picked_by_name_whatever_their_order_and_company() -> None:
    pick = picker("a", "b", "c")
    assert pick(["c", "x", "a", "b"], [3.0, 9.0, 1.0, 2.0]).tolist() == [1, 2, 3]
    assert pick(["c", "x", "a", "b"], array.array("d", [6, 9, 4, 5])).tolist() == [4, 5, 6]
    assert pick(["a", "b", "c"], np.array([7.0, 8.0, 9.0])).tolist() == [7, 8, 9]  # the sender changes its mind
    assert pick(("b", "a", "c"), (1, 2, 3)).tolist() == [2, 1, 3]
    picked = pick(["a", "b", "c"], [1, 2, 3])
    assert picked.dtype == np.float64


@pytest.mark.parametrize(
    ("names", "positions", "reason", "said"),
    [
        (["a", "x"], [1.0], "length_mismatch", "2 names but 1 positions"),
        ([], [1.0, 2.0, 3.0], "length_mismatch", "0 names but 3 positions"),
        (["a", "b", "c"], [1.0, 2.0], "length_mismatch", "3 names but 2 positions"),
        (["a", "b", "c"], [], "length_mismatch", "3 names but 0 positions"),
        (["a", "b", "c"], [1.0, 2.0, 3.0, 4.0], "length_mismatch", "3 names but 4 positions"),
        (["a", "b", "c"], [1.0, np.nan, 3.0], "not_finite", "'b': nan"),
        (["a", "b", "c"], [-np.inf, 2.0, 3.0], "not_finite", "'a': -inf"),
    ],
)
def test_joints_that_are_refused(names: list[str], positions: list[float], reason: str, said: str) -> None:
    pick = picker("a", "b", "c")
    for before in ([], [(["c", "b", "a"], [1.0, 2.0, 3.0])]):
        for good_names, good_positions in before:
            pick(good_names, good_positions)
        with pytest.raises(InputError) as refused:
            pick(names, positions)
        assert refused.value.reason == reason
        assert said in refused.value.detail
        assert pick(["c", "b", "a"], [1.0, 2.0, 3.0]).tolist() == [3, 2, 1]  # and goes on


def test_a_part_of_the_joints_is_taken_for_these_and_none_of_them_is_no_fault() -> None:
    pick = picker("a", "b", "c")
    for _ in range(2):  # once found, once remembered
        part = pick(["c", "x", "a"], [3.0, 9.0, 1.0])
        assert (part.values.tolist(), part.joints.tolist(), part.of) == ([1, 3], [0, 2], 3)
        assert pick(["x", "y"], [1.0, 2.0]) is None
        assert pick(["x", "y"], []) is None  # of another part of the robot: whatever is wrong with it
        assert pick([], []) is None
        assert pick(["c", "b", "a"], [1.0, 2.0, 3.0]).tolist() == [3, 2, 1]


def test_surplus_joints_need_not_be_finite() -> None:
    assert picker("b")(["a", "b"], [np.inf, 5.0]).tolist() == [5]


# -- messages to windows


def test_windows_of_a_second() -> None:
    recorder = Recorder()
    for topic, message in good_messages():
        recorder.take(topic, message)
    assert [window.frames[0].stamp_ns for window in recorder.windows] == [T0_NS, T0_NS + 100 * MS, T0_NS + 200 * MS]
    for first, window in enumerate(recorder.windows):
        commanded = [10.0 * (step + first) for step in range(8)]
        assert window.actions.values.tolist() == [[number, -number] for number in commanded]
        assert window.states.values.tolist() == [[1000 + number, -1000 - number] for number in commanded]
        assert {frame.frame_id for frame in window.frames} == {"camera_link"}
        resize = Preprocess("square", (4, 4))
        for frame in window.frames:
            np.testing.assert_array_equal(
                frame.image, resize(np.full((6, 8, 3), frame.stamp_ns // MS % 251, np.uint8)), strict=True
            )
    assert recorder.reports == []
    counters = recorder.intake.counters
    assert (counters.frames, counters.commands, counters.states, counters.windows) == (20, 100, 100, 3)
    assert (counters.rejected_total, counters.late, counters.zero_stamps) == (0, 0, 0)


def test_a_frame_is_preprocessed_once_however_many_windows_hold_it() -> None:
    recorder = Recorder(frame_rate_hz=30.0, max_gap_s=0.1)  # faster than the camera: frames serve two ticks
    for topic, message in good_messages():
        recorder.take(topic, message)
        recorder.take(topic, message)  # what repeats a frame is not even decoded
    assert len(recorder.windows) >= 5
    assert recorder.intake.counters.frames_reused > 0
    assert len(recorder.preprocessed) == 20
    assert recorder.intake.counters.frames_out_of_order == 20


def test_a_compressed_image_is_decoded() -> None:
    recorder = Recorder(num_frames=2, hop=2, on_missing="zero", max_wait_s=0.0)
    pixels = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    file = array.array("B", cv2.imencode(".png", pixels[..., ::-1])[1].tobytes())
    windows = []
    for stamp_ns in (T0_NS, T0_NS + 1):
        message = SimpleNamespace(header=header(stamp_ns), format="rgb8; png compressed bgr8", data=file)
        windows += recorder.intake.compressed_image(CAMERA, message, RECEIVED_NS)
    (window,) = windows
    assert [frame.stamp_ns for frame in window.frames] == [T0_NS, T0_NS + 1]
    np.testing.assert_array_equal(window.frames[1].image, Preprocess("square", (4, 4))(pixels))


# -- bad input


def bad_messages(stamp_ns: int) -> list[tuple[str, Any, str]]:
    """(topic, message, reason) of everything that must be dropped, as new as the newest good message."""
    return [
        (CAMERA, image(stamp_ns, encoding="yuv_of_mars"), "unknown_encoding"),
        (CAMERA, image(stamp_ns, height=0, data=b""), "empty_image"),
        (CAMERA, image(stamp_ns, step=23), "bad_layout"),
        (CAMERA, image(stamp_ns + 10 * S, encoding="yuv_of_mars"), "unknown_encoding"),  # neither a gap
        (CAMERA, image(stamp_ns - 10 * S, encoding="yuv_of_mars"), "unknown_encoding"),  # nor a jump of time
        (COMMANDS, joint_state(stamp_ns, np.nan), "not_finite"),
        (COMMANDS, joint_state(stamp_ns, np.inf), "not_finite"),
        (COMMANDS, joint_state(stamp_ns, 5.0, name=["x", "y", "z", "joint_a"]), "length_mismatch"),
        (COMMANDS, joint_state(stamp_ns - 10 * S, 5.0, name=[]), "length_mismatch"),
        (STATES, joint_state(stamp_ns, 5.0, position=[1.0]), "length_mismatch"),
        (STATES, joint_state(stamp_ns + 10 * S, np.nan), "not_finite"),
    ]


def test_bad_messages_are_counted_and_change_nothing_else() -> None:
    clean, dirty = Recorder(), Recorder()
    expected: dict[tuple[str, str], int] = {}
    for index, (topic, message) in enumerate(good_messages()):
        clean.take(topic, message)
        dirty.take(topic, message)
        if index % 10 == 9:
            stamp = message.header.stamp
            for bad_topic, bad, reason in bad_messages(stamp.sec * S + stamp.nanosec + 1):
                dirty.take(bad_topic, bad)
                expected[bad_topic, reason] = expected.get((bad_topic, reason), 0) + 1
    assert len(expected) == 7
    assert dirty.intake.counters.foreign == 0
    assert dict(dirty.intake.counters.rejected) == expected
    assert dirty.intake.counters.rejected_total == len(dirty.reports) == 22 * 11
    assert set(dirty.reports) == set(expected)

    assert len(dirty.windows) == len(clean.windows) == 3
    for got, want in zip(dirty.windows, clean.windows, strict=True):
        np.testing.assert_array_equal(clip_of(got.frames), clip_of(want.frames), strict=True)
        np.testing.assert_array_equal(got.actions.values, want.actions.values)
        np.testing.assert_array_equal(got.states.values, want.states.values)
        assert (got.epoch, got.number, got.step_stamps_ns) == (want.epoch, want.number, want.step_stamps_ns)
        assert (got.actions.stamps_ns, got.states.stamps_ns) == (want.actions.stamps_ns, want.states.stamps_ns)
    dirty.intake.counters.rejected.clear()
    assert dirty.intake.counters == clean.intake.counters


# -- messages without a stamp


def test_a_missing_stamp_is_replaced_by_the_time_of_receipt_and_told_once_a_topic() -> None:
    recorder = Recorder()
    for index in range(16):
        received_ns = T0_NS + index * 50 * MS
        recorder.take(COMMANDS, joint_state(0, index), received_ns)
        recorder.take(STATES, joint_state(0, index), received_ns)
        recorder.take(CAMERA, image(0), received_ns)
    (window,) = recorder.windows
    assert [frame.stamp_ns for frame in window.frames] == [T0_NS + index * 50 * MS for index in range(16)]
    assert window.actions.values[:, 0].tolist() == list(range(0, 16, 2))
    assert window.actions.stamps_ns == window.step_stamps_ns
    assert recorder.reports == [(COMMANDS, "zero_stamp"), (STATES, "zero_stamp"), (CAMERA, "zero_stamp")]
    assert recorder.intake.counters.zero_stamps == 48
    assert recorder.intake.counters.rejected_total == 0


def test_half_a_stamp_is_a_stamp() -> None:
    recorder = Recorder(num_frames=2, hop=2, on_missing="zero", max_wait_s=0.0)
    for stamp_ns in (1, 2 * S):
        recorder.take(CAMERA, image(stamp_ns))
    assert recorder.reports == []
    assert recorder.intake.stream.newest_frame_ns == 2 * S


def test_the_pixels_that_arrive_are_those_of_the_decoder() -> None:
    recorder = Recorder()
    message = image(T0_NS, encoding="bgr8", step=26, data=bytes(i * 5 % 256 for i in range(26 * 6)))
    recorder.take(CAMERA, message)
    np.testing.assert_array_equal(recorder.preprocessed[0], decode_raw("bgr8", 6, 8, 26, False, message.data))
