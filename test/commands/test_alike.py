"""Every command answers in the same way: settings, messages, exit status, and a quick --help."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support import bags, conversions, replays

from vjepa_ros import conversion
from vjepa_ros.commands import terminal
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.config.table import BY_NAME
from vjepa_ros.probe import probing
from vjepa_ros.replay.run import Run

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    path.stem for path in (ROOT / "vjepa_ros" / "commands").glob("*.py") if "\ndef main(" in path.read_text()
)
SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 2 * bags.S]
HEAVY = {"cv2", "matplotlib", "numpy", "rclpy", "rich", "rosbags", "safetensors", "torch", "yaml"}
STD = "[1e-3, 2, 1.5, .5, 1e0, 3, 1]"


@dataclass(frozen=True)
class Command:
    """One of them, with arguments that it does its work with.

    Attributes:
        name: of its file.
        inputs: what is read; the first is what may be unreadable.
        out: what is written.
        options: what else it needs.
        others: what appears beside ``out``.
        work: what it calls in the middle of its work: an object, and the name of a function of it.
        parameters: those that it worked with, from what it has written.
    """

    name: str
    inputs: list[str]
    out: Path
    options: list[str]
    work: tuple[Any, str]
    parameters: Callable[[Path], dict[str, Any]]
    others: list[str] = field(default_factory=list)

    @property
    def tool(self) -> str:
        return f"vjepa_{self.name}"

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"vjepa_ros.commands.{self.name}")

    def run(self, *more: str, inputs: list[str] | None = None) -> int:
        """The exit status with further arguments."""
        status: int = self.module.main([*(inputs or self.inputs), *self.options, *more])
        return status

    @property
    def written(self) -> list[str]:
        """What lies in the folder of the output."""
        return sorted(path.name for path in self.out.parent.iterdir())


def reading(name: str, folder: Path, bag: Path, work: tuple[Any, str], report: str, *options: str) -> Command:
    """A command that reads a recording."""
    out = folder / "out"
    common = ["--params", str(replays.PARAMS), "-o", str(out), *replays.ONE_THREAD]
    parameters = lambda path: json.loads((path / report).read_text())["parameters"]  # noqa: E731
    return Command(name, [str(bag)], out, [*common, *options], work, parameters)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two seconds of the sample bag."""
    return bags.write(tmp_path_factory.mktemp("short") / "bag", SHORT)


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest, tmp_path: Path, bag: Path) -> Iterator[Command]:
    folder = tmp_path / "folder"
    folder.mkdir()
    if request.param == "replay":
        yield reading("replay", folder, bag, (Run, "finish"), "report.json", "--windows-only")
    elif request.param == "probe":
        few = ("--points", "3", "--windows", "1", "--no-picture")
        yield reading("probe", folder, bag, (probing, "survey"), "probe.json", *few)
    else:
        assert request.param == "convert", "a new command needs its arguments here"
        out = folder / "small.safetensors"
        yield Command(
            "convert", [str(conversions.CHECKPOINT), str(out)], out,
            ["--preset", conversions.written_preset(tmp_path)], (conversion, "write_safetensors"),
            lambda path: Sidecar.next_to(path).normalization, ["small.json"],
        )  # fmt: skip


def sentence(command: Command, capsys: pytest.CaptureFixture[str]) -> str:
    """The last thing it said, on stderr; nothing stands on stdout, and no part of the library's names."""
    said = capsys.readouterr()
    assert said.out == ""
    last = said.err.splitlines()[-1]
    assert last.startswith(f"{command.tool}: ") and "Traceback" not in said.err and "`" not in last
    return last.removeprefix(f"{command.tool}: ")


def test_done(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
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
    command: Command, capsys: pytest.CaptureFixture[str], settings: list[str], said: str
) -> None:
    assert command.run("--set", *settings) == terminal.FAILED == 1
    assert sentence(command, capsys).startswith(said)
    assert command.written == []


