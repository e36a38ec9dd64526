"""The simulated robot over the middleware: on a clock that it drives, where it is what is recorded; and on its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support import replays
from support.harness import parameter_arguments
from support.messages import MS, S, joint_message, stamp_ns
from support.panda_sims import Operator, PandaSim, pixels_of, place_in, trajectory_message
from trajectory_msgs.msg import JointTrajectory

from vjepa_ros.commands import simulate as command
from vjepa_ros.config import ros_file
from vjepa_ros.config.node import resolve
from vjepa_ros.images.compressed import decode_compressed
from vjepa_ros.recordings.windows import read_windows
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.episodes import FRAME_NS, GAP_NS, START_NS, Episode, simulate
from vjepa_ros.simulation.plan import World
from vjepa_ros.simulation.robot import TABLE
from vjepa_ros.stream.intake import build_intake
from vjepa_ros.stream.window import Window

FRAMES, COUNT = 12, 3
WORLD = World(seed=3, frames=FRAMES, size=256)
STREAM = {
    "encoding": "tubelet", "hop": 2, "num_frames": 4, "frame_rate": 10.0, "actions.phase": "last",
    "actions.reduction": "difference", "states.source": "joint_states",
}  # fmt: skip


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PandaSim]:
    """Its time waits for commands: nothing depends on how fast this machine is."""
    parameters = {"seed": 3, "clock.drive": True, "clock.wait_s": 600.0, "clock.rate": 4.0}
    process = PandaSim(tmp_path_factory.mktemp("sim") / "log.txt", parameters)
    yield process
    assert process.stop() == 0, process.log
    assert "Traceback" not in process.log


@pytest.fixture(scope="module")
def operator(sim: PandaSim) -> Iterator[Operator]:
    node = Operator()
    node.connect()
    node.need(lambda: node.time_ns == START_NS + FRAME_NS, "it does not wait for a first command")
    yield node
    node.close()


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return list(simulate(WORLD, range(COUNT)))


def tip_of(message: Any) -> np.ndarray:
    """Where the tip is by measured joints, in m."""
    return panda.tips_of(np.array(message.position[:7]))


def begin(operator: Operator) -> None:
    """Begin an episode, of which there is then what comes before its first answer: two frames, and their joints."""
    after_ns = operator.time_ns + GAP_NS // 2
    operator.call("reset")
    for kept, count in ((operator.pictures, 2), (operator.states, 11)):

        def new(kept: list[Any] = kept) -> list[Any]:
            return [message for message in kept if stamp_ns(message) > after_ns]

        operator.need(lambda new=new, count=count: len(new()) == count, "no episode anew")
        kept[:] = new()


def play(operator: Operator, episode: Episode) -> int:
    """Command an episode as it was commanded when it was simulated; the stamp of its first frame."""
    assert operator.set(episode=episode.number) == [(True, "")]
    begin = len(operator.pictures)
    said = operator.call("reset")
    assert said.startswith(f"episode {episode.number} of seed 3, varied: the tip at [")
    for frame in range(FRAMES):
        operator.need(lambda wanted=begin + frame + 1: len(operator.pictures) >= wanted, f"no frame {frame}")
        at_ns = stamp_ns(operator.pictures[begin + frame])
        if frame == 0:
            operator.send(at_ns - FRAME_NS, panda.JOINTS, episode.commands[0])
        elif frame % 2 == 1 and frame + 1 < FRAMES:
            operator.send(at_ns, panda.JOINTS, episode.commands[(frame + 1) // 2])
    last = begin + FRAMES
    assert len(operator.pictures) == last, "its time waits for a command"
    return stamp_ns(operator.pictures[begin])


def test_a_live_run_is_what_the_simulator_records(
    operator: Operator, episodes: list[Episode], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Pixels, joints and stamps of the messages; and windows, of the node's own streams of them and of a recording."""
    operator.clear()
    starts = [play(operator, episode) for episode in episodes]
    operator.need(lambda: bool(operator.states), "no joints")
    operator.need(lambda: stamp_ns(operator.states[-1]) >= stamp_ns(operator.pictures[-1]), "no joints of the last")
    assert np.diff(starts).tolist() == [(FRAMES - 1) * FRAME_NS + GAP_NS] * (COUNT - 1), "as in recordings"
    states = [message for message in operator.states if stamp_ns(message) >= starts[0]]
    assert len(states) == COUNT * (10 * (FRAMES - 1) + 1)
    for number, (start_ns, episode) in enumerate(zip(starts, episodes, strict=True)):
        for frame, message in enumerate(operator.pictures[number * FRAMES :][:FRAMES]):
            assert stamp_ns(message) == start_ns + episode.frame_stamps[frame]
            np.testing.assert_array_equal(pixels_of(message), episode.pictures[frame])
        for tick, message in enumerate(states[number * 111 :][:111:5]):
            assert stamp_ns(message) == start_ns + episode.joint_stamps[tick]
            assert message.name == [*panda.JOINTS, *panda.FINGERS]
            np.testing.assert_array_equal(message.position, [*episode.joints[tick], 0.04, 0.04])
    offset_ns = starts[0] - START_NS
    found = windows_of(operator, episodes, starts, states)
    out = tmp_path_factory.mktemp("recorded") / "bag"
    options = ("--episodes", COUNT, "--seed", 3, "--frames", FRAMES, "--size", 256)
    assert command.main([*map(str, options), "-o", str(out)]) == 0
    recorded = list(read_windows(out, params=replays.PARAMS, settings=STREAM))
    assert len(found) == len(recorded) == COUNT * 5
    for live, offline in zip(found, recorded, strict=True):
        assert [step_ns - offset_ns for step_ns in live.step_stamps_ns] == list(offline.step_stamps_ns)
        np.testing.assert_array_equal(live.clip, offline.clip)
        np.testing.assert_array_equal(live.actions.values, offline.actions.values)
        np.testing.assert_array_equal(live.states.values, offline.states.values)


