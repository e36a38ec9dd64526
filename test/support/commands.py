"""Every command, with arguments that it does its work with."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from support import bags, conversions, replays
from vjepa_ros import conversion
from vjepa_ros.commands import fleet, terminal
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.fleet import sheet
from vjepa_ros.probe import probing
from vjepa_ros.replay.run import Run
from vjepa_ros.simulation import recording
from vjepa_ros.training import run

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    path.stem for path in (ROOT / "vjepa_ros" / "commands").glob("*.py") if "\ndef main(" in path.read_text()
)
TUNED = [name for name in COMMANDS if name not in ("simulate", "find")]
"""Those that have parameters of the node: a test holds that."""
WRITING = [name for name in COMMANDS if name != "doctor"]
"""Those that write something; the doctor only says what it finds, and its tests are in test_doctor_command."""


def short(folder: Path) -> Path:
    """A bag with the first two seconds of the sample bag."""
    sample = bags.sample()
    return bags.write(
        folder, [message for message in sample if message.received_ns < sample[0].received_ns + 2 * bags.S]
    )


@dataclass(frozen=True)
class Command:
    """One of them, with arguments that it does its work with.

    Attributes:
        name: of its file.
        inputs: what is read; the first is what may be unreadable. One without reads nothing.
        out: what is written.
        options: what else it needs.
        others: what appears beside ``out``.
        work: what it calls in the middle of its work: an object, and the name of a function of it.
        parameters: those that it worked with, from what it has written.
        left: what lies beside ``out`` where it did not come to its end.
        kept: what it says of that.
    """

    name: str
    inputs: list[str]
    out: Path
    options: list[str]
    work: tuple[Any, str]
    parameters: Callable[[Path], dict[str, Any]]
    others: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    kept: str = "nothing was written"

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


def no_parameters(_: Path) -> dict[str, Any]:
    raise AssertionError("it has none")


@cache
def _fleet(bag: Path) -> Path:
    """A fleet of a bag, with a picture in its folder; made once."""
    out = bag.parent / "fleet"
    arguments = ["--params", str(replays.PARAMS), "-o", str(out), "--workers", "0", *replays.ONE_THREAD]
    assert fleet.main([str(bag), *arguments]) == 0
    cv2.imwrite(str(out / "frame.png"), np.full((64, 64, 3), 90, np.uint8))
    return out


def called(name: str, tmp_path: Path, bag: Path) -> Iterator[Command]:
    """One of them, with an empty folder to write to."""
    folder = tmp_path / "folder"
    folder.mkdir()
    if name == "replay":
        yield reading("replay", folder, bag, (Run, "finish"), "report.json", "--windows-only")
    elif name == "probe":
        few = ("--points", "3", "--windows", "1", "--no-picture")
        yield reading("probe", folder, bag, (probing, "survey"), "probe.json", *few)
    elif name == "simulate":
        out = folder / "out"
        options = ["-o", str(out), "--episodes", "2", "--frames", "2", "--drawn", "64"]
        yield Command("simulate", [], out, options, (recording, "simulate"), no_parameters)
    elif name == "fleet":
        command = reading("fleet", folder, bag, (Run, "finish"), "manifest.json", "--workers", "0")
        kept = "what was done until then is kept, and the same command goes on from there"
        yield replace(command, left=["out"], kept=kept)
    elif name == "find":
        made = _fleet(bag)
        out = folder / "sheet.png"
        options = ["--image", str(made / "frame.png"), "-o", str(out), "--compute-on", "cpu", "-n", "2"]
        yield Command("find", [str(made)], out, options, (sheet, "draw"), no_parameters)
    elif name == "train":
        out = folder / "model.safetensors"
        settings = ("num_frames=4", "encoder_dim=32", "encoder_depth=1", "predictor_dim=24", "predictor_depth=1",
                    "context_steps=1", "encoding=tubelet")  # fmt: skip
        little = ("--train-encoder", "--encoder-steps", "1", "--encoder-batch", "2", "--steps", "1", "--batch", "2")
        options = ["--params", str(replays.PARAMS), "-o", str(out), *little, *replays.ONE_THREAD, *settings]
        yield Command(
            "train", [str(bag)], out, options, (run, "evaluate"), lambda path: Sidecar.next_to(path).normalization,
            ["model.json", "model.train"], ["model.train"],
            "what was done until then is kept, and --resume goes on from the last checkpoint",
        )  # fmt: skip
    else:
        assert name == "convert", "a new command needs its arguments here, if it writes anything"
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


def wrong(command: Command, capsys: pytest.CaptureFixture[str], more: list[str] | None, said: str) -> None:
    """Have it refuse its arguments, shortly."""
    with pytest.raises(SystemExit) as ended:
        command.module.main([]) if more is None else command.run(*more)
    assert ended.value.code == terminal.WRONG_ARGUMENTS == 2
    errors = capsys.readouterr().err
    assert errors.startswith("usage: ") and f"\n{command.tool}: error: {said}" in errors and len(errors) < 4000
    assert command.written == []
