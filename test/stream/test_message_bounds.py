"""What a message may not exceed: names, points, stamps, descriptions; and what is kept of many."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vjepa_ros.config.limits import MESSAGES
from vjepa_ros.errors import InputError
from vjepa_ros.stream.bounds import check_description, check_size, checked_stamp_ns
from vjepa_ros.stream.signal import Signal


def message(**fields: Any) -> SimpleNamespace:
    return SimpleNamespace(header=SimpleNamespace(frame_id="base"), **fields)


@pytest.mark.parametrize(
    ("sec", "nanosec"), [(-1, 0), (-1, 999_999_999), (-(2**31), 0), (0, 10**9), (5, 2**32 - 1), (2**31, 0), (2**40, 0)]
)
def test_stamps_that_cannot_be(sec: int, nanosec: int) -> None:
    with pytest.raises(InputError) as caught:
        checked_stamp_ns(SimpleNamespace(sec=sec, nanosec=nanosec))
    assert caught.value.reason == "bad_stamp" and str(sec) in caught.value.detail


@pytest.mark.parametrize(("sec", "nanosec"), [(0, 0), (0, 1), (2**31 - 1, 999_999_999)])
def test_stamps_that_can_be(sec: int, nanosec: int) -> None:
    assert checked_stamp_ns(SimpleNamespace(sec=sec, nanosec=nanosec)) == sec * 10**9 + nanosec


def test_messages_up_to_the_limits_pass_and_one_more_does_not() -> None:
    limits = replace(MESSAGES, max_joints=3, max_name_length=4, max_points=2)
    point, names = SimpleNamespace(), ["a", "b", "four"]
    interfaces = SimpleNamespace(interface_names=["x"] * 3)
    for good in (
        message(name=names), message(joint_names=names, points=[point] * 2), message(name=[]),
        SimpleNamespace(data=[1.0]), message(joint_names=names, interface_values=[interfaces]),
    ):  # fmt: skip
        check_size(good, limits)
    for bad in (
        message(name=[*names, "d"]), message(joint_names=[*names, "d"]), message(name=["five!"]),
        message(joint_names=["a"], points=[point] * 3), message(dof_names=["12345"]),
        SimpleNamespace(header=SimpleNamespace(frame_id="world")),
        message(joint_names=names, interface_values=[SimpleNamespace(interface_names=["x"] * 4)]),
        message(joint_names=names, interface_values=[SimpleNamespace(interface_names=["x" * 5])]),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            check_size(bad, limits)
        assert caught.value.reason == "too_large"
    with pytest.raises(InputError, match="max_name_length") as caught:
        check_size(message(name=["j" * 10**6]), MESSAGES)
    assert len(str(caught.value)) < 200


def test_descriptions() -> None:
    check_description("x" * MESSAGES.max_description_length, MESSAGES)
    with pytest.raises(InputError, match=r"messages\.max_description_length") as caught:
        check_description("x" * (MESSAGES.max_description_length + 1), MESSAGES)
    assert caught.value.reason == "bad_description"


def test_a_stream_keeps_so_many_bytes_and_the_newest_value() -> None:
    trajectory = np.ones((100, 8))  # 6,400 bytes, and 250 with what is around it
    kept = Signal(10**9, max_bytes=10 * 6_650)
    for stamp_ns in range(1, 31):
        kept.insert(stamp_ns, trajectory * stamp_ns)
        assert len(kept) == min(stamp_ns, 10)
    assert kept.at(20) is None and kept.at(21) is not None and kept.newest_ns == 30
    kept.insert(5, trajectory)  # older than all that is kept
    assert len(kept) == 10 and kept.at(20) is None
    kept.insert(31, np.ones((10_000, 8)))  # alone more than may be kept
    assert len(kept) == 1 and kept.newest_ns == 31
    kept.insert(32, trajectory)
    assert len(kept) == 1 and kept.newest_ns == 32
    for forget in (lambda: kept.forget_before(40), lambda: kept.forget_after(0), kept.clear):
        kept.insert(33, trajectory)
        forget()
    for stamp_ns in range(100, 130):
        kept.insert(stamp_ns, trajectory * stamp_ns)
    assert len(kept) == 10, "what is forgotten is given back"


def test_joint_values_at_a_kilohertz_are_bounded_by_their_number_as_before() -> None:
    kept = Signal(10**9, MESSAGES.max_stream_bytes)
    value = np.zeros(7)
    for stamp_ns in range(50_010):
        kept.insert(stamp_ns, value + stamp_ns)
    assert len(kept) == 50_000
