"""The same bag live through the node and offline through vjepa_replay: the same windows, actions and latents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import bags, recorded, replays
from support.fault_feed import MODEL, STREAM
from support.harness import Predictor, Robot
from support.playing import IMAGE, MAX_WAIT_S, play

from vjepa_ros import latents
from vjepa_ros.replay.digest import Digest

SHORT_S = 4.0  # of the sample bag, for what need not last

Worsen = Callable[[list[bags.Message]], list[bags.Message]]


def short(worsen: Worsen) -> Worsen:
    """The same done to the beginning of the recording."""

    def shorter(messages: list[bags.Message]) -> list[bags.Message]:
        end_ns = messages[0].received_ns + SHORT_S * bags.S
        return worsen([message for message in messages if message.received_ns < end_ns])

    return shorter


def written(folder: Path, messages: list[bags.Message]) -> Path:
    """A bag whose camera is where the node listens."""
    return bags.write(folder, [m._replace(topic=IMAGE) if m.topic == recorded.CAMERA else m for m in messages])


def lost_to_jumps(robot: Robot) -> tuple[int, int]:
    """Windows that a jump found waiting for their commands, and for the model, by a report from now on."""
    robot.diagnostics.clear()
    assert robot.spin(lambda: {STREAM, MODEL} <= robot.diagnostics.keys())
    return int(robot.diagnostics[STREAM]["windows_reset"]), int(robot.diagnostics[MODEL]["outdated"])


# Each case: what is done to the recording, and how often it is then played.
@pytest.mark.parametrize(
    ("worsen", "turns"),
    [
        pytest.param(bags.unchanged, 1, id="unchanged"),
        pytest.param(short(bags.jitter), 1, id="jitter"),
        pytest.param(short(bags.reordering), 1, id="reordering"),
        pytest.param(bags.drop_outs, 1, id="drop_outs"),
        pytest.param(bags.stall, 1, id="stall"),
        pytest.param(short(bags.unchanged), 2, id="loop"),
    ],
)
def test_live_equals_offline(predictor: Predictor, robot: Robot, tmp_path: Path, worsen: Worsen, turns: int) -> None:
    """A bag that is played twice is, offline, one whose stamps jump back in the middle."""
    turn = [m for m in worsen(bags.sample()) if m.topic in bags.TOPICS]
    messages = bags.loop(turn) if turns == 2 else turn
    wait = ("--set", f"actions.max_wait_s={MAX_WAIT_S}")
    assert replays.run(written(tmp_path / "bag", messages), "-o", tmp_path / "out", *wait) == 0
    offline = replays.report(tmp_path / "out")
    want = replays.expected(bags.write(tmp_path / "as_recorded", messages), MAX_WAIT_S)
    hashes = replays.digest(want)
    assert {name: offline["sha256"][name] for name in hashes} == hashes
    assert {window["epoch"] for window in want} == set(range(turns))

    robot.start(image_transport="compressed", actions__max_wait_s=MAX_WAIT_S)
    one_turn = written(tmp_path / "turn", turn)
    for number in range(turns):
        # The next turn begins when the windows of the one before are there: a frame of the new time that overtook the
        # last commands of the old one would end the windows that still wait for them.
        play(robot, one_turn, sum(window["epoch"] <= number for window in want))
    assert [window["late"] for window in robot.windows] == [0] * len(want)
    assert (offline["counts"]["windows_reset"], *lost_to_jumps(robot)) == (0, 0, 0)
    replays.assert_equal(robot.windows, want)
    assert replays.digest(robot.windows) == hashes
    seen = Digest()
    for message in robot.predicted:
        seen.add_latents(latents.read(message, robot.info).array)
    assert robot.info["info_id"] == offline["info_id"]
    assert seen.hexadecimal()["latents"] == offline["sha256"]["latents"]
    assert np.isfinite(latents.read(robot.predicted[-1], robot.info).array).all()


def test_a_loop_without_a_pause_is_offline_less_what_the_jump_found_waiting(
    predictor: Predictor, robot: Robot, tmp_path: Path
) -> None:
    """Two processes decide whether the last windows of a turn are out when the next one begins; others are counted."""
    messages = bags.loop([m for m in short(bags.unchanged)(bags.sample()) if m.topic in bags.TOPICS])
    bag = written(tmp_path / "bag", messages)
    wait = ("--set", f"actions.max_wait_s={MAX_WAIT_S}")
    dump = ("--dump", tmp_path / "dump", "--windows-only")
    assert replays.run(bag, "-o", tmp_path / "out", *dump, *wait) == 0
    want, counts = replays.lines(tmp_path / "dump"), replays.report(tmp_path / "out")["counts"]
    assert (counts["windows_reset"], counts["resets"], len(want)) == (0, 1, counts["windows"])

    robot.start(image_transport="compressed", actions__max_wait_s=MAX_WAIT_S)
    play(robot, bag, 0)
    assert robot.spin(lambda: len(robot.windows) + sum(lost_to_jumps(robot)) == len(want))
    lost = sum(lost_to_jumps(robot))
    print(f"{lost} of {len(want)} windows were waiting at the jump")
    assert [window["late"] for window in robot.windows] == [0] * len(robot.windows)
    came = {(window["epoch"], window["window"]) for window in robot.windows}
    first_turn = sum(window["epoch"] == 0 for window in want)
    numbered = [
        ((window["epoch"], number if window["epoch"] == 0 else number - first_turn), window)
        for number, window in enumerate(want)
    ]
    missing = [key for key, _ in numbered if key not in came]
    assert missing == [(0, first_turn - lost + number) for number in range(lost)], "the last ones of the first turn"
    replays.assert_equal(robot.windows, [window for key, window in numbered if key in came])