def test_an_unknown_preset_is_refused_with_those_that_there_are(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    option = ["--preset", "nope"] if "--preset" in command.options else ["--set", "preset=nope"]
    assert command.run(*option) == 1
    assert sentence(command, capsys).removeprefix("--").startswith("preset: 'nope' is not one of tiny, vitg, ")
    assert command.written == []


def test_what_cannot_be_read_is_refused(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, broken = tmp_path / "missing.mcap", tmp_path / "broken.mcap"
    broken.write_text("nothing of the kind")
    for path in (missing, broken):
        assert command.run(inputs=[str(path), *command.inputs[1:]]) == 1
        assert sentence(command, capsys).startswith(f"{path}: ")
    assert command.written == []


def test_an_output_that_is_there_is_kept_unless_forced(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    command.out.write_text("precious")
    assert command.run() == 1
    assert sentence(command, capsys) == f"{command.out}: is there already; --force replaces it"
    assert command.written == [command.out.name] and command.out.read_text() == "precious"
    assert command.run("--force") == 0
    assert command.written == sorted([command.out.name, *command.others])


def test_an_interrupt_leaves_nothing(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(*command.work, interrupted)
    assert command.run() == terminal.INTERRUPTED == 130
    assert sentence(command, capsys) == "interrupted; nothing was written"
    assert command.written == []


def test_a_disk_that_fails_is_named(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28), "/the/place")

    monkeypatch.setattr(*command.work, fails)
    assert command.run() == 1
    assert sentence(command, capsys) == "/the/place: No space left on device; nothing was written"
    assert command.written == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--such"], "unrecognized arguments: --such"),
        (["--set"], "argument --set: expected one argument"),
        (["--set", "hop"], "argument --set: 'hop' is not parameter=value"),
        (["--set", "hop=["], "argument --set: '[' cannot be read as a value of hop"),
        (["--set", "=4"], "argument --set: '=4' is not parameter=value"),
        (["--fo"], "unrecognized arguments: --fo"),
        (None, "the following arguments are required: "),
    ],
)
def test_wrong_arguments(
    command: Command, capsys: pytest.CaptureFixture[str], more: list[str] | None, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.module.main([]) if more is None else command.run(*more)
    assert ended.value.code == terminal.WRONG_ARGUMENTS == 2
    errors = capsys.readouterr().err
    assert errors.startswith("usage: ") and f"\n{command.tool}: error: {said}" in errors
    assert command.written == []


def test_settings_stand_anywhere_and_the_last_one_counts(command: Command) -> None:
    order = ["--set", f"actions.std={STD}", "actions.mean=[1, 1, 1, 1, 1, 1, 1]", *command.inputs, *command.options]
    assert command.module.main([*order, "--set", f"actions.mean={STD}"]) == 0
    found = command.parameters(command.out)
    assert found["actions.std"] == found["actions.mean"] == [0.001, 2.0, 1.5, 0.5, 1.0, 3.0, 1.0]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_comes_before_anything_heavy_is_imported(name: str) -> None:
    code = f"""
import sys
from vjepa_ros.commands import {name}
try:
    {name}.main(["--help"])
finally:
    print({HEAVY!r} & set(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "set()\n")
    assert done.stdout.startswith(f"usage: vjepa_{name} ")
    said = " ".join(done.stdout.split())
    statuses = {0: "done,", 1: "refused", 2: "wrong arguments,", 3: "done, but", 130: "interrupted"}
    assert all(f"{status} {meaning}" in said for status, meaning in statuses.items())
    as_module = [sys.executable, "-m", f"vjepa_ros.commands.{name}", "--help"]
    assert subprocess.run(as_module, capture_output=True, text=True, timeout=60).stdout == done.stdout


def test_a_field_is_not_taken_for_a_parameter() -> None:
    """Where both have a name, it is a matter of --set; of the recording's commands none has."""
    shared = {}
    for name in COMMANDS:
        parser = importlib.import_module(f"vjepa_ros.commands.{name}").parser()
        shared[name] = {action.dest for action in parser._actions} & set(BY_NAME)
    assert shared == {
        "convert": {"checkpoint", "dtype", "predictor_checkpoint", "preset"},
        "probe": set(),
        "replay": set(),
    }


def test_the_library_knows_no_options() -> None:
    """Its messages name fields; the options that people read in their place are tested with each message."""
    package = ROOT / "vjepa_ros"
    options = []
    for file in package.rglob("*.py"):
        if file.parent.name != "commands" and file != package / "ros" / "main.py":  # that of the node is one too
            texts = [node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)]
            options += [(file.name, text) for text in texts if isinstance(text, str) and re.search(r"--[a-z]", text)]
    assert options == []


def test_fields_become_options_and_nothing_else_does() -> None:
    parser = importlib.import_module("vjepa_ros.commands.probe").parser()
    given = parser.parsed(["/force/bag", "-o", "out", "--set", "hop=2"])
    said = terminal.Terminal("tool", parser.options(given)).translated
    assert said("/force/out: is there; `force` replaces it") == "/force/out: is there; --force replaces it"
    assert said("`spans`, `draws`, `topics.joint_states`, `bags`") == "--span, --no-picture, --joint-states, BAG"
    assert said("set `random_predictor`, not force or dims") == "set `random_predictor`, not force or dims"


def test_the_page_has_the_exit_statuses_and_the_commands() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    statuses = ("DONE", "FAILED", "WRONG_ARGUMENTS", "INCOMPLETE", "INTERRUPTED")
    for name in statuses:
        assert f"\n| {getattr(terminal, name)} | " in page
    assert page.count("\n| ") == 2 * 1 + len(statuses) + len(COMMANDS), "a row each, and two heads"
    for name in COMMANDS:
        assert f"\n| [`vjepa_{name}`](" in page
