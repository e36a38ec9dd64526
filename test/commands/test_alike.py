"""Every command answers in the same way: messages, exit status, and a quick --help; settings are in test_settings."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import COMMANDS, ROOT, WRITING, Command, called, sentence, short, wrong

from vjepa_ros.commands import terminal
from vjepa_ros.config.table import BY_NAME

HEAVY = {
    "av",
    "cv2",
    "faiss",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "ray",
    "rclpy",
    "rich",
    "rosbags",
    "safetensors",
    "torch",
    "yaml",
}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short(tmp_path_factory.mktemp("short") / "bag")


@pytest.fixture(params=WRITING)
def command(request: pytest.FixtureRequest, tmp_path: Path, bag: Path) -> Iterator[Command]:
    yield from called(request.param, tmp_path, bag)


def test_done(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run() == terminal.DONE == 0
    assert capsys.readouterr().out.strip()
    assert command.written == sorted([command.out.name, *command.others])


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

    where, name = command.work
    monkeypatch.setattr(where, name, interrupted)
    assert command.run() == terminal.INTERRUPTED == 130
    assert sentence(command, capsys) == f"interrupted; {command.kept}"
    assert command.written == command.left


def test_a_disk_that_fails_is_named(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28), "/the/place")

    where, name = command.work
    monkeypatch.setattr(where, name, fails)
    assert command.run() == 1
    assert sentence(command, capsys) == f"/the/place: No space left on device; {command.kept}"
    assert command.written == command.left


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--such"], "unrecognized arguments: --such"),
        (["--fo"], "unrecognized arguments: --fo"),
        (None, "the following arguments are required: "),
    ],
)
def test_wrong_arguments(
    command: Command, capsys: pytest.CaptureFixture[str], more: list[str] | None, said: str
) -> None:
    wrong(command, capsys, more, said)


@pytest.mark.parametrize("value", ["few", "1.5", "", "9" * 5000])
def test_a_number_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str) -> None:
    (simulate,) = called("simulate", tmp_path, tmp_path)
    wrong(simulate, capsys, ["--episodes", value], "argument --episodes: ")


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
    """Where both have a name, it is a matter of --set, which simulate has not; of the recording's commands none has."""
    shared = {}
    for name in COMMANDS:
        parser = importlib.import_module(f"vjepa_ros.commands.{name}").parser()
        shared[name] = {action.dest for action in parser._actions} & set(BY_NAME)
    assert shared == {
        "convert": {"checkpoint", "dtype", "predictor_checkpoint", "preset"},
        "doctor": set(),
        "find": set(),
        "fleet": set(),
        "probe": set(),
        "replay": set(),
        "simulate": {"seed"},
        "train": {"device", "seed"},
    }


def test_the_library_knows_no_options() -> None:
    """Its messages name fields; the options that people read in their place are tested with each message."""
    package = ROOT / "vjepa_ros"
    nodes = [package / "ros" / name for name in ("main.py", "panda_sim.py")]  # their executables are commands too
    options = []
    for file in package.rglob("*.py"):
        if file.parent.name != "commands" and file not in nodes:
            texts = [node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)]
            options += [(file.name, text) for text in texts if isinstance(text, str) and re.search(r"--[a-z]", text)]
    assert options == []


def test_an_interrupt_within_code_that_was_made_from_text_ends_like_any_other(tmp_path: Path) -> None:
    """Python, run with -m, would kill itself with SIGINT at its end, although the interrupt was caught."""
    lines = (
        "import sys; from vjepa_ros.commands.terminal import Terminal",
        "def work(): exec('raise KeyboardInterrupt')",
        "tool = Terminal('tool', {}); tool.say('begun'); sys.exit(tool.attempt(work)[0])",
    )
    (tmp_path / "interrupted.py").write_text("\n".join(lines))
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    said = "tool: begun\ntool: interrupted; nothing was written\n"
    assert (done.returncode, done.stderr) == (terminal.INTERRUPTED, said)


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
