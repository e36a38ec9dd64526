"""What a full disk, a failing one or a kill leaves of the outputs of vjepa_replay: they are whole, or not there."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import bags, replays

SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 2 * bags.S]


# A file that may not grow any further is what Python sees of a full disk, but for the number of the error.
FULL = """
import os, resource, sys, torch
from vjepa_ros.commands import replay
torch.set_num_threads(1)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(replay.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("option", "name", "limit"),
    [
        ("--dump", "windows.jsonl", 5_000),
        ("--export", "shards", 100_000),
        ("--dump", "out/windows.jsonl", 5_000),
        ("--export", "out/deep/shards", 100_000),
        ("--html", "page.html", 20_000),
        ("--windows-only", "out", 500),
        ("", "out", 50_000),
    ],
)
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, option: str, name: str, limit: int) -> None:
    """The output that did not fit is named, whichever it is."""
    bag = bags.write(tmp_path / "bag", SHORT)
    arguments = [str(bag), "--params", str(replays.PARAMS), "-o", str(tmp_path / "out")]
    if option in ("--dump", "--export", "--html"):
        arguments += [option, str(tmp_path / name)]
    arguments += ["--windows-only"] if option else []
    command = [sys.executable, "-c", FULL, str(limit), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    full = re.escape(str(tmp_path / name))
    assert re.fullmatch(
        f"vjepa_replay: {full}[^ ]*: File too large; nothing was written", done.stderr.splitlines()[-1]
    ), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


@pytest.mark.parametrize("before", ["nothing", "another output"])
def test_a_disk_that_fails_between_the_moves_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], before: str
) -> None:
    """Three outputs; one after the other is the one that cannot be moved to its place."""
    bag, folder = bags.write(tmp_path / "bag", SHORT), tmp_path / "folder"
    folder.mkdir()
    outputs = [folder / "out", folder / "export", folder / "dump"]
    options = ["-o", outputs[0], "--export", outputs[1], "--dump", outputs[2], "--windows-only"]
    if before == "another output":
        assert replays.run(bag, *options, "--set", "hop=4") == 0
    old = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if target == failing and self.parent.name == "new":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self), None, str(target))
        return rename(self, target)

    for failing in outputs:
        monkeypatch.setattr(Path, "rename", fails)
        assert replays.run(bag, *options, "--force") == 1
        monkeypatch.undo()
        said = capsys.readouterr().err.splitlines()[-1]
        assert said == f"vjepa_replay: {failing}: No space left on device; nothing was written"
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == old
        assert sorted(folder.iterdir()) == (sorted(outputs) if old else [])
    assert replays.run(bag, *options, "--force") == 0
    assert sorted(folder.iterdir()) == sorted(outputs)


# Replays again and again, each time in a fork that kills itself one step later: before the first, second, ... thing
# that it does in or to the outputs' folder, or before it writes the first, second, ... window of the latent bag and
# closes it, until one comes through. What each left behind is written down.
KILLED = """
import json, os, shutil, signal, sys, torch
from pathlib import Path
from vjepa_ros.recordings.bag import Recording
from vjepa_ros.recordings.latent_bag import LatentBag
from vjepa_ros.commands import replay
from vjepa_ros.replay import replaying  # once, not in every fork
torch.set_num_threads(1)
steps, folder, start, *arguments = sys.argv[1:]
states, step, status = [], 0, -signal.SIGKILL

def hook(event, values):
    if any(folder in str(value) for value in values):
        count()

def count():
    global seen
    seen += 1
    if seen > step:
        os.kill(os.getpid(), signal.SIGKILL)

def counted(name):
    original = getattr(LatentBag, name)
    def method(self, *values):
        self._writer.storage.close_chunk()  # what came before is in the file
        self._writer.storage.bio.flush()
        count()
        original(self, *values)
    setattr(LatentBag, name, method)

while status == -signal.SIGKILL:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start, folder)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.dup2(2, 1)
        seen = 0
        if steps == "files":
            sys.addaudithook(hook)
        else:
            for name in ("window", "close"):
                counted(name)
        os._exit(replay.main(arguments))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    state = {}
    for name in ("out", "dump"):
        path = os.path.join(folder, name)
        inside = os.path.join(path, "report.json") if os.path.isdir(path) else path
        state[name] = open(inside).read() if os.path.exists(path) else None
    bag = Path(folder, "out")
    dump = bag / "windows.jsonl"
    state["inside"] = dump.read_text() if dump.exists() else None
    state["messages"] = None
    if steps == "latents" and bag.exists():
        with Recording([bag]) as recording:
            state["messages"] = len(list(recording.messages(recording.topics)))
            state["notes"] = recording.notes
    # What was beside the places when it ended: the bag that was being written.
    beside = [path for path in Path(folder).rglob("*.mcap") if bag not in path.parents]
    state["beside_bytes"] = sum(path.stat().st_size for path in beside)
    states.append(state)
    step += 1
print(json.dumps({"status": status, "states": states}))
"""


