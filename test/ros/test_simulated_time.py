"""Simulated time: /clock paused, slow, fast, looping, sought through; after a jump nothing is said about before."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from support.harness import Predictor, Robot
from support.messages import MS, T0_NS

PERIOD_NS = 50 * MS  # of the frames
STREAM, MODEL = "/vjepa_predictor: stream", "/vjepa_predictor: model"


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return {"use_sim_time": True}


@pytest.fixture(scope="module")
def clock(robot: Robot) -> Publisher:
    return robot.create_publisher(Clock, "/clock", 100)


def at(frame: float) -> int:
    """The time of a frame by its number."""
    return T0_NS + round(frame * PERIOD_NS)


class Simulation:
    """/clock, and frames with joints that are stamped by it."""

    def __init__(self, predictor: Predictor, robot: Robot, clock: Publisher) -> None:
        self.predictor, self.robot, self.clock = predictor, robot, clock
        robot.start()
        assert robot.spin(lambda: clock.get_subscription_count() >= 1)

    def set(self, frame: float) -> None:
        """Set /clock to the time of a frame, and wait until that is the node's time."""
        self.publish(frame)
        assert self.robot.spin(lambda: self.robot.diagnosed_ns == at(frame)), "the node's clock says something else"

    def publish(self, frame: float) -> None:
        """Set /clock to the time of a frame."""
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(at(frame), 10**9)
        self.clock.publish(message)

    def send(self, first: int, count: int) -> None:
        """Frames with joints, all at once."""
        self.robot.send_frames(first, count)

    def play(self, first: int, count: int, rate: float) -> None:
        """As a player does: /clock and then the frame, ``rate`` times as fast as 20 Hz."""
        for index in range(first, first + count):
            due_s = time.monotonic() + PERIOD_NS * 1e-9 / rate
            self.publish(index)
            self.send(index, 1)
            self.robot.spin(lambda due_s=due_s: time.monotonic() >= due_s)  # type: ignore[misc]

    @property
    def clock_resets(self) -> int:
        """How often the node said that it has reset everything because of /clock."""
        return self.predictor.log.count("reset (/clock jumped back)")

    def windows(self, count: int) -> None:
        """Wait for this many windows since the start, and see that there are no more."""
        windows = self.robot.windows
        assert self.robot.spin(lambda: len(windows) >= count), f"{len(windows)} of {count}"
        self.robot.settle(0.15)
        assert len(windows) == count

    def arrived(self, frame: float) -> None:
        """Wait until the node, its clock at a frame by now, has said how much its model did, and all of it is here."""
        robot = self.robot

        def agree() -> bool:
            done = robot.diagnostics.get(MODEL, {}).get("done")
            is_new = robot.diagnosed_ns == at(frame)
            return is_new and done == str(len(robot.window_messages)) == str(len(robot.predicted))

        assert robot.spin(agree), (robot.diagnostics.get(MODEL), len(robot.window_messages), len(robot.predicted))

    def newest(self) -> tuple[int, int]:
        """(epoch since the start, number of the first frame) of the newest window."""
        windows = self.robot.windows
        first = (windows[-1]["frame_stamps"][0] - T0_NS) / PERIOD_NS
        return windows[-1]["epoch"] - windows[0]["epoch"], int(first)

    def jump_back(self, frame: float) -> Callable[[], list[float]]:
        """Set /clock back; a function that gives the stamps, as frame numbers, of all that was published since."""
        before = self.clock_resets
        self.publish(frame)
        assert self.robot.spin(lambda: self.clock_resets == before + 1), self.predictor.log[-2000:]
        self.arrived(frame)
        windows, latents = len(self.robot.window_messages), len(self.robot.predicted)

        def stamps() -> list[float]:
            messages = [*self.robot.window_messages[windows:], *self.robot.predicted[latents:]]
            headers = [message.header.stamp for message in messages]
            return [(stamp.sec * 10**9 + stamp.nanosec - T0_NS) / PERIOD_NS for stamp in headers]

        return stamps


@pytest.fixture
def simulation(predictor: Predictor, robot: Robot, clock: Publisher) -> Simulation:
    return Simulation(predictor, robot, clock)


