"""What vjepa_simulate writes: whole bags that are what was simulated, and that replay through the node's streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from support import bags, replays

from vjepa_ros.commands import simulate as command
from vjepa_ros.recordings.windows import read_windows
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.episodes import Episode, simulate
from vjepa_ros.simulation.plan import World

WORLD = World(seed=3, frames=12, size=64, drawn=64)
COUNT = 5
OPTIONS = ("--episodes", COUNT, "--seed", 3, "--frames", 12, "--drawn", 64)
STREAM = {
    "encoding": "tubelet", "hop": 2, "frame_rate": 10.0, "actions.phase": "last", "actions.reduction": "difference",
    "states.source": "commands",
}  # fmt: skip


def run(out: Path, *options: Any) -> int:
    """The command's exit status."""
    return command.main([*map(str, (*OPTIONS, *options)), "-o", str(out)])


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "bag"
    assert run(out) == 0
    return out


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return list(simulate(WORLD, range(COUNT)))


def messages(bag: Path) -> Iterator[tuple[str, int, Any]]:
    """(topic, when it was received, message)."""
    with AnyReader([bag], default_typestore=bags.TYPES) as reader:
        for connection, received_ns, raw in reader.messages():
            yield connection.topic, received_ns, reader.deserialize(raw, connection.msgtype)


def stamp_of(message: Any) -> int:
    return int(message.header.stamp.sec) * bags.S + int(message.header.stamp.nanosec)


def windows(*of: Path, **changes: Any) -> list[Any]:
    """What the node's streams make of recordings."""
    settings = {**STREAM, **{name.replace("__", "."): value for name, value in changes.items()}}
    return list(read_windows(*of, params=replays.PARAMS, settings=settings))


