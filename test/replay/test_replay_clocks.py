"""Recordings whose stamps are not what they should be: said, counted, and in the last line of a replay."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support import bags, recorded, replays

from vjepa_ros.recordings.windows import read_windows

SAMPLE = bags.sample()
Messages = list[bags.Message]


def replayed(
    folder: Path, change: Callable[[bags.Message, int], bags.Message], capsys: pytest.CaptureFixture[str]
) -> tuple[str, str, dict[str, object]]:
    """(what was said, the line about windows, the counts) of the sample bag with each message changed."""
    numbers = dict.fromkeys(bags.TOPICS, -1)
    messages = []
    for message in SAMPLE:
        if message.topic in numbers:
            numbers[message.topic] += 1
            message = change(message, numbers[message.topic])
        messages.append(message)
    bag = bags.write(folder / "bag", messages)
    capsys.readouterr()
    assert replays.run(bag, "-o", folder / "out", "--windows-only") == 0
    out, said = capsys.readouterr()
    (line,) = (line for line in out.splitlines() if " windows of " in line)
    return said, line, replays.report(folder / "out")["counts"]


def frames_stamped(stamp_ns: Callable[[int, int], int]) -> Callable[[bags.Message, int], bags.Message]:
    """The camera's stamps, by the true one and the frame's number."""
    return lambda m, number: m._replace(stamp_ns=stamp_ns(m.stamp_ns, number)) if m.topic == recorded.CAMERA else m


def test_a_good_recording_is_not_spoken_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said, line, counts = replayed(tmp_path, lambda m, _: m, capsys)
    assert "clock" not in said and "stamp" not in said and "alternate" not in said
    assert line.endswith("rejected 0, 0 of 241 frames dropped for their stamps")
    assert counts["windows"] == 113 and counts["frames_repeated"] == 0


@pytest.mark.parametrize(
    ("stamp_ns", "words", "repeated"),
    [
        (lambda ns, _: ns // bags.S * bags.S, ("whole seconds",), True),
        (lambda ns, number: ns - number % 4 * 50 * bags.MS, ("with the very stamp of the one before",), True),
        (lambda ns, number: SAMPLE[0].stamp_ns + 7, ("have one stamp", "does not stamp each message anew"), True),
        (lambda ns, number: ns + (number % 2) * 120 * bags.MS, ("back and forth", "by up to 0.070 s"), False),
    ],
    ids=["whole seconds", "every stamp four times", "frozen", "back and forth"],
)
def test_frames_that_are_dropped_for_their_stamps_are_counted_where_people_look(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stamp_ns: Callable[..., int],
    words: tuple[str, ...],
    repeated: bool,
) -> None:
    said, line, counts = replayed(tmp_path, frames_stamped(stamp_ns), capsys)
    assert all(word in said for word in words), said
    dropped = counts["frames_out_of_order"]
    assert isinstance(dropped, int) and dropped > 100
    assert f"{recorded.CAMERA}: out_of_order: {dropped} of 241 frames dropped" in said
    assert f"{dropped} of 241 frames dropped for their stamps" in line
    assert ("repeat the one before" in line) == repeated


@pytest.mark.parametrize(
    ("away_s", "words"),
    [
        (-SAMPLE[0].stamp_ns / bags.S + 20.0, ("behind the recorder's clock", "simulation", "use_sim_time: true")),
        (-3600.0, ("3600.0", "behind the recorder's clock", "local time")),
        (86400.0 * 30, ("30.0 days", "ahead of the recorder's clock")),
    ],
)
def test_stamps_of_another_clock_than_the_recorders_are_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], away_s: float, words: tuple[str, ...]
) -> None:
    """All streams alike: the windows are right."""
    away_ns = round(away_s) * bags.S
    said, _, counts = replayed(tmp_path, lambda m, _: m._replace(stamp_ns=m.stamp_ns + away_ns), capsys)
    assert counts["windows"] == 113
    assert said.count("far_clock") == 1 and all(word in said for word in words), said
    assert "windows are right" in said and "time.offset_s" not in said


def test_frames_of_two_cameras_on_one_topic_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def alternate(message: bags.Message, number: int) -> bags.Message:
        if message.topic == recorded.CAMERA:
            message.data.header.frame_id = ("left", "right")[number % 2]
        return message

    try:
        said, _, counts = replayed(tmp_path, alternate, capsys)
    finally:
        SAMPLE[:] = bags.sample()
    assert counts["windows"] == 113
    assert (
        "frame_id goes back and forth between 'right'" in said or "frame_id goes back and forth between 'left'" in said
    )
    assert "more than one camera" in said


def test_a_jump_back_is_named_by_its_stamps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = bags.write(tmp_path / "bag", bags.loop(SAMPLE))
    capsys.readouterr()
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 0
    out, said = capsys.readouterr()
    assert re.search(
        rf"{recorded.CAMERA}: time_jumped_back: from \d+\.\d{{9}} to \d+\.\d{{9}}, \d+\.\d{{3}} s back", said
    )
    assert "resets 1" in out


def test_who_reads_windows_in_python_hears_it_too(tmp_path: Path) -> None:
    said: list[str] = []
    messages = [m._replace(stamp_ns=m.stamp_ns // bags.S * bags.S) if m.topic == recorded.CAMERA else m for m in SAMPLE]
    parameters = tmp_path / "p.yaml"
    text = replays.PARAMS.read_text(encoding="utf-8") + "\n    action:\n      timeout_s: 1.0\n"
    parameters.write_text(text, encoding="utf-8")
    list(read_windows(bags.write(tmp_path / "bag", messages), params=str(parameters), say=said.append))
    assert any("out_of_order" in sentence and "whole seconds" in sentence for sentence in said)
    assert any("'action.timeout_s': it is ignored; did you mean actions.timeout_s?" in sentence for sentence in said)
