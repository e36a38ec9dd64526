"""The value of a stream at a time, by numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from support.builders import MS, signal_config

from vjepa_ros.config.stream import Alignment
from vjepa_ros.stream.align import Reader, Reading, SampleReader, TrajectoryReader
from vjepa_ros.stream.joint_signal import JointSignal

S = 1000 * MS
ONE = ("joint_a",)


def signal(*messages: tuple[float, object], lead: int = 0) -> JointSignal:
    """A signal of (stamp in ms, value)."""
    result = JointSignal(jump_back_ns=S, lead=lead)
    for stamp_ms, value in messages:
        result.insert(round(stamp_ms * MS), np.atleast_1d(np.array(value, np.float64)))
    return result


def samples(alignment: Alignment, *messages: tuple[float, object], timeout_s: float = 0.5) -> SampleReader:
    config = signal_config(names=ONE, alignment=alignment, timeout_s=timeout_s)
    return SampleReader(signal(*messages), config)


def of(reading: Reading) -> tuple[float | None, float | None, bool]:
    """(value, stamp in ms, missing) of a reading with one joint."""
    value = None if reading.value is None else float(reading.value[0])
    stamp_ms = None if reading.stamp_ns is None else reading.stamp_ns / MS
    return value, stamp_ms, reading.missing


# -- samples: 1.0 at 100 ms, 3.0 at 200 ms


@pytest.mark.parametrize(
    ("alignment", "time_ms", "value", "stamp_ms"),
    [
        ("hold", 100, 1.0, 100),
        ("hold", 199, 1.0, 100),
        ("hold", 200, 3.0, 200),
        ("hold", 450, 3.0, 200),
        ("linear", 100, 1.0, 100),
        ("linear", 125, 1.5, 100),  # a quarter of the way
        ("linear", 190, 2.8, 100),
        ("linear", 200, 3.0, 200),
        ("linear", 450, 3.0, 200),  # nothing follows: held, never extrapolated
        ("nearest", 149, 1.0, 100),
        ("nearest", 150, 1.0, 100),  # the earlier one on a tie
        ("nearest", 150 + 1e-6, 3.0, 200),
        ("nearest", 450, 3.0, 200),
    ],
)
def test_samples(alignment: Alignment, time_ms: float, value: float, stamp_ms: float) -> None:
    reading = of(samples(alignment, (200, 3.0), (100, 1.0)).at(round(time_ms * MS)))  # in any order of arrival
    assert reading == (pytest.approx(value, abs=1e-12), stamp_ms, False)


def test_every_joint_is_interpolated() -> None:
    config = signal_config(alignment="linear")
    reading = SampleReader(signal((0, [0.0, 10.0]), (40, [4.0, -10.0])), config).at(10 * MS)
    assert reading.value is not None
    np.testing.assert_allclose(reading.value, [1.0, 5.0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("alignment", ["linear", "nearest"])
def test_of_equal_stamps_the_last_to_arrive_counts_on_both_sides(alignment: Alignment) -> None:
    reader = samples(alignment, (100, 9.0), (100, 1.0), (200, 9.0), (200, 3.0))
    assert of(reader.at(100 * MS)) == (1.0, 100, False)
    assert of(reader.at(175 * MS))[0] == (2.5 if alignment == "linear" else 3.0)


@pytest.mark.parametrize("alignment", ["hold", "linear", "nearest"])
def test_before_the_first_message_there_is_nothing(alignment: Alignment) -> None:
    reader = samples(alignment, (100, 1.0))
    assert of(reader.at(100 * MS - 1)) == (None, None, True)  # what comes a nanosecond later is not in force yet
    assert of(samples(alignment).at(10 * S)) == (None, None, True)


@pytest.mark.parametrize("alignment", ["hold", "linear", "nearest"])
def test_a_value_times_out_whatever_follows_it(alignment: Alignment) -> None:
    reader = samples(alignment, (100, 1.0), (900, 3.0), timeout_s=0.5)
    assert of(reader.at(600 * MS))[2] is False
    assert of(reader.at(600 * MS + 1)) == (1.0, 100, True)  # the old value is there for those who want it held
    assert of(reader.at(899 * MS)) == (1.0, 100, True)
    assert of(reader.at(900 * MS)) == (3.0, 900, False)


# -- trajectories: points are (time from start in ms, value)


class Measured(Reader):
    """What was measured: a hundredth of the time in ms, so that it tells when it was asked for."""

    def at(self, time_ns: int) -> Reading:
        return Reading(np.array([time_ns / MS / 100]), time_ns, False)


def points(*pairs: tuple[float, float]) -> list[list[float]]:
    return [[time_ms * MS, value] for time_ms, value in pairs]


def trajectories(alignment: Alignment, *messages: tuple[float, object], timeout_s: float = 0.5) -> TrajectoryReader:
    config = signal_config(names=ONE, alignment=alignment, timeout_s=timeout_s)
    return TrajectoryReader(signal(*messages, lead=1), config, Measured())


# starts at 1000 ms; in force: 5.0 from 1100, 7.0 from 1200, 8.0 from 1400
REACH = (1000.0, points((100, 5.0), (200, 7.0), (400, 8.0)))


@pytest.mark.parametrize(
    ("alignment", "time_ms", "value", "missing"),
    [
        ("hold", 1000, 10.0, False),  # before the first point: measured then
        ("hold", 1099, 10.99, False),
        ("linear", 1050, 10.5, False),  # nor is there a line from what was measured to the first point
        ("nearest", 1099, 10.99, False),
        ("hold", 1100, 5.0, False),
        ("hold", 1199, 5.0, False),
        ("linear", 1125, 5.5, False),
        ("linear", 1300, 7.5, False),
        ("nearest", 1150, 5.0, False),  # the earlier one on a tie
        ("nearest", 1151, 7.0, False),
        ("linear", 1400, 8.0, False),
        ("linear", 1900, 8.0, False),  # the last point is held until the timeout has passed since it
        ("hold", 1900, 8.0, False),
        ("hold", 1900 + 1e-6, 8.0, True),
    ],
)
def test_the_value_in_force(alignment: Alignment, time_ms: float, value: float, missing: bool) -> None:
    found, stamp_ms, is_missing = of(trajectories(alignment, REACH).at(round(time_ms * MS)))
    assert found == pytest.approx(value, abs=1e-12)
    assert is_missing is missing
    assert stamp_ms == (time_ms if time_ms < 1100 else 1000)


def test_the_newest_trajectory_by_stamp_is_in_force_whatever_arrived_last() -> None:
    newer = (1150.0, points((0, 70.0), (100, 80.0)))
    for messages in ((REACH, newer), (newer, REACH)):
        reader = trajectories("hold", *messages)
        assert [of(reader.at(time_ms * MS))[:2] for time_ms in (1149, 1150, 1250, 1400)] == [
            (5.0, 1000), (70.0, 1150), (80.0, 1150), (80.0, 1150),
        ]  # fmt: skip


def test_a_newer_trajectory_that_has_not_reached_its_first_point_gives_what_is_measured() -> None:
    reader = trajectories("hold", REACH, (1500.0, points((100, 70.0))))
    assert of(reader.at(1550 * MS)) == (15.5, 1550, False)


def test_before_the_first_trajectory_there_is_nothing() -> None:
    assert of(trajectories("hold", REACH).at(1000 * MS - 1)) == (None, None, True)


def test_ahead_reads_the_trajectory_in_force_now_at_a_later_time() -> None:
    newer = (1250.0, points((0, 70.0)))
    reader = trajectories("hold", REACH, newer)
    assert of(reader.ahead(1200 * MS, 1400 * MS)) == (8.0, 1000, False)  # the newer one was not known then
    assert of(reader.ahead(1250 * MS, 1400 * MS)) == (70.0, 1250, False)
    assert of(reader.ahead(1200 * MS, 1900 * MS + 1)) == (8.0, 1000, True)
    assert of(reader.ahead(1020 * MS, 1080 * MS)) == (10.2, 1020, False)  # measured now: later is not known yet
    assert of(reader.ahead(999 * MS, 1200 * MS)) == (None, None, True)
