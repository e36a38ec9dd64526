"""Simulated time: when /clock jumps back, everything is reset, and only once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ros.harness import MS, T0_NS, Predictor, Robot
from rosgraph_msgs.msg import Clock


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    process = Predictor(tmp_path_factory.mktemp("predictor") / "log.txt", {"use_sim_time": True})
    yield process
    assert process.stop() == 0, process.log


def test_a_clock_that_jumps_back_resets_and_frames_that_follow_do_not_again(robot: Robot) -> None:
    clock = robot.create_publisher(Clock, "/clock", 10)
    robot.start()
    assert robot.spin(lambda: clock.get_subscription_count() == 1)

    def set_clock(stamp_ns: int) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(stamp_ns, 10**9)
        clock.publish(message)
        robot.settle(0.3)

    set_clock(T0_NS)
    robot.send_frames(0, 30)
    assert robot.spin(lambda: len(robot.windows) == 8)
    set_clock(T0_NS + 30 * 50 * MS)
    set_clock(T0_NS + 10 * 50 * MS)  # back by a second, to the middle of what was sent
    robot.send_frames(10, 16)
    assert robot.spin(lambda: len(robot.windows) == 9)
    assert robot.windows[8]["epoch"] == robot.windows[0]["epoch"] + 1
    assert robot.windows[8]["frame_stamps"][0] == T0_NS + 10 * 50 * MS
    set_clock(T0_NS + 20 * 50 * MS)
    robot.send_frames(26, 2)
    assert robot.spin(lambda: len(robot.windows) == 10)
    assert robot.windows[9]["epoch"] == robot.windows[8]["epoch"]
    robot.stop()
