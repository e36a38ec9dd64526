"""Clocks that do not agree: with the host harmless, with each other noticed, measured and put right."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.builders import MS, NAMES, stream_config

from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.stream.intake import NO_OFFSETS, Intake
from vjepa_ros.stream.skew import SkewEstimate
from vjepa_ros.stream.window import Window

S = 1000 * MS
T0_NS = 1_700_000_000 * S
JOINTS = ("joint_commands", "joint_states")


def header(stamp_ns: int) -> SimpleNamespace:
    sec, nanosec = divmod(stamp_ns, S)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id="camera")


class Robot:
    """A camera at 20 Hz and joints at 100 Hz, each with a clock and a way to the host of its own.

    Args:
        clocks_s: how far each stream's clock is ahead of the host's.
        delays_s: how long each stream's messages travel.
        offsets_s: the parameters ``time.offset_s``.
    """

    def __init__(
        self,
        clocks_s: dict[str, float] | None = None,
        delays_s: dict[str, float] | None = None,
        offsets_s: dict[str, float] | None = None,
    ) -> None:
        self.clocks_ns = {name: round(value * S) for name, value in {**NO_OFFSETS, **(clocks_s or {})}.items()}
        self.delays_ns = {name: round(value * S) for name, value in {**NO_OFFSETS, **(delays_s or {})}.items()}
        self.reports: list[tuple[str, str, str]] = []
        self.windows: list[Window] = []
        self.intake = Intake(
            stream_config(frame_rate_hz=10.0, timeout_s=0.5),
            Preprocess("square", (4, 4)),
            lambda *report: self.reports.append(report),
            offsets_s={**NO_OFFSETS, **(offsets_s or {})},
            max_skew_s=0.5,
        )

    def run(self, seconds: float, start_ns: int = T0_NS) -> Robot:
        """Everything that happens in a stretch of true time, in the order in which it arrives."""
        events = []
        for index in range(round(seconds * 100)):
            for stream in ("image", *JOINTS) if index % 5 == 0 else JOINTS:
                time_ns = start_ns + index * 10 * MS
                events.append((time_ns + self.delays_ns[stream], time_ns, stream, index))
        for received_ns, time_ns, stream, index in sorted(events):
            message = self.message(stream, index)
            message.header = header(time_ns + self.clocks_ns[stream])
            take = {"image": self.intake.image, "joint_commands": self.intake.joint_command,
                    "joint_states": self.intake.joint_state}[stream]  # fmt: skip
            self.windows += take(f"/{stream}", message, received_ns)
        return self

    @staticmethod
    def message(stream: str, index: int) -> Any:
        if stream == "image":
            return SimpleNamespace(encoding="mono8", height=4, width=4, step=4, is_bigendian=0, data=bytes(16))
        return SimpleNamespace(name=list(NAMES), position=[float(index), -float(index)])

    @property
    def actions(self) -> list[Any]:
        return [window.actions.values.tolist() for window in self.windows]


@pytest.fixture(scope="module")
def good() -> Robot:
    """What comes out where every clock is right."""
    return Robot().run(5)


def test_good_clocks(good: Robot) -> None:
    assert good.reports == []
    assert len(good.windows) == (50 - 16) // 2 + 1
    assert good.actions[0] == [[20.0 * step, -20.0 * step] for step in range(8)]


@pytest.mark.parametrize("hours", [-7.0, 7.0, -400_000.0])  # the last one: a clock that starts in 1978
def test_sensors_hours_from_the_host_are_harmless_and_said_once(good: Robot, hours: float) -> None:
    apart = Robot(dict.fromkeys(NO_OFFSETS, hours * 3600)).run(5)
    ((topic, reason, detail),) = apart.reports
    assert (topic, reason) == ("/image", "far_clock")
    assert f"{abs(hours) * 3600:.3f} s" in detail and ("ahead of" if hours > 0 else "behind") in detail
    assert "windows are right" in detail and "set time.offset_s" not in detail, "it would part camera and joints"
    assert apart.actions == good.actions
    assert apart.windows[0].stamp_ns == good.windows[0].stamp_ns + round(hours * 3600 * S)


@pytest.mark.parametrize(
    "delays_s", [{"image": 0.05}, {"joint_commands": 0.05}, dict.fromkeys(JOINTS, 0.05), {"image": 0.45}]
)
def test_transport_is_no_skew(good: Robot, delays_s: dict[str, float]) -> None:
    slow = Robot(delays_s=delays_s).run(5)
    assert slow.reports == []
    assert slow.actions == good.actions


@pytest.mark.parametrize(("camera_s", "side"), [(-1.7, "1.700 s behind"), (1.7, "1.700 s ahead of")])
def test_a_camera_with_a_wrong_clock_is_noticed_and_put_right(good: Robot, camera_s: float, side: str) -> None:
    wrong = Robot({"image": camera_s}).run(5)
    assert wrong.actions != good.actions
    assert {reason for _, reason, _ in wrong.reports} == {"clock_skew"}
    for stream in JOINTS:
        details = [detail for topic, _, detail in wrong.reports if topic == f"/{stream}"]
        # once in 31 messages: 500 / 31 = 16, without those before 31 frames had come (1.5 s: 4)
        assert len(details) == 12
        assert all(side in detail for detail in details)
    (advised,) = {re.findall(r"add (\S+) to time\.offset_s\.image", detail)[0] for _, _, detail in wrong.reports}
    assert float(advised) == pytest.approx(-camera_s)

    right = Robot({"image": camera_s}, offsets_s={"image": float(advised)}).run(5)
    assert right.reports == []
    assert right.actions == good.actions
    for window, wanted in zip(right.windows, good.windows, strict=True):
        np.testing.assert_array_equal(window.states.values, wanted.states.values)
        assert window.step_stamps_ns == wanted.step_stamps_ns  # on the common clock
        assert window.actions.stamps_ns == wanted.actions.stamps_ns
        assert [frame.stamp_ns for frame in window.frames] == [frame.stamp_ns for frame in wanted.frames]
        assert window.stamp_ns == wanted.stamp_ns + round(camera_s * S)  # published as the camera stamped it


@pytest.mark.parametrize("stream", JOINTS)
def test_joints_with_a_wrong_clock_are_put_right_by_their_own_offset(good: Robot, stream: str) -> None:
    wrong = Robot({stream: -1.7}).run(5)
    assert {topic for topic, _, _ in wrong.reports} == {f"/{stream}"}  # the other pair agrees
    right = Robot({stream: -1.7}, offsets_s={stream: 1.7}).run(5)
    assert right.reports == []
    assert right.actions == good.actions


def test_after_a_jump_of_time_the_estimate_starts_anew() -> None:
    """A loop: until every delay is measured in the new epoch, the old ones are not compared with new ones."""
    robot = Robot().run(5)
    robot.clocks_ns["image"] = round(-1.7 * S)
    robot.run(1.4, start_ns=T0_NS - 10 * S)
    assert robot.intake.stream.epoch == 1
    assert robot.reports == []  # 28 frames do not suffice, and those of the old epoch do not help
    robot.run(2, start_ns=T0_NS - 10 * S + round(1.4 * S))
    assert robot.reports
    assert all("1.700 s behind" in detail for _, _, detail in robot.reports)


def test_a_frame_without_a_stamp_is_not_shifted() -> None:
    robot = Robot(offsets_s={"image": 1.7})
    robot.clocks_ns["image"] = -T0_NS
    received: list[int] = []
    for index in range(31):
        message = robot.message("image", index)
        message.header = header(0)
        received.append(T0_NS + index * 50 * MS)
        for stream, take in zip(JOINTS, (robot.intake.joint_command, robot.intake.joint_state), strict=True):
            joints = robot.message(stream, index)
            joints.header = header(received[-1])
            robot.windows += take(f"/{stream}", joints, received[-1])
        robot.windows += robot.intake.image("/image", message, received[-1])
    assert [report[:2] for report in robot.reports] == [("/image", "zero_stamp")]
    (window,) = robot.windows
    assert window.stamp_ns == window.frames[-1].stamp_ns == received[30]


def test_single_delays_do_not_count() -> None:
    estimate = SkewEstimate("image", "joints")
    for index in range(31):
        assert estimate.seconds("image", "joints") is None
        hiccup_ns = 10 * S if index % 3 == 0 else 0  # 11 of 31
        assert estimate.add("image", index * MS, index * MS + 2 * S + hiccup_ns) is (index == 30)
        estimate.add("joints", index * MS, index * MS + 20 * MS)
    assert estimate.seconds("image", "joints") == pytest.approx(1.98)
    assert estimate.seconds("joints", "image") == pytest.approx(-1.98)
    estimate.clear()
    assert estimate.seconds("image", "joints") is None


@pytest.mark.parametrize("rate", [0.1, 2.0])
def test_a_recording_played_at_another_speed_without_its_clock_is_no_skew(rate: float) -> None:
    estimate = SkewEstimate("image", "joints")
    for index in range(400):  # 4 s of stamps: joints at 100 Hz, images at 20 Hz, with one clock
        stamp_ns = index * 10 * MS
        if index % 5 == 0:
            estimate.add("image", stamp_ns, round(stamp_ns / rate))
        estimate.add("joints", stamp_ns, round(stamp_ns / rate))
        skew_s = estimate.seconds("image", "joints")
        assert skew_s is None or abs(skew_s) < 0.4  # below what is warned about
