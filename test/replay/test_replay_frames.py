"""Frames that are encoded alone by an encoder of V-JEPA 2.1, not repeated, replayed; and steps of a second and more."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from support import bags, replays

SAMPLE = bags.sample()
FRAMES = ("encoder_family=vjepa2_1", "num_frames=8", "context_steps=7", "frame_rate=4", "hop=1")


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of the sample."""
    messages = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 4 * bags.S]
    return bags.write(tmp_path_factory.mktemp("short") / "bag", messages)


def test_frame_is_replayed_as_frame_repeat_is(short: Path, tmp_path: Path) -> None:
    """The same windows, and other latents: of the other tokenizer. A second run gives the same bits."""
    reports = {}
    for name, encoding in (("frame", "frame"), ("again", "frame"), ("repeated", "frame_repeat")):
        out = tmp_path / name
        assert replays.run(short, "-o", out, "--set", *FRAMES, f"encoding={encoding}") == 0
        reports[name] = replays.report(out)
    first, again, repeated = (reports[name]["sha256"] for name in ("frame", "again", "repeated"))
    assert reports["frame"]["counts"]["windows"] > 3
    assert first == again
    assert {key for key in first if first[key] != repeated[key]} == {"latents"}


def test_other_encoders_refuse_it(short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replays.run(short, "-o", tmp_path / "out", "--set", "encoding=frame", "hop=1") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "encoding: frame needs an encoder with a tokenizer for single images, as those of V-JEPA 2.1 have" in said


def test_a_step_may_take_more_than_a_second(tmp_path: Path) -> None:
    """The rate at which V-JEPA 2-AC may have been trained: eight frames over 7.4 s."""
    bag, dump = bags.write(tmp_path / "bag", SAMPLE), tmp_path / "windows.jsonl"
    settings = ("encoding=frame_repeat", "num_frames=8", "context_steps=7", "frame_rate=0.94", "hop=1")
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only", "--dump", dump, "--set", *settings) == 0
    windows = replays.lines(dump)
    assert len(windows) >= 3
    for window in windows:
        stamps_s = np.array(window["frame_stamps"]) / 1e9
        assert stamps_s[-1] - stamps_s[0] == pytest.approx(7 / 0.94, abs=0.051)
        assert np.diff(stamps_s) == pytest.approx(1 / 0.94, abs=0.051), "a camera of 20 Hz is 25 ms off at most"
        assert window["step_stamps"] == window["frame_stamps"]
    ends = [window["frame_stamps"][-1] for window in windows]
    assert all(0.9e9 < later - earlier < 1.2e9 for earlier, later in itertools.pairwise(ends))