def windows_of(operator: Operator, episodes: list[Episode], starts: list[int], states: list[Any]) -> list[Window]:
    """What the predictor's intake makes of the messages, in the order of their stamps."""
    values, _ = ros_file.read(replays.PARAMS, "/vjepa_predictor")
    dropped: list[Any] = []
    intake = build_intake(resolve({**values, **STREAM}), lambda *what: dropped.append(what), None)
    coming = [(stamp_ns(message), 1, "image", message) for message in operator.pictures]
    coming += [(stamp_ns(message), 0, "joint_states", message) for message in states]
    for start_ns, episode in zip(starts, episodes, strict=True):
        for at_ns, joints in zip(episode.command_stamps + start_ns, episode.commands, strict=True):
            coming.append((int(at_ns) + 1, 2, "joint_commands", joint_message(int(at_ns), panda.JOINTS, joints)))
    found: list[Window] = []
    for at_ns, _, topic, message in sorted(coming, key=lambda item: item[:2]):
        found += intake.take[topic](topic, message, at_ns)
    assert dropped == []
    return found


def test_its_clock_says_the_stamps(operator: Operator, episodes: list[Episode]) -> None:
    operator.clear()
    start_ns = play(operator, episodes[0])
    end_ns = start_ns + (FRAMES - 1) * FRAME_NS

    def times() -> list[int]:
        return [message.clock.sec * S + message.clock.nanosec for message in operator.times]

    operator.need(lambda: times()[-3:] == [end_ns] * 3, "a time that stands still is said again")
    passed = [time_ns for time_ns in times() if time_ns >= start_ns]
    assert sorted(set(passed)) == list(range(start_ns, end_ns + 1, 10 * MS)) and passed == sorted(passed)


def test_what_cannot_be_used_is_said_and_moves_nothing(sim: PandaSim, operator: Operator) -> None:
    begin(operator)
    at_ns = stamp_ns(operator.pictures[-1])
    joints = list(operator.states[-1].position)
    bad = (
        (at_ns, panda.JOINTS, [np.nan] * 7, "not_finite"),
        (at_ns, panda.JOINTS, [0.0] * 6, "length_mismatch"),
        (at_ns, ["elbow"], [0.0], "foreign"),
        (at_ns + 5 * S, panda.JOINTS, [0.0] * 7, "bad_stamp"),
        (at_ns - S, panda.JOINTS, [0.0] * 7, "out_of_order"),
    )
    for stamp, names, values, _ in bad:
        operator.send(stamp, names, values)
    operator.need(lambda: all(f"/joint_commands: {reason}: " in sim.log for *_, reason in bad), sim.log)
    assert len(operator.pictures) == 2
    operator.send(at_ns, ["other", *reversed(panda.JOINTS)], [9.0, *reversed(joints[:7])])
    operator.need(lambda: len(operator.pictures) == 4, "it goes on")
    for message in operator.states:
        np.testing.assert_allclose(message.position, joints, rtol=0, atol=1e-12)


