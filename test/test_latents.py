"""The wire layout of latents, byte by byte, and back, without copying."""

from __future__ import annotations

import array
import json
import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

from vjepa_ros import latents
from vjepa_ros.errors import InputError, ShapeError
from vjepa_ros.latents import Latents

STORE = get_typestore(Stores.ROS2_JAZZY)
INFO = {"grid": [8, 2, 2]}
STAMP_NS = 1_700_000_000_987_654_321


def empty_image(data: Any = None) -> Any:
    """An empty sensor_msgs/Image as rclpy makes it, with an ``array.array``."""
    header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="")
    return SimpleNamespace(
        header=header, height=0, width=0, encoding="", is_bigendian=0, step=0,
        data=array.array("B", b"left over") if data is None else data,
    )  # fmt: skip


def numbered(dtype: type = np.float32, shape: tuple[int, ...] = (2, 2, 2, 3)) -> NDArray[Any]:
    return np.arange(1, 1 + np.prod(shape), dtype=dtype).reshape(shape)


def message_of(array_: NDArray[Any], **changes: Any) -> Any:
    message = latents.write(empty_image(), Latents(array_, STAMP_NS, "camera_link"))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(("dtype", "encoding", "code"), [(np.float32, "32FC1", "f"), (np.float16, "16FC1", "e")])
def test_every_byte_has_its_place(dtype: type, encoding: str, code: str) -> None:
    message = message_of(numbered(dtype))
    assert (message.encoding, message.is_bigendian) == (encoding, 0)
    assert (message.height, message.width, message.step) == (2 * 2 * 2, 3, 3 * struct.calcsize(code))
    # One row per token: step 0 row 0 column 0, step 0 row 0 column 1, step 0 row 1 column 0, ..., step 1 row 1 column 1
    rows = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12], [13, 14, 15], [16, 17, 18], [19, 20, 21], [22, 23, 24]]
    assert bytes(message.data) == b"".join(struct.pack(f"<3{code}", *row) for row in rows)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_000, 987_654_321)
    assert message.header.frame_id == "camera_link"


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("info", [INFO, (2, 2)])
def test_there_and_back(dtype: type, info: Any) -> None:
    message = message_of(numbered(dtype))
    read = latents.read(message, info)
    np.testing.assert_array_equal(read.array, numbered(dtype), strict=True)
    assert (read.stamp_ns, read.frame_id) == (STAMP_NS, "camera_link")
    assert np.shares_memory(read.array, np.frombuffer(message.data, np.uint8)), "reading must not copy"


def test_a_message_as_a_bag_reader_makes_it() -> None:
    types = STORE.types
    filled = message_of(numbered())
    stamp = types["builtin_interfaces/msg/Time"](filled.header.stamp.sec, filled.header.stamp.nanosec)
    header = types["std_msgs/msg/Header"](stamp, filled.header.frame_id)
    data = np.frombuffer(filled.data, np.uint8)
    message = types["sensor_msgs/msg/Image"](header, filled.height, filled.width, filled.encoding, 0, filled.step, data)
    raw = STORE.serialize_cdr(message, message.__msgtype__)
    received: Any = STORE.deserialize_cdr(raw, message.__msgtype__)
    read = latents.read(received, INFO)
    np.testing.assert_array_equal(read.array, numbered(), strict=True)
    assert read.stamp_ns == STAMP_NS
    assert np.shares_memory(read.array, received.data)


def test_data_may_be_any_attribute_that_takes_bytes() -> None:
    message = latents.write(empty_image(data=b"left over"), Latents(numbered(), STAMP_NS, ""))
    assert message.data == numbered().tobytes()


@pytest.mark.parametrize("view", ["steps", "channels", "transposed"])
def test_views_are_written_in_their_own_order(view: str) -> None:
    whole = numbered(shape=(4, 2, 2, 6))
    part = {"steps": whole[1::2], "channels": whole[..., ::2], "transposed": whole.transpose(0, 2, 1, 3)}[view]
    np.testing.assert_array_equal(latents.read(message_of(part), INFO).array, part, strict=True)


@pytest.mark.parametrize(("encoding", "dtype"), [("32FC1", ">f4"), ("16FC1", ">f2")])
def test_big_endian_messages_have_the_same_values(encoding: str, dtype: str) -> None:
    swapped = numbered().astype(dtype)
    message = message_of(numbered(), encoding=encoding, is_bigendian=1, step=3 * swapped.itemsize)
    message.data = array.array("B", swapped.tobytes())
    np.testing.assert_array_equal(latents.read(message, INFO).array, numbered())