def killed(steps: str, folder: Path, start: Path, arguments: list[str]) -> list[dict[str, Any]]:
    """What each run left that was killed one step later than the one before, and the last, which was not."""
    command = [sys.executable, "-c", KILLED, steps, str(folder), str(start), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["status"] == 0
    states: list[dict[str, Any]] = found["states"]
    return states


def test_a_killed_replay_with_all_in_one_folder_leaves_the_old_or_the_new_whole(tmp_path: Path) -> None:
    bag, start, folder = bags.write(tmp_path / "bag", SHORT), tmp_path / "start", tmp_path / "folder"
    start.mkdir()
    common = [str(bag), "--params", str(replays.PARAMS), "--windows-only", "--dump"]
    assert replays.run(*common, "-o", start / "out", "--set", "hop=4") == 0
    old = (start / "out" / "windows.jsonl").read_text()
    states = killed("files", folder, start, [*common, "-o", str(folder / "out"), "--force"])
    new = states[-1]["inside"]
    found = {(state["inside"], state["out"] and json.loads(state["out"])["parameters"]["hop"]) for state in states}
    assert found == {(old, 4), (None, None), (new, 2)} and new.count("\n") > old.count("\n")
    assert sorted(os.listdir(folder)) == ["out"]


@pytest.mark.parametrize("before", ["nothing", "another output"])
def test_a_killed_replay_leaves_a_whole_output_or_none(tmp_path: Path, before: str) -> None:
    bag, start, folder = bags.write(tmp_path / "bag", SHORT), tmp_path / "start", tmp_path / "folder"
    start.mkdir()
    common = [str(bag), "--params", str(replays.PARAMS), "--windows-only"]
    old_dump = None
    if before == "another output":
        assert replays.run(*common, "-o", start / "out", "--dump", start / "dump", "--set", "hop=4") == 0
        old_dump = (start / "dump").read_text()
    arguments = [*common, "-o", str(folder / "out"), "--dump", str(folder / "dump"), "--force"]
    states = killed("files", folder, start, arguments)
    last = states[-1]
    assert len(states) > 10
    new_hops = json.loads(last["out"])["parameters"]["hop"]
    kinds = set()
    for state in states:
        assert state["dump"] in (None, old_dump, last["dump"])
        hop = None if state["out"] is None else json.loads(state["out"])["parameters"]["hop"]
        kinds.add(hop)
        if hop == new_hops:
            assert state["dump"] == last["dump"]  # `out` is the last to appear
    assert kinds == ({None, new_hops} if old_dump is None else {None, 4, new_hops})
    assert sorted(os.listdir(folder)) == ["dump", "out"]


def test_a_replay_that_is_killed_while_it_writes_the_latents_leaves_none_of_them(tmp_path: Path) -> None:
    """Killed before each window and before the bag is closed; the old output stays until the new one is whole."""
    bag, start, folder = bags.write(tmp_path / "bag", SHORT), tmp_path / "start", tmp_path / "folder"
    start.mkdir()
    common = [str(bag), "--params", str(replays.PARAMS), "--set", "threads=1"]
    assert replays.run(*common, "hop=4", "-o", start / "out") == 0
    old = replays.report(start / "out")
    *cut, last = killed("latents", folder, start, [*common, "-o", str(folder / "out"), "--force"])
    windows = json.loads(last["out"])["counts"]["windows"]
    assert windows > 2 * old["counts"]["windows"] - 2
    assert len(cut) == windows + 1
    for state in cut:
        assert json.loads(state["out"]) == old
        assert (state["messages"], state["notes"]) == (1 + 2 * old["counts"]["windows"], [])
    written = [state["beside_bytes"] for state in cut]
    assert written == sorted(set(written)), "the bag was being written"
    assert (last["messages"], last["notes"], last["beside_bytes"]) == (1 + 2 * windows, [], 0)
    assert sorted(os.listdir(folder)) == ["out"]