def test_a_push_is_as_long_as_its_parameter_says(operator: Operator) -> None:
    begin(operator)
    for metres in (0.15, 0.05):
        assert operator.set(push__distance_m=metres) == [(True, "")]
        known, before = len(operator.states), tip_of(operator.states[-1])
        said = operator.call("push")
        assert said.startswith(f"the tip was moved by {metres:.3f} m, to [")
        place = place_in(said)
        assert abs(np.linalg.norm(place - before) - metres) < 2e-3
        operator.send(stamp_ns(operator.pictures[-1]), panda.JOINTS, panda.joints_for(place))  # to stay there
        operator.need(lambda known=known: len(operator.states) == known + 20, "no two frames more")
        operator.need(lambda: stamp_ns(operator.pictures[-1]) == stamp_ns(operator.states[-1]), "no picture")
        assert np.linalg.norm(tip_of(operator.states[known]) - place) < 2e-3, "at once"
        assert np.linalg.norm(tip_of(operator.states[-1]) - place) < 2e-3, "and it stays"
    assert operator.set(push__distance_m=0.5)[0][0] is False


def test_parameters_are_described_and_most_are_read_once(operator: Operator) -> None:
    names = [row.name for row in TABLE]
    for row, found in zip(TABLE, operator.describe(names), strict=True):
        assert found.name == row.name and found.description.startswith(row.description)
    assert operator.set(size=64) == [(False, "size: is read once, at the start")]
    assert operator.set(variation="none") == [(False, "variation: 'none' is not one of fixed, varied, wide")]