def test_the_messages_are_what_was_simulated(bag: Path, episodes: list[Episode]) -> None:
    found: dict[str, list[tuple[int, Any]]] = {}
    for topic, received_ns, message in messages(bag):
        found.setdefault(topic, []).append((received_ns, message))
    assert set(found) == {"/image", "/joint_states", "/joint_commands", "/robot_description"}
    ((_, described),) = found["/robot_description"]
    assert described.data == panda.description()
    starts = [stamp_of(found["/image"][number * 12][1]) for number in range(COUNT)]
    assert np.diff(starts).tolist() == [1_100_000_000 + 2_000_000_000] * (COUNT - 1)
    pictures, states, commands = (found[f"/{name}"] for name in ("image", "joint_states", "joint_commands"))
    assert (len(pictures), len(states), len(commands)) == (COUNT * 12, COUNT * 23, COUNT * 7)
    for number, (received_ns, message) in enumerate(pictures):
        episode, frame = episodes[number // 12], number % 12
        assert stamp_of(message) == received_ns == starts[number // 12] + episode.frame_stamps[frame]
        assert (message.encoding, message.height, message.width, message.step) == ("rgb8", 64, 64, 192)
        np.testing.assert_array_equal(message.data.reshape(64, 64, 3), episode.pictures[frame])
    for number, (received_ns, message) in enumerate(states):
        episode, tick = episodes[number // 23], number % 23
        assert stamp_of(message) == received_ns == starts[number // 23] + episode.joint_stamps[tick]
        assert message.name == [*panda.JOINTS, *panda.FINGERS]
        np.testing.assert_array_equal(message.position, [*episode.joints[tick], 0.04, 0.04])
    for number, (received_ns, message) in enumerate(commands):
        episode, step = episodes[number // 7], number % 7
        assert stamp_of(message) == starts[number // 7] + episode.command_stamps[step] == received_ns - 1_000_000
        assert message.name == list(panda.JOINTS)
        np.testing.assert_array_equal(message.position, episode.commands[step])


def test_windows_are_steps_of_one_episode(bag: Path, episodes: list[Episode]) -> None:
    """Frames, actions and states of each step as simulated, and every step of every episode."""
    found = windows(bag, num_frames=4)
    assert len(found) == COUNT * 5
    for number, window in enumerate(found):
        episode, first = episodes[number // 5], number % 5
        commands = episode.commands[first : first + 3]
        np.testing.assert_array_equal(window.actions.values, np.diff(commands, axis=0))
        np.testing.assert_array_equal(window.states.values, commands[:2])
        stamps = np.array([frame.stamp_ns for frame in window.frames])
        np.testing.assert_array_equal(np.diff(stamps), np.diff(episode.frame_stamps[2 * first :][:4]))
        exact = windows_clip(episode.pictures[2 * first : 2 * first + 4])
        np.testing.assert_array_equal(window.clip, exact)


def windows_clip(pictures: np.ndarray) -> np.ndarray:
    """(N, 64, 64, 3) -> (1, 3, N, 64, 64), normalised as ImageNet is."""
    mean, std = np.array([0.485, 0.456, 0.406], np.float32) * 255, np.array([0.229, 0.224, 0.225], np.float32) * 255
    scaled = (pictures.astype(np.float32) - mean) / std
    return scaled.transpose(3, 0, 1, 2)[None]


def test_what_one_step_wide_windows_command_adds_up_to_the_whole_motion(bag: Path, episodes: list[Episode]) -> None:
    found = windows(bag, num_frames=2, context_steps=1)
    assert len(found) == COUNT * 6
    for number, episode in enumerate(episodes):
        actions = np.concatenate([window.actions.values for window in found[number * 6 : number * 6 + 6]])
        np.testing.assert_allclose(actions.sum(axis=0), episode.commands[-1] - episode.commands[0], rtol=0, atol=1e-12)
    moving = [np.abs(window.actions.values).max() > 1e-3 for window in found]
    assert np.mean(moving) > 0.5, "there is something to learn"


@pytest.mark.parametrize("source", ["commands", "joint_states", "none"])
def test_other_conventions_read_it_too(bag: Path, episodes: list[Episode], source: str) -> None:
    """Absolute targets, and states that are measured or not there."""
    found = windows(bag, num_frames=2, context_steps=1, actions__reduction="pick", states__source=source)
    assert len(found) == COUNT * 6
    for number, window in enumerate(found):
        episode, step = episodes[number // 6], number % 6
        np.testing.assert_array_equal(window.actions.values[0], episode.commands[step + 1])
        expected = {"commands": episode.commands[step], "joint_states": episode.joints[4 * step + 2], "none": None}
        if expected[source] is not None:
            np.testing.assert_array_equal(window.states.values[0], expected[source])


def test_it_replays_through_the_model(bag: Path, episodes: list[Episode], tmp_path: Path) -> None:
    settings = [f"{name}={value}" for name, value in STREAM.items()]
    assert (
        replays.run(bag, "-o", tmp_path / "out", "--dump", "--set", *settings, "num_frames=4", "latents.horizon=2") == 0
    )
    report = replays.report(tmp_path / "out")
    counts = report["counts"]
    assert (counts["windows"], counts["late"], counts["windows_skipped"], counts["gaps"]) == (
        COUNT * 5,
        0,
        0,
        COUNT - 1,
    )
    assert report["incomplete"] == [] and counts["frames_out_of_order"] == 0
    lines = replays.lines(tmp_path / "out" / "windows.jsonl")
    for number, line in enumerate(lines):
        commands = episodes[number // 5].commands[number % 5 :][:3]
        np.testing.assert_array_equal(line["actions"], np.diff(commands, axis=0))
    assert len({topic for topic, _, _ in messages(tmp_path / "out")}) == 3


def test_several_bags_have_the_same_episodes_and_follow_each_other(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "several"
    assert run(out, "--bags", 2) == 0
    assert capsys.readouterr().out.startswith(f"{out}: {COUNT} episodes in 2 bags, 60 frames (")
    assert sorted(path.name for path in out.iterdir()) == ["0", "1", "simulation.json"]
    one = windows(bag, num_frames=4)
    apart = [windows(out / name, num_frames=4) for name in ("0", "1")]
    assert [len(found) for found in apart] == [15, 10]
    for together in (windows(out / "0", out / "1", num_frames=4), [*apart[0], *apart[1]]):
        for window, other in zip(one, together, strict=True):
            assert window.step_stamps_ns == other.step_stamps_ns
            np.testing.assert_array_equal(window.clip, other.clip)
            np.testing.assert_array_equal(window.actions.values, other.actions.values)
    about = json.loads((out / "simulation.json").read_text())
    assert (about["seed"], about["episodes"], about["bags"], about["variation"]) == (3, COUNT, 2, "varied")
    assert sum(about["motions"].values()) == COUNT


def test_the_same_seed_gives_the_same_bytes(bag: Path, tmp_path: Path) -> None:
    for seed, same in ((3, True), (4, False)):
        out = tmp_path / str(seed) / "bag"
        out.parent.mkdir()
        assert run(out, "--seed", seed) == 0
        assert ((out / "bag.mcap").read_bytes() == (bag / "bag.mcap").read_bytes()) == same
    assert (tmp_path / "3" / "bag" / "metadata.yaml").read_bytes() == (bag / "metadata.yaml").read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--episodes", 0), "--episodes: must be a whole number from 1 to 1,000,000, not 0"),
        (("--frames", 5), "--frames: 5 are no whole number of steps of 2"),
        (("--bags", 9), "--bags: 9 bags are more than there are episodes, 5"),
        (("--seed", -1), "--seed: must be a whole number from 0 to 4,294,967,295, not -1"),
        (("--size", 4), "--size: must be a whole number from 16 to 1,024, not 4"),
        (("--drawn", 32), "--drawn: must be a whole number from 64 to 1,024, not 32"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[Any, ...], said: str
) -> None:
    assert run(tmp_path / "out", *options) == 1
    assert capsys.readouterr().err == f"vjepa_simulate: {said}\n"
    assert not (tmp_path / "out").exists()


def test_a_killed_run_leaves_no_recording_and_the_next_one_clears_up(tmp_path: Path) -> None:
    out = tmp_path / "bag"
    arguments = [sys.executable, "-m", "vjepa_ros.commands.simulate", "--episodes", "5000", "--drawn", "64", "-o", out]
    for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("bag.vjepa_simulate/new/bag/*.mcap")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, number)
        said = process.communicate(timeout=60)[1]
        assert process.returncode == status and "Traceback" not in said
        assert not out.exists()
    assert run(out) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]
