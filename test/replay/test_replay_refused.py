"""What vjepa_replay refuses, and what a full disk or a kill leaves: one clear sentence, and a whole output or none."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import bags
import pytest
import recorded
import replays

SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 2 * bags.S]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run what must be refused: exit status 1, and the last line of what it said."""
    assert replays.run(*arguments) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vjepa_replay: ")]
    return lines[-1].removeprefix("vjepa_replay: ")


def test_topics_that_are_missing_wrong_or_ambiguous(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("-o", tmp_path / "out", "--windows-only")
    said = refused(capsys, recorded.BAG, *out, "--image", "/eyes")
    assert said.startswith("--image: there is no topic /eyes; there are ")
    for topic in ("/camera/camera_info (sensor_msgs/msg/CameraInfo)", *bags.TOPICS):
        assert topic in said
    said = refused(capsys, recorded.BAG, *out, "--joint-commands", recorded.CAMERA)
    assert said == (
        f"--joint-commands: {recorded.CAMERA} is sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/JointState"
    )
    said = refused(capsys, recorded.BAG, *out, "--set", "actions.type=JointTrajectory")
    assert said.startswith(
        "/joint_commands is sensor_msgs/msg/JointState, not trajectory_msgs/msg/JointTrajectory: "
        "if joint_commands is another topic, say which with --joint-commands"
    )
    blind = bags.write(tmp_path / "blind", [m for m in SHORT if m.topic != recorded.CAMERA])
    said = refused(capsys, blind, *out)
    assert "no topic for image (sensor_msgs/msg/Image or sensor_msgs/msg/CompressedImage)" in said
    seen = [m for m in SHORT if m.topic == recorded.CAMERA]
    eyes = [m._replace(topic=f"/{side}/eye") for m in seen for side in ("left", "right")]
    said = refused(capsys, bags.write(tmp_path / "both", eyes + [m for m in SHORT if m not in seen]), *out)
    assert said.startswith("/left/eye, /right/eye could each be image (")
    assert said.endswith("say which with --image")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", ["commands", "none"])
def test_states_never_stand_in_for_commands_that_are_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    bag = bags.write(tmp_path / "bag", [m for m in SHORT if m.topic != recorded.COMMANDS])
    said = refused(capsys, bag, "-o", tmp_path / "out", "--windows-only", "--set", f"states.source={source}")
    assert said.startswith("there is no topic named like joint_commands (sensor_msgs/msg/JointState): ")
    assert "say which it is with --joint-commands; there are " in said


def test_topics_are_found_by_name_and_the_camera_by_its_type(tmp_path: Path) -> None:
    other = {recorded.CAMERA: "/eye", recorded.COMMANDS: "/arm/joint_commands", recorded.STATES: "/arm/joint_states"}
    renamed = [m._replace(topic=other.get(m.topic, m.topic)) for m in SHORT]
    assert replays.run(bags.write(tmp_path / "bag", renamed), "-o", tmp_path / "out", "--windows-only") == 0
    report = replays.report(tmp_path / "out")
    assert report["topics"] == {
        "image": "/eye", "joint_commands": "/arm/joint_commands", "joint_states": "/arm/joint_states",
        "transport": "compressed",
    }  # fmt: skip
    assert report["counts"]["windows"] > 0


def test_bags_that_are_empty_or_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = bags.write(tmp_path / "empty", [])
    assert refused(capsys, empty, "-o", tmp_path / "out") == f"{empty}: there is no message in it"
    assert refused(capsys, tmp_path / "no", "-o", tmp_path / "out") == f"{tmp_path / 'no'}: there is no such bag"


def test_a_cut_bag_is_used_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = bags.write(tmp_path / "bag", SAMPLE)
    data = (bag / "bag.mcap").read_bytes()
    (bag / "bag.mcap").write_bytes(data[: len(data) // 2])
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 0
    assert "bag.mcap: was cut off; the first" in capsys.readouterr().err
    report = replays.report(tmp_path / "out")
    assert any("was cut off" in note for note in report["notes"])
    assert 40 < report["counts"]["windows"] < 70


def test_where_the_cut_took_a_topic_with_it_the_cut_is_said_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = [m._replace(received_ns=m.received_ns + 3 * bags.S) if m.topic == recorded.CAMERA else m for m in SHORT]
    bag = bags.write(tmp_path / "bag", later)
    data = (bag / "bag.mcap").read_bytes()
    (bag / "bag.mcap").write_bytes(data[: data.index(recorded.CAMERA.encode()) - 100])
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vjepa_replay: ")]
    assert "bag.mcap: was cut off; the first" in lines[-2]
    assert lines[-1].startswith("vjepa_replay: there is no topic for image (")


def test_bad_messages_are_counted_by_topic_and_reason(tmp_path: Path) -> None:
    mixed = bags.sample()[: len(SHORT)]
    jpeg = next(m for m in mixed if m.topic == recorded.CAMERA)
    jpeg.data.data = jpeg.data.data[:100]
    next(m for m in mixed if m.topic == recorded.STATES).data.name = ["other"] * 9
    bag = bags.write(tmp_path / "mixed", mixed)
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 0
    rejected = replays.report(tmp_path / "out")["counts"]["rejected"]
    assert {topic: sum(by_reason.values()) for topic, by_reason in rejected.items()} == {
        recorded.CAMERA: 1, recorded.STATES: 1
    }  # fmt: skip
    assert rejected[recorded.STATES] == {"missing_joints": 1}


def test_parameters_that_make_no_sense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("-o", tmp_path / "out", "--windows-only", "--set")
    assert refused(capsys, recorded.BAG, *out, "hop=3").startswith("hop: ")
    assert refused(capsys, recorded.BAG, *out, "hops=2") == "hops: there is no such parameter"
    assert not (tmp_path / "out").exists()


def test_an_output_that_exists_is_kept_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag, out, dump = bags.write(tmp_path / "bag", SHORT), tmp_path / "out", tmp_path / "dump"
    out.mkdir()
    (out / "precious").touch()
    said = refused(capsys, bag, "-o", out, "--windows-only", "--dump", dump)
    assert said == f"{out}: is there already; --force replaces it"
    assert [path.name for path in out.iterdir()] == ["precious"]
    assert not dump.exists()
    dump.write_text("old")
    assert "dump: is there already" in refused(capsys, bag, "-o", tmp_path / "new", "--windows-only", "--dump", dump)
    assert not (tmp_path / "new").exists()
    assert replays.run(bag, "-o", out, "--windows-only", "--dump", dump, "--force") == 0
    assert [path.name for path in out.iterdir()] == ["report.json"]
    assert len(replays.lines(dump)) > 5
    assert "no folder" in refused(capsys, bag, "-o", tmp_path / "no" / "out", "--windows-only")
    assert "would replace, or lie in," in refused(capsys, bag, "-o", out, "--dump", out, "--force")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "dump", "out"]


# A file that may not grow any further is what Python sees of a full disk, but for the number of the error.
FULL = """
import os, resource, sys, torch
from vjepa_ros.replay import cli
torch.set_num_threads(1)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("option", "name", "limit"),
    [
        ("--dump", "windows.jsonl", 5_000),
        ("--export", "shards", 100_000),
        ("--windows-only", "out", 500),
        ("", "out", 50_000),
    ],
)
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, option: str, name: str, limit: int) -> None:
    """The output that did not fit is named, whichever it is."""
    bag = bags.write(tmp_path / "bag", SHORT)
    arguments = [str(bag), "--params", str(replays.PARAMS), "-o", str(tmp_path / "out")]
    if option in ("--dump", "--export"):
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
    """Of three outputs, one after the other cannot be moved to its place."""
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
# that it does in or to the outputs' folder, until one comes through. What each left behind is written down.
KILLED = """
import json, os, shutil, signal, sys, torch
from vjepa_ros.replay import cli
torch.set_num_threads(1)
folder, start, *arguments = sys.argv[1:]
states, step, status = [], 0, -signal.SIGKILL
while status == -signal.SIGKILL:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start, folder)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.dup2(2, 1)
        seen = 0
        def hook(event, values):
            global seen
            if any(folder in str(value) for value in values):
                seen += 1
                if seen > step:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        os._exit(cli.main(arguments))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    state = {}
    for name in ("out", "dump"):
        path = os.path.join(folder, name)
        inside = os.path.join(path, "report.json") if os.path.isdir(path) else path
        state[name] = open(inside).read() if os.path.exists(path) else None
    states.append(state)
    step += 1
print(json.dumps({"status": status, "states": states}))
"""


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
    command = [sys.executable, "-c", KILLED, str(folder), str(start), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["status"] == 0
    last = found["states"][-1]
    assert len(found["states"]) > 10
    new_hops = json.loads(last["out"])["parameters"]["hop"]
    kinds = set()
    for state in found["states"]:
        assert state["dump"] in (None, old_dump, last["dump"])
        hop = None if state["out"] is None else json.loads(state["out"])["parameters"]["hop"]
        kinds.add(hop)
        if hop == new_hops:
            assert state["dump"] == last["dump"]  # `out` is the last to appear
    assert kinds == ({None, new_hops} if old_dump is None else {None, 4, new_hops})
    assert sorted(os.listdir(folder)) == ["dump", "out"]


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_recording_is_never_replaced_by_what_came_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], force: list[str]
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    bag = bags.write(folder / "bag", SHORT)
    before = {path: path.read_bytes() for path in bag.iterdir()}
    for out in (bag, folder, folder / ".." / "recordings" / "bag"):
        assert replays.run(bag, "-o", out, "--windows-only", *force) == 1
        assert "would replace, or lie in," in capsys.readouterr().err
    for dump in (tmp_path / "out", tmp_path / "out" / "dump.jsonl"):
        assert replays.run(bag, "-o", tmp_path / "out", "--windows-only", "--dump", dump, *force) == 1
    assert {path: path.read_bytes() for path in bag.iterdir()} == before
