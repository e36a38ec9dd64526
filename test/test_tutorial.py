"""The commands of docs/tutorial.md, in their order, with fewer of everything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
SET_UP = ["make setup", 'export PATH="$PWD/.venv/bin:$PATH"']
SHORTER = {
    "--episodes 300": "--episodes 12", "--bags 10": "--bags 3", "recordings/9": "recordings/2",
    "--encoder-steps 800": "--encoder-steps 2 --encoder-batch 2", "--steps 1000": "--steps 2 --batch 4",
    "--goals 10": "--goals 1",
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where they are run: a folder with what a checkout has for them."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "tools").symlink_to(ROOT / "tools")
    return folder


def shorter(command: str) -> str:
    for long, short in SHORTER.items():
        command = command.replace(long, short)
    return command


def test_the_page_begins_with_the_set_up_that_tests_have_already() -> None:
    assert COMMANDS[:2] == SET_UP
    assert len(COMMANDS) == 8
    text = "\n".join(COMMANDS)
    assert all(long in text for long in SHORTER), "nothing is made shorter that is not there"


@pytest.mark.timeout(300)
def test_every_command_does_what_the_page_says(place: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    outputs = []
    for command in map(shorter, COMMANDS[2:]):
        if command.startswith("tools/run.sh"):  # it goes to the checkout's own folder
            command = command.replace("tutorial/", f"{place}/tutorial/").replace("tools/", f"{ROOT}/tools/")
        done = subprocess.run(
            ["bash", "-c", command], cwd=place, env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        outputs.append(done.stdout)
    tutorial = place / "tutorial"
    assert sorted(path.name for path in (tutorial / "recordings").iterdir() if path.is_dir()) == ["0", "1", "2"]
    assert (tutorial / "look" / "probe.png").is_file()
    assert (tutorial / "mine.train" / "report.html").is_file()
    report = json.loads((tutorial / "replayed" / "report.json").read_text())
    assert {"mean", "no_change_mean"} <= report["prediction_error"].keys()
    assert json.loads(outputs[-1].splitlines()[-1])["goals"] == 1
