"""The command line of vjepa_replay: where bags and settings stand, and how values are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import bags, replays

from vjepa_ros.commands import replay

SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 2 * bags.S]


def test_settings_stand_before_or_behind_the_bags(tmp_path: Path) -> None:
    bag = str(bags.write(tmp_path / "bag", SHORT))
    orders = (
        ["--set", "threads=1", "hop=4", bag, "-o", "{}"],
        ["-o", "{}", "--set", "threads=1", "hop=4", "--windows-only", bag],
        [bag, "-o", "{}", "--set", "threads=1", "hop=4"],
        ["--set", "threads=1", bag, "-o", "{}", "--set", "hop=4"],
        ["--set=threads=1", "hop=4", "-o", "{}", "--", bag],
    )
    for number, order in enumerate(orders):
        out = tmp_path / f"out{number}"
        arguments = [str(out) if word == "{}" else word for word in order]
        assert replay.main([*arguments, "--windows-only", "--params", str(replays.PARAMS)]) == 0
        report = replays.report(out)
        assert report["bags"] == [bag]
        assert (report["parameters"]["threads"], report["parameters"]["hop"]) == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--set", "hop=4"], "the following arguments are required: BAG"),
        ([], "the following arguments are required: BAG"),
        (["bag", "--set", "hop=["], "argument --set: '[' cannot be read as a value of hop"),
        (["bag", "--set=4"], "argument --set: '4' is not parameter=value"),
        (["bag", "--set"], "argument --set: expected one argument"),
        (["bag", "--windows"], "unrecognized arguments: --windows"),
        (["bag", "--set", "hop"], "argument --set: 'hop' is not parameter=value"),
    ],
)
def test_wrong_arguments_are_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], why: str) -> None:
    with pytest.raises(SystemExit) as ended:
        replay.main([*arguments, "-o", "out"])
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


def test_values_that_yaml_takes_for_something_else(tmp_path: Path) -> None:
    """Nothing at all is an empty text, and 1e1 a number."""
    values = (
        "checkpoint=",
        "frame_rate=1e1",
        "view.roi=[0, 0, 64, 64]",
        "actions.scale=[1e0, 1, 1, 1, 1, 1, 1]",
    )
    bag = bags.write(tmp_path / "bag", SHORT)
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only", "--set", *values) == 0
    parameters = replays.report(tmp_path / "out")["parameters"]
    assert (parameters["checkpoint"], parameters["frame_rate"], parameters["view.roi"]) == ("", 10.0, [0, 0, 64, 64])
