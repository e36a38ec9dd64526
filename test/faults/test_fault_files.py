"""Files that nobody vouches for: each is used as far as it goes, or refused, and nothing else is harmed."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from lifecycle_msgs.msg import Transition
from support import damage, mcaps, replays
from support.bags import TOPICS
from support.checkpoint_files import saved, saved_safetensors, small_content
from support.fault_feed import Feed
from support.fault_table import Row
from support.harness import Predictor, Robot
from support.mcaps import Form
from support.reference import small_config

from vjepa_ros.errors import CheckpointError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor as PredictorModel
from vjepa_ros.weights.checkpoint import read_checkpoint

SHORT = [raw for raw in mcaps.sample() if raw.topic in TOPICS][:300]
DAMAGED = 40


def replayed(recording: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """(exit status, hash of the windows); what is said is whole sentences."""
    out = recording.parent / "out"
    status = replays.run(recording, "-o", out, "--windows-only", "--force")
    said = capsys.readouterr().err
    assert "Traceback" not in said and all(line.startswith("vjepa_replay: ") for line in said.splitlines()), said
    if status == 1:
        return status, ""
    report = replays.report(out)
    assert bool(report["incomplete"]) == (status == 3)
    return status, report["sha256"]["windows"]


@pytest.mark.fault("recordings that are strange or damaged")
def test_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Row) -> None:
    path = tmp_path / "run.mcap"
    Form().write(path, SHORT)
    status, whole = replayed(path, capsys)
    assert status == 0 and whole
    strange = [
        Form(chunk_messages=0), Form(compression="zstd"), Form(compression="lz4"), Form(message_index=False),
        Form(chunk_index=False, message_index=False), Form(statistics=False), Form(summary=False), Form(end=False),
        Form(profile=""), Form(repeated=False), Form(checksums=False), Form(schemas_last=True),
    ]  # fmt: skip
    for number, form in enumerate(strange):
        disorder = SHORT if form.times_known is False else random.Random(number).sample(SHORT, len(SHORT))
        form.write(path, disorder)
        status, windows = replayed(path, capsys)
        assert windows == whole and status in ((0, 3) if not (form.end and form.summary) else (0,)), form
    content = Form(chunk_messages=30).contents(SHORT)
    ends = Counter[int]()
    for number in range(DAMAGED):
        path.write_bytes(damage.damaged(content, random.Random(number)))
        status, windows = replayed(path, capsys)
        ends[status] += 1
        assert status != 0 or windows == whole, f"windows went missing in silence ({number})"
    assert ends[3], ends
    row.injected = f"{len(strange)} strange ones, {DAMAGED} damaged ones"
    row.lost = f"nothing of the strange; of the damaged {ends[0]} whole, {ends[3]} in part and said, {ends[1]} refused"


@pytest.mark.fault("weights, presets and files that cannot be used")
def test_what_the_node_is_given(predictor: Predictor, robot: Robot, tmp_path: Path, row: Row) -> None:
    """It stays as it was, and takes the next one."""
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "text.pt").write_text("no weights")
    (tmp_path / "cut.pt").write_bytes(saved(tmp_path, small_content()).read_bytes()[:-100])
    (tmp_path / "link.safetensors").symlink_to("nowhere")
    (tmp_path / "bomb.yaml").write_text("a: &a [x, x]\nb: &b [*a, *a]\n")
    (tmp_path / "deep.yaml").write_text("[" * 10_000)
    odd = tmp_path / "odd.pt"
    torch.save({**small_content(), "encoder": {("a", 1): torch.zeros(1)}, "target_encoder": {5: torch.zeros(1)}}, odd)
    given: list[dict[str, Any]] = [
        *({"checkpoint": str(tmp_path / f"{name}.pt")} for name in ("pipe", "text", "cut", "odd")),
        {"checkpoint": str(tmp_path / "link.safetensors")},
        *({"checkpoint": name} for name in ("/dev/zero", "/", "~nosuchuser/a.pt", "x" * 300, "x/" * 3000)),
        *({"preset": str(tmp_path / name)} for name in ("bomb.yaml", "deep.yaml", "pipe.pt")),
    ]  # fmt: skip
    robot.stop()
    for values in given:
        assert robot.set_parameters(**values)[0][0]
        assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
        assert robot.state() == "unconfigured"
        assert robot.set_parameters(**dict.fromkeys(values, "tiny_random" if "preset" in values else ""))[0][0]
    refusals = [line for line in predictor.log.splitlines() if "cannot configure: " in line]
    assert len(refusals) == len(given) and all(len(line) < 2000 for line in refusals)
    robot.start()
    feed = Feed(robot)
    feed.both(0, 20)
    windows = feed.check()
    row.injected = f"{len(given)} of them"
    row.lost = f"nothing: each refused in a sentence; {windows} windows after it equal"


@pytest.mark.fault("weights that change while they are read")
def test_changing_weights(tmp_path: Path, row: Row) -> None:
    def cut(path: Path) -> None:
        os.truncate(path, path.stat().st_size // 2)

    def overwritten(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"\1" * 100_000)

    tried, config = 0, small_config()
    for suffix in (".pt", ".safetensors"):
        for change in (cut, overwritten):
            path = tmp_path / f"weights{suffix}"
            content = small_content()
            if suffix == ".pt":
                saved(tmp_path, content).rename(path)
            else:
                saved_safetensors(path, {part: content[part] for part in ("encoder", "predictor")})
            done: list[Path] = []

            def once(_read: int, _all: int, change: Any = change, path: Path = path, done: Any = done) -> None:
                if not done:
                    done.append(path)
                    change(path)

            with pytest.raises(CheckpointError, match="was changed while it was read|is truncated") as caught:
                read_checkpoint(path, Encoder(config), PredictorModel(config), sidecar=None, on_bytes=once)
            assert str(caught.value).startswith(str(path)) and done
            tried += 1
    row.injected, row.lost = f"{tried} times: cut, and written over", "these loads: refused"


@pytest.mark.fault("somebody's things where outputs would be")
def test_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Row) -> None:
    recording = Form().write(tmp_path / "run.mcap", SHORT)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    places = tmp_path / "places"
    places.mkdir()
    work = places / "out.vjepa_replay"

    def lock_is_a_link() -> None:
        work.mkdir(mode=0o700)
        (work / "vjepa_ros.lock").symlink_to(precious)

    def open_folder() -> None:
        work.mkdir()
        work.chmod(0o777)

    def full_folder() -> None:
        work.mkdir()
        (work / "thesis.tex").write_text("precious")

    ways = [
        lambda: work.symlink_to(precious), lambda: work.symlink_to(places.parent), lock_is_a_link, full_folder,
        lambda: os.mkfifo(work), lambda: work.write_text("precious"), lambda: os.mkfifo(places / "out"),
        lambda: (places / "out").symlink_to("/dev/null"), open_folder,
    ]  # fmt: skip
    for way in ways:
        way()
        before = [(path, os.lstat(path).st_ino, os.lstat(path).st_size) for path in sorted(places.rglob("*"))]
        assert replays.run(recording, "-o", places / "out", "--windows-only", "--force") == 1
        assert "Traceback" not in capsys.readouterr().err
        assert before == [(path, os.lstat(path).st_ino, os.lstat(path).st_size) for path in sorted(places.rglob("*"))]
        assert precious.read_text() == "precious"
        places.rename(tmp_path / f"places{len(list(tmp_path.iterdir()))}")
        places.mkdir()
    row.injected, row.lost = f"{len(ways)} of them, with --force", "nothing: each refused, and as it was before"
