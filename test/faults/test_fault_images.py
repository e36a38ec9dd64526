"""Faults of cameras and of their messages: afterwards the windows are the oracle's again."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sensor_msgs.msg import Image
from support.fault_feed import STREAM, Feed, at, compressed, jpeg, peak_memory_kb
from support.fault_table import Row
from support.harness import Predictor, Robot
from support.messages import MS, image_message, pixels, stamped


@pytest.mark.fault("camera stall and return")
def test_camera_stall_and_return(robot: Robot, row: Row) -> None:
    robot.start()
    feed = Feed(robot)
    feed.both(0, 20)
    for number in range(20, 80):
        feed.joints(at(number), float(number))
    assert robot.spin(lambda: robot.diagnostics.get(STREAM, {}).get("frames") == "20")
    robot.levels.pop(STREAM)
    assert robot.spin(lambda: robot.levels.get(STREAM) == b"\1"), "no frames: said while it lasts"
    feed.both(80, 20)
    windows = feed.check()
    feed.counted(gaps=1, windows=windows, frames=40)
    row.injected, row.lost = "3 s without frames", f"1 gap, {40 - windows} window(s)"
    row.lost = f"{len(range(16, 101, 2)) - windows} windows that would have spanned the gap"


@pytest.mark.fault("15 % of frames dropped")
def test_frames_dropped(robot: Robot, row: Row) -> None:
    robot.start()
    feed, chance = Feed(robot), random.Random(1)
    dropped = {number for number in range(200) if chance.random() < 0.15}
    for number in range(200):
        feed.joints(at(number), float(number))
        if number not in dropped:
            feed.frame(at(number), number)
    windows = feed.check()
    feed.counted(frames=200 - len(dropped), windows=windows, gaps=0)
    row.injected = f"{len(dropped)} of 200 frames"
    row.lost = f"{len(range(16, 201, 2)) - windows} of {len(range(16, 201, 2))} windows"


@pytest.mark.fault("jitter")
def test_jitter(robot: Robot, row: Row) -> None:
    robot.start(frame_rate=20.0)
    feed, chance = Feed(robot, frame_rate=20.0, max_gap_ns=125 * MS), random.Random(2)
    for number in range(100):
        stamp_ns = at(number) + chance.randint(-20 * MS, 20 * MS)
        feed.joints(at(number), float(number))
        feed.frame(stamp_ns, number)
    feed.joints(at(101), 101.0)
    windows = feed.check()
    feed.counted(frames=100, late=0, gaps=0)
    row.injected = "100 frames, up to 20 ms early or late"
    row.lost = (
        f"{100 - len(feed.frames)} frames, {len(range(16, 101, 2)) - windows} of {len(range(16, 101, 2))} windows"
    )


@pytest.mark.fault("duplicates")
def test_duplicates(robot: Robot, row: Row) -> None:
    robot.start()
    feed = Feed(robot)
    for number in range(40):
        for _ in range(2):
            feed.joints(at(number), float(number))
            feed.frame(at(number), number)
    windows = feed.check()
    feed.counted(frames=40, frames_out_of_order=40, duplicates=80, windows=windows)
    row.injected, row.lost = "every frame, command and state twice", "nothing: 40 frames and 80 joint messages ignored"
    assert windows == len(range(16, 41, 2))


@pytest.mark.fault("reordering within 100 ms")
def test_reordering(robot: Robot, row: Row) -> None:
    robot.start()
    feed, chance = Feed(robot), random.Random(3)
    sends = []
    for number in range(80):
        sends.append((at(number) + chance.randint(0, 100 * MS), number, True))
        sends += [(at(number) + i * 10 * MS + chance.randint(0, 100 * MS), number + i / 5, False) for i in range(5)]
    for _, number, is_frame in sorted(sends):
        stamp_ns = at(0) + round(number * 50 * MS)
        feed.frame(stamp_ns, int(number)) if is_frame else feed.joints(stamp_ns, float(number))
    feed.both(82, 40)
    windows = feed.check(after_ns=at(81))
    newest = np.maximum.accumulate([stamp for (stamp,) in feed.frames])
    dropped = sum(stamp <= before for (stamp,), before in zip(feed.frames[1:], newest, strict=False))
    assert dropped > 5, "the fault was injected"
    feed.counted(frames_out_of_order=dropped, frames=120 - dropped, gaps=0)
    late = [int(robot.diagnostics[STREAM][key]) for key in ("late_commands", "late_states")]
    row.injected = "80 frames, 400 commands and states, each up to 100 ms late"
    row.lost = (
        f"{dropped} frames out of order; {sum(late)} joint messages counted late; {windows} windows after it equal"
    )
    assert sum(late) > 0


def _of_the_newest_epoch(robot: Robot) -> list[object]:
    return [window for window in robot.windows if window["epoch"] == robot.windows[-1]["epoch"]]


@pytest.mark.fault("zero stamps")
def test_zero_stamps(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start()
    for number in range(20):
        robot.send_joints(0, float(number))
        robot.images.publish(image_message(0, number))
        robot.settle(0.02)
    assert robot.spin(lambda: len(robot.windows) >= 1), "the receive time stands in"
    feed = Feed(robot)
    feed.both(0, 30)
    assert robot.spin(lambda: any(window["epoch"] > robot.windows[0]["epoch"] for window in robot.windows))
    assert robot.spin(lambda: len(_of_the_newest_epoch(robot)) == len(feed.expected()))
    assert robot.spin(lambda: len(robot.predicted) == len(robot.windows))
    robot.windows[:] = [window for window in robot.windows if window["epoch"] > robot.windows[0]["epoch"]]
    robot.predicted[:] = robot.predicted[-len(robot.windows) :]
    feed.check()
    feed.counted(zero_stamps=60)
    assert predictor.log.count("zero_stamp: the receive time stands in") >= 3
    row.injected, row.lost = "60 messages", "bit-identical replay of these; said once per topic; windows after it equal"


@pytest.mark.fault("resolution and encoding change midway")
def test_resolution_and_encoding(robot: Robot, row: Row) -> None:
    robot.start()
    feed = Feed(robot)
    sizes = [(48, 64, "rgb8", 3), (96, 128, "bgr8", 3), (30, 40, "mono8", 1), (480, 640, "rgba8", 4)]
    for number in range(40):
        height, width, encoding, channels = sizes[number // 10]
        message = stamped(Image(height=height, width=width, encoding=encoding, step=width * channels), at(number))
        message.data.frombytes(np.resize(pixels(number), height * width * channels).tobytes())
        feed.joints(at(number), float(number))
        feed.frame(at(number), number, message)
    assert feed.check() == len(range(16, 41, 2))
    feed.counted(rejected=0, frames=40, gaps=0)
    row.injected, row.lost = ", ".join(f"{w}x{h} {name}" for h, w, name, _ in sizes), "nothing"


def claiming(file: bytes, height: int, width: int) -> bytes:
    """A JPEG whose header claims another size."""
    frame = file.index(b"\xff\xc0")  # start of frame: length (2 bytes), precision (1), height (2), width (2)
    return file[: frame + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + file[frame + 9 :]


def send_jpegs(robot: Robot, bad: dict[int, bytes]) -> Feed:
    """40 frames, of which the node should take those that are not bad."""
    feed = Feed(robot)
    for number in range(40):
        feed.joints(at(number), float(number))
        robot.jpegs.publish(compressed(number, bad.get(number) or jpeg(number)))
        if number not in bad:
            feed.frames.append((at(number),))
    return feed


@pytest.mark.fault("corrupt and truncated JPEG")
def test_broken_jpeg(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start(image_transport="compressed")
    good = jpeg(0)
    bad = {5: good[: len(good) // 2], 11: b"\0" * 500, 17: good[:2] + b"\x55" * 300, 23: good[:-2], 29: b"\xff\xd8"}
    feed = send_jpegs(robot, bad)
    windows = feed.check()
    feed.counted(frames=35, rejected=5, **{"rejected__/image/compressed__undecodable_image": 5})
    assert "/image/compressed: undecodable_image" in predictor.log
    row.injected, row.lost = "5 of 40 files", f"5 frames, {len(range(16, 41, 2)) - windows} windows"


@pytest.mark.fault("JPEG header that claims 20000x20000")
def test_huge_jpeg(predictor: Predictor, robot: Robot, row: Row) -> None:
    robot.start(image_transport="compressed")
    before_kb = peak_memory_kb(predictor)
    feed = send_jpegs(robot, dict.fromkeys((8, 20), claiming(jpeg(0), 20000, 20000)))
    feed.check()
    feed.counted(**{"rejected__/image/compressed__image_too_large": 2})
    grown_mb = (peak_memory_kb(predictor) - before_kb) / 1e3
    assert grown_mb < 100, "decoded it takes 1,200 MB"
    row.injected, row.lost = "2 of 40 files", f"2 frames; refused before decoding (peak memory +{grown_mb:.0f} MB)"