def test_a_clock_that_jumps_back_resets_and_frames_that_follow_do_not_again(simulation: Simulation) -> None:
    simulation.set(0)
    simulation.send(0, 30)
    simulation.windows(8)
    simulation.set(30)
    simulation.set(10)  # back by a second, to the middle of what was sent
    simulation.send(10, 16)
    simulation.windows(9)
    assert simulation.newest() == (1, 10)
    simulation.set(20)
    simulation.send(26, 2)
    simulation.windows(10)
    assert simulation.newest() == (1, 12)


def test_frames_that_jump_a_little_before_the_clock_cause_one_epoch_in_every_turn(simulation: Simulation) -> None:
    """The frames first, then /clock; in the next turn /clock alone, which the frames of the first do not explain."""
    simulation.set(100)
    simulation.send(84, 16)
    simulation.windows(1)
    simulation.send(10, 15)
    simulation.set(100.4)
    resets = simulation.clock_resets
    simulation.set(25)
    assert simulation.clock_resets == resets
    simulation.send(25, 1)
    simulation.windows(2)
    assert simulation.newest() == (1, 10)
    simulation.set(101)
    simulation.send(100, 18)  # a gap
    simulation.windows(4)
    simulation.set(101.2)
    simulation.jump_back(50)  # no frame has jumped: /clock resets
    simulation.send(50, 16)
    simulation.windows(5)
    assert simulation.newest() == (2, 50)
    epochs = {int(window["epoch"]) for window in simulation.robot.windows}
    assert len(epochs) == 3


def test_a_paused_clock_holds_nothing_up(simulation: Simulation) -> None:
    """What is stamped decides, not /clock; and what the node says about itself keeps coming."""
    simulation.set(0)
    simulation.send(0, 24)
    simulation.windows(5)
    simulation.robot.diagnostics.clear()
    assert simulation.robot.spin(lambda: STREAM in simulation.robot.diagnostics)
    simulation.send(24, 2)
    simulation.windows(6)
    assert simulation.newest() == (0, 10)
    assert simulation.robot.windows[-1]["late"] == 0


@pytest.mark.parametrize(("rate", "count"), [(0.1, 4), (10.0, 60)])
def test_slow_and_fast_clocks(simulation: Simulation, rate: float, count: int) -> None:
    simulation.set(0)
    simulation.send(1, 14)
    simulation.play(15, count, rate)
    simulation.windows((14 + count - 16) // 2 + 1)
    for number, window in enumerate(simulation.robot.windows):
        frames = range(1 + 2 * number, 17 + 2 * number)
        assert window["frame_stamps"] == [at(frame) for frame in frames]
        assert [row[0] for row in window["actions"]] == [float(frame) for frame in frames[::2]]
    assert simulation.robot.windows[-1]["late"] == 0


def test_a_loop_twice(simulation: Simulation) -> None:
    stamps: Callable[[], list[float]] = list
    for turn in range(3):
        if turn:
            assert simulation.newest() == (turn - 1, 14)
            stamps = simulation.jump_back(0)
        simulation.play(0, 30, 10.0)
        simulation.windows(8 * (turn + 1))
        expected = [float(frame) for frame in range(15, 30, 2)]
        assert stamps() == ([*expected, *expected] if turn else [])  # window_info, then latents
    numbers = [window["window"] for window in simulation.robot.windows]
    assert numbers == [*range(8)] * 3


def test_seeking_back_and_forth_never_publishes_what_was_before(simulation: Simulation) -> None:
    """Sixty frames are sent at once, and /clock jumps while the model is still at the windows of these."""
    simulation.set(200)
    for sent, target in [(140, 40), (100, 60), (400, 20)]:
        simulation.set(sent + 60)  # forwards, unless it is there already
        before = len(simulation.robot.windows)
        simulation.send(sent, 60)
        assert simulation.robot.spin(lambda before=before: len(simulation.robot.windows) > before)  # type: ignore[misc]
        stamps = simulation.jump_back(target)
        simulation.send(target, 18)
        assert simulation.robot.spin(lambda stamps=stamps: len(stamps()) >= 4)  # type: ignore[misc]
        simulation.robot.settle(0.2)
        assert sorted(stamps()) == [target + 15.0] * 2 + [target + 17.0] * 2
