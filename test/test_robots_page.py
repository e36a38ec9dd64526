"""docs/robots.md: what it says is run is run here, and everything else says that it is not."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "robots.md").read_text(encoding="utf-8")
SET_UP = ["make setup", 'export PATH="$PWD/.venv/bin:$PATH"']
RUN, NOT_RUN = "run by a test", "not run here"
SHORTER = {"-o replayed\n": "-o replayed --windows-only\n"}


def blocks() -> list[tuple[str, str]]:
    """Every block of commands, and which of the two the nearest words before it say."""
    found = []
    for match in re.finditer(r"^```bash\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL):
        before = " ".join(PAGE[: match.start()].lower().split())
        section = " ".join(PAGE[: match.start()].rpartition("\n## ")[2].lower().split())
        said = max((RUN, NOT_RUN), key=before.rindex)
        assert said in section or "nothing of this section was run here" in section, match[1]
        found.append((match[1], NOT_RUN if "nothing of this section" in section else said))
    return found


def commands() -> list[str]:
    """Those that are run, made shorter."""
    text = "".join(block for block, said in blocks() if said == RUN)
    assert all(text.count(long) == 1 for long in SHORTER), "nothing is made shorter that is not there"
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    return text.splitlines()


def test_every_block_says_whether_it_is_run() -> None:
    said = [said for _, said in blocks()]
    assert (said.count(RUN), said.count(NOT_RUN)) == (2, 5)
    assert PAGE.count("```") == 2 * len(said), "there are commands in another kind of block"
    assert commands()[:2] == SET_UP


def run(command: str) -> None:
    """One of them, in this process: test/commands starts them as a shell does."""
    words = shlex.split(command)
    out = words.pop() if ">" in words else ""
    name, *arguments = [word for word in words if word != ">"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert import_module(f"vjepa_ros.commands.{name.removeprefix('vjepa_')}").main(arguments) == 0, (
            printed.getvalue()
        )
    if out:
        Path(out).write_text(printed.getvalue(), encoding="utf-8")


def test_what_is_run_does_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    for command in commands()[2:]:
        run(command)
    lines = json.loads((tmp_path / "doctor.json").read_text(encoding="utf-8"))["lines"]
    assert len(lines) >= 8 and [line for line in lines if line["status"] == "WRONG"] == []
    report = json.loads((tmp_path / "replayed" / "report.json").read_text(encoding="utf-8"))
    assert report["counts"]["windows"] > 0 and report["sha256"]