def test_a_start_that_makes_no_sense_is_one_sentence() -> None:
    program = [sys.executable, "-m", "vjepa_ros.ros.panda_sim"]
    for values, said in (
        ({"clock.rate": 2.0}, "panda_sim: clock.rate: only a clock that is driven has a rate: set clock.drive"),
        ({"size": "[1]"}, "panda_sim: size: "),
    ):
        command_line = [*program, "--ros-args", *parameter_arguments(values)]
        done = subprocess.run(command_line, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert said in done.stderr
    done = subprocess.run([*program, "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("usage: panda_sim")
    assert all(f"\n  {row.name} ({row.kind})\n" in done.stdout for row in TABLE)


def test_it_needs_no_torch() -> None:
    code = "import sys, vjepa_ros.ros.panda_sim; print(sorted({'torch', 'rosbags'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


# -- a robot on its own: the machine's time


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PandaSim]:
    parameters = {"seed": 3, "size": 128, "commands.type": "JointTrajectory", "compressed.format": "png"}
    process = PandaSim(tmp_path_factory.mktemp("own") / "log.txt", parameters, ("-r", "__ns:=/own"))
    yield process
    assert process.stop(signal.SIGTERM) == 0, process.log
    assert "Traceback" not in process.log


@pytest.fixture(scope="module")
def watcher(own: PandaSim) -> Iterator[Operator]:
    node = Operator("own", JointTrajectory, files=True)
    node.connect()
    yield node
    node.close()


def test_it_is_on_time_and_whole(watcher: Operator) -> None:
    watcher.clear()
    watcher.need(lambda: min(len(watcher.files), len(watcher.pictures), len(watcher.states)) >= 12, "no pictures")
    late_s = (watcher.get_clock().now().nanoseconds - stamp_ns(watcher.states[-1])) / S
    assert 0 < late_s < 5.0, "the machine's time"
    for kept, period_ns in ((watcher.states, 10 * MS), (watcher.pictures, FRAME_NS), (watcher.files, FRAME_NS)):
        assert set(np.diff([stamp_ns(message) for message in kept])) == {period_ns}
    files = {stamp_ns(message): message for message in watcher.files}
    both = [(message, files[stamp_ns(message)]) for message in watcher.pictures if stamp_ns(message) in files]
    assert len(both) > 5
    for message, file in both:
        assert (message.width, message.header.frame_id, file.header.frame_id) == (128, "camera", "camera")
        assert file.format == "rgb8; png compressed bgr8"
        np.testing.assert_array_equal(decode_compressed(file.format, file.data), pixels_of(message))
    assert [message.data for message in watcher.descriptions] == [panda.description()]
    published = dict(watcher.get_publisher_names_and_types_by_node("panda_sim", "/own"))
    assert "/own/joint_states" in published and "/clock" not in published, "the time is not its own"


def test_a_goal_is_drawn_and_reached(watcher: Operator) -> None:
    watcher.clear()
    said = watcher.call("draw_goal")
    place = place_in(said)
    watcher.need(lambda: bool(watcher.goals and watcher.distances and watcher.pictures and watcher.states), "no goal")
    away_m = float(re.findall(r"the goal is ([\d.]+) m from the tip", said)[0])
    assert away_m >= 0.3 and abs(np.linalg.norm(place - tip_of(watcher.states[-1])) - away_m) < 2e-3
    assert abs(watcher.distances[0].data - away_m) < 1e-3
    goal = pixels_of(watcher.goals[0]).astype(int)
    assert np.abs(goal - pixels_of(watcher.pictures[-1])).mean() > 1
    begin = watcher.states[-1]
    halfway, there = ((np.array(begin.position[:7]) + panda.joints_for(place)) / 2, panda.joints_for(place))
    watcher.commands.publish(trajectory_message(stamp_ns(begin), (0.5, halfway), (1.2, there)))
    watcher.need(lambda: watcher.distances[-1].data < 2e-3, "it was not reached")
    watcher.settle(0.5)
    assert np.abs(goal - pixels_of(watcher.pictures[-1])).mean() < 0.3
    reached_s = next(m for m in watcher.states if np.linalg.norm(tip_of(m) - place) < 0.01)
    assert 1.0 < (stamp_ns(reached_s) - stamp_ns(begin)) / S < 3.0, "no sooner than the trajectory says"
    late = Operator("own", JointTrajectory)
    try:
        late.need(lambda: bool(late.goals), "the goal is there for who comes later")
        assert late.goals[0] == watcher.goals[0]
    finally:
        late.close()


def test_a_reset_is_an_episode_anew_after_a_gap(watcher: Operator) -> None:
    assert watcher.set(episode=5, variation="fixed") == [(True, "")] * 2
    watcher.clear()
    watcher.need(lambda: bool(watcher.states), "no joints")
    said = watcher.call("reset")
    assert said.startswith("episode 5 of seed 3, fixed: the tip at [")
    watcher.need(lambda: stamp_ns(watcher.states[-1]) - stamp_ns(watcher.states[0]) > GAP_NS, "no episode anew")
    new_ns = stamp_ns(watcher.states[-1])
    watcher.need(lambda: any(stamp_ns(message) >= new_ns for message in watcher.pictures), "no picture of it")
    gaps = np.diff([stamp_ns(message) for message in watcher.states])
    assert sorted(gaps)[-2:] == [10 * MS, GAP_NS]
    (fifth,) = simulate(World(seed=3, frames=2, size=128, variation="fixed"), [5])
    np.testing.assert_array_equal(pixels_of(watcher.pictures[-1]), fifth.pictures[0])
    np.testing.assert_array_equal(watcher.states[-1].position[:7], fifth.joints[0])


def test_a_stamp_of_zero_is_one_of_now(own: PandaSim, watcher: Operator) -> None:
    watcher.need(lambda: bool(watcher.states), "no joints")
    joints = np.array(watcher.states[-1].position[:7])
    for _ in range(3):
        watcher.commands.publish(trajectory_message(0, (0.0, joints + 0.05)))
    watcher.need(lambda: np.abs(np.array(watcher.states[-1].position[:7]) - joints).max() > 0.02, "it does not move")
    assert own.log.count("no_stamp") == 1