def test_values_that_are_not_finite_and_negative_zero_survive() -> None:
    odd = numbered()
    odd[0, 0, 0] = [np.nan, -np.inf, -0.0]
    assert latents.read(message_of(odd), INFO).array.tobytes() == odd.tobytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"encoding": "rgb8"}, "unknown_encoding"),
        ({"encoding": "64FC1"}, "unknown_encoding"),
        ({"encoding": "32FC3"}, "unknown_encoding"),
        ({"encoding": "16FC1"}, "bad_layout"),  # twice the bytes
        ({"step": 16}, "bad_layout"),
        ({"height": 4}, "bad_layout"),
        ({"width": 6}, "bad_layout"),
        ({"height": 6, "data": bytes(6 * 12)}, "bad_layout"),  # one step and a half
        ({"data": bytes(8 * 12 - 4)}, "bad_layout"),
        ({"data": bytes(8 * 12 + 4)}, "bad_layout"),
        ({"data": bytes(8 * 12 - 1)}, "bad_layout"),  # not even whole numbers
        ({"data": b""}, "bad_layout"),
        ({"height": 0, "data": b""}, "bad_layout"),
        ({"width": 0, "step": 0, "data": b""}, "bad_layout"),
    ],
)
def test_messages_that_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as refused:
        latents.read(message_of(numbered(), **changes), INFO)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "wrong", [numbered(np.float64), numbered(np.int32), numbered(shape=(2, 4, 3)), numbered(shape=(1, 2, 2, 2, 3))]
)
def test_arrays_that_are_refused(wrong: NDArray[Any]) -> None:
    with pytest.raises(ShapeError) as refused:
        message_of(wrong)
    assert str(wrong.shape) in str(refused.value)
    assert str(wrong.dtype) in str(refused.value)


def test_latent_info_is_json() -> None:
    assert latents.read_info(SimpleNamespace(data=json.dumps({"grid": [8, 4, 4], "notice": "é"}))) == {
        "grid": [8, 4, 4],
        "notice": "é",
    }


def test_window_info_keeps_types() -> None:
    values = {"epoch": 3, "states": [[0.1, -2.0]], "action_stamps": [STAMP_NS, None], "info_id": "ab", "held": 0}
    pairs = latents.window_values(values)
    assert all(isinstance(value, str) for value in pairs.values())
    keyed = [SimpleNamespace(key=key, value=value) for key, value in pairs.items()]
    assert latents.read_window_info(SimpleNamespace(status=[SimpleNamespace(values=keyed)])) == values


# -- what must not be written, and what strangers write


@pytest.mark.parametrize("stamp_ns", [2**31 * 10**9, -(2**31) * 10**9 - 1, 10**30, -(10**30), 2**63])
def test_a_stamp_that_does_not_fit_is_not_written(stamp_ns: int) -> None:
    message = empty_image()
    with pytest.raises(InputError) as caught:
        latents.write(message, Latents(numbered(), stamp_ns, "camera"))
    assert caught.value.reason == "bad_stamp" and message.height == 0 and message.header.stamp.sec == 0


@pytest.mark.parametrize("stamp_ns", [2**31 * 10**9 - 1, -(2**31) * 10**9, -1, 0])
def test_the_first_and_the_last_stamp_are_written(stamp_ns: int) -> None:
    message = latents.write(empty_image(), Latents(numbered(), stamp_ns, "camera"))
    stamp = message.header.stamp
    assert -(2**31) <= stamp.sec < 2**31 and 0 <= stamp.nanosec < 10**9
    assert latents.read(message, INFO).stamp_ns == stamp_ns


@pytest.mark.parametrize("nanosec", [10**9, 2**32 - 1])
def test_a_second_of_nanoseconds_is_refused(nanosec: int) -> None:
    message = message_of(numbered())
    message.header.stamp.nanosec = nanosec
    with pytest.raises(InputError, match="bad_stamp"):
        latents.read(message, INFO)


@pytest.mark.parametrize("info", [{}, {"grid": None}, {"grid": [8, 0, 2]}, {"grid": [8, -2, 2]}, {"grid": "842"},
    {"grid": [2.0, 2]},
                                  {"grid": [1, 2, 3, 4]}, (0, 2), (2,), None, 5, "22", {"grid": [[2],
                                  [2]]}])  # fmt: skip
def test_a_grid_that_is_none(info: Any) -> None:
    with pytest.raises(InputError, match="bad_info"):
        latents.read(message_of(numbered()), info)


@pytest.mark.parametrize("text", ["", "[1]", "5", "{", "[" * 100_000, '{"a": ' + "9" * 5000 + "}", '{"a": "\\ud800"}'])
def test_information_of_strangers(text: str) -> None:
    with pytest.raises(InputError, match="bad_info"):
        latents.read_info(SimpleNamespace(data=text))
    if text not in ("[1]", "5"):
        pair = SimpleNamespace(key="window", value=text)
        with pytest.raises(InputError, match="bad_info"):
            latents.read_window_info(SimpleNamespace(status=[SimpleNamespace(values=[pair])]))


def test_window_values_are_json_whatever_the_numbers() -> None:
    values = latents.window_values({"actions": [[1.0, float("nan")], [float("inf"), 2.0]]})
    assert values == {"actions": "[[1.0, null], [null, 2.0]]"}
