"""Every command that has settings takes them in the same way."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import COMMANDS, TUNED, WRITING, Command, called, sentence, short, wrong

from vjepa_ros import preset_names
from vjepa_ros.commands import terminal

STD = "[1e-3, 2, 1.5, .5, 1e0, 3, 1]"


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short(tmp_path_factory.mktemp("short") / "bag")


@pytest.fixture(params=[name for name in TUNED if name in WRITING])
def tuned(request: pytest.FixtureRequest, tmp_path: Path, bag: Path) -> Iterator[Command]:
    yield from called(request.param, tmp_path, bag)


def test_which_commands_have_settings() -> None:
    has = lambda name: "--set" in importlib.import_module(f"vjepa_ros.commands.{name}").parser().format_help()  # noqa: E731
    assert [name for name in COMMANDS if has(name)] == TUNED


def test_done_with_a_setting(tuned: Command, capsys: pytest.CaptureFixture[str]) -> None:
    command = tuned
    assert command.run("--set", f"actions.std={STD}") == terminal.DONE == 0
    assert capsys.readouterr().out.strip()
    assert command.written == sorted([command.out.name, *command.others])
    assert command.parameters(command.out)["actions.std"] == [0.001, 2.0, 1.5, 0.5, 1.0, 3.0, 1.0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["preset=nope"], "preset: "),
        (["hops=2"], "hops: there is no such parameter"),
        (["actions.phase=middle"], "actions.phase: 'middle' is not one of first, last"),
        (["actions.std=[1e-3, 2]"], "actions.std: "),
        (["actions.std=[0, 1, 1, 1, 1, 1, 1]"], "actions.std: "),
        (["num_frames=many"], "num_frames: "),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(
    tuned: Command, capsys: pytest.CaptureFixture[str], settings: list[str], said: str
) -> None:
    assert tuned.run("--set", *settings) == terminal.FAILED == 1
    assert sentence(tuned, capsys).startswith(said)
    assert tuned.written == []


def test_an_unknown_preset_is_refused_with_those_that_there_are(
    tuned: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    option = ["--preset", "nope"] if "--preset" in tuned.options else ["--set", "preset=nope"]
    assert tuned.run(*option) == 1
    said = f"preset: 'nope' is not one of {', '.join(preset_names())}, "
    assert sentence(tuned, capsys).removeprefix("--").startswith(said)
    assert tuned.written == []


def test_what_cannot_be_read_is_refused(tuned: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, broken = tmp_path / "missing.mcap", tmp_path / "broken.mcap"
    broken.write_text("nothing of the kind")
    for path in (missing, broken):
        assert tuned.run(inputs=[str(path), *tuned.inputs[1:]]) == 1
        assert sentence(tuned, capsys).startswith(f"{path}: ")
        assert tuned.written in ([], tuned.left)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set"], "argument --set: expected one argument"),
        (["--set", "hop"], "argument --set: 'hop' is not parameter=value"),
        (["--set", "hop=["], "argument --set: '[' cannot be read as a value of hop"),
        (["--set", "=4"], "argument --set: '=4' is not parameter=value"),
    ],
)
def test_wrong_settings(tuned: Command, capsys: pytest.CaptureFixture[str], more: list[str], said: str) -> None:
    wrong(tuned, capsys, more, said)


def test_settings_stand_anywhere_and_the_last_one_counts(tuned: Command) -> None:
    order = ["--set", f"actions.std={STD}", "actions.mean=[1, 1, 1, 1, 1, 1, 1]", *tuned.inputs, *tuned.options]
    assert tuned.module.main([*order, "--set", f"actions.mean={STD}"]) == 0
    found = tuned.parameters(tuned.out)
    assert found["actions.std"] == found["actions.mean"] == [0.001, 2.0, 1.5, 0.5, 1.0, 3.0, 1.0]
