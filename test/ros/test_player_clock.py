"""A bag played with /clock, as ``ros2 bag play`` does it, to a node on simulated time: all windows, as offline.

With ``--delay`` the player's clock runs ahead and jumps back to the bag's start when the first messages come, before or
after these; ``--start-paused`` is what replay.launch.py does. Neither is a jump of what is played.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import bag_play, bags, recorded, replays
from support.harness import Predictor, Robot
from support.playing import IMAGE, MAX_WAIT_S, player

SECONDS = 3.0  # of the sample bag
RATE = 1.5  # times real time
RESET = "reset (/clock jumped back)"


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return {"use_sim_time": True}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of the sample bag, whose camera is where the node listens."""
    messages = [message for message in bags.sample() if message.topic in bags.TOPICS]
    end_ns = messages[0].received_ns + SECONDS * bags.S
    return bags.write(
        tmp_path_factory.mktemp("bag") / "bag",
        [
            message._replace(topic=IMAGE) if message.topic == recorded.CAMERA else message
            for message in messages
            if message.received_ns < end_ns
        ],
    )


@pytest.fixture(scope="module")
def want(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of the replay of the bag."""
    out = tmp_path_factory.mktemp("offline") / "out"
    assert replays.run(bag, "-o", out, "--set", f"actions.max_wait_s={MAX_WAIT_S}") == 0
    return replays.report(out)


def resume(robot: Robot) -> None:
    """What replay.launch.py does, once the node has the player's topics."""
    topics = (IMAGE, recorded.COMMANDS, recorded.STATES)
    robot.need(lambda: all(robot.count_publishers(topic) >= 1 for topic in topics), "no player")
    client = robot.create_client(bag_play.Resume, f"/{bag_play.NODE}/resume")
    robot.need(client.service_is_ready, "no resume")
    robot.ask(client, bag_play.Resume.Request())
    robot.destroy_client(client)


@pytest.mark.parametrize("options", [("--start-paused",), ("--delay", "1.0"), ("--delay", "2.5")], ids=" ".join)
def test_the_start_of_a_bag_is_not_lost(
    predictor: Predictor, robot: Robot, bag: Path, want: dict[str, Any], options: tuple[str, ...]
) -> None:
    robot.start(image_transport="compressed", actions__max_wait_s=MAX_WAIT_S)
    resets = predictor.log.count(RESET)
    command = ["bag", "play", str(bag), "--clock", "--rate", str(RATE), *options, "--until-heard"]
    with player(robot, [sys.executable, str(Path(bag_play.__file__)), *command], SECONDS / RATE + 40.0):
        if "--start-paused" in options:
            resume(robot)
    robot.spin(lambda: len(robot.windows) >= want["counts"]["windows"])
    robot.settle()
    assert len(robot.windows) == want["counts"]["windows"]
    assert predictor.log.count(RESET) == resets
    assert [window["late"] for window in robot.windows] == [0] * len(robot.windows)
    hashes = replays.digest(robot.windows)
    assert hashes == {name: want["sha256"][name] for name in hashes}


def test_the_players_clock_does_as_rosbag2s() -> None:
    clock = bag_play.PlayerClock(10**18, 2.0, paused=True)
    assert clock.now_ns() == 10**18
    clock.resume()
    time.sleep(0.02)
    assert clock.now_ns() >= 10**18 + 40_000_000
    clock.jump(10**18)
    assert 10**18 <= clock.now_ns() < 10**18 + 40_000_000 * 1000
