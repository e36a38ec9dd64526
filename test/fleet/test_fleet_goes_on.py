"""A fleet that was killed, damaged, given other weights or asked for less: what lies there stays one whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import fleets

import vjepa_ros
from vjepa_ros import work_folder
from vjepa_ros.errors import BagError, EngineError, OutputError
from vjepa_ros.fleet import lerobot, running, store, work
from vjepa_ros.fleet.names import name_of
from vjepa_ros.fleet.progressing import status
from vjepa_ros.fleet.store import Store
from vjepa_ros.replay.run import Run

BOTH: dict[str, Any] = {"formats": ("parquet", "lerobot")}
KILLED = """
import sys
from pathlib import Path
from support import fleets
from vjepa_ros.fleet import running
out, *given = map(Path, sys.argv[1:])
running.run(fleets.plan(out, *given, fallback=fleets.decode))
"""


@pytest.fixture(scope="module")
def dataset(bags: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dataset") / "out"
    running.run(fleets.plan(out, bags, **BOTH))
    return out


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return found


def hashes(out: Path) -> dict[str, str]:
    return {line["recording"]: line["sha256"] for line in Store(out).lines() if line["state"] == "done"}


def in_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_driver_that_is_killed_leaves_no_way_for_other_weights(
    bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, bag = tmp_path / "out", bags / "bag1"
    deadly = fleets.strange(tmp_path / "deadly", fleets.KILLS)
    command = [sys.executable, "-c", KILLED, str(out), str(bag), str(deadly)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    now = status(out)
    assert (now["done"], now["failed"], now["left"]) == (1, 0, 1) and "info_id" not in manifest(out)
    assert len(os.listdir(out / ".work")) > 1, "what it was at"
    report = Store(out).report(name_of(str(bag)))
    assert report is not None
    plan = fleets.plan(out, bag, deadly.rename(tmp_path / "moved"), bags / "bag0", fallback=fleets.decode)
    with monkeypatch.context() as other:
        other.setattr(vjepa_ros, "__version__", "0.0.1")
        with pytest.raises(OutputError, match=r"rows of another model in it \(vjepa_ros, info_id\).*`force`"):
            running.run(plan)
    assert Store(out).names() == [report["name"]] and status(out)["failed"] == 0, "no recording is to blame"
    assert manifest(out)["info_id"] == report["info_id"]
    assert os.listdir(out / ".work") == [work_folder.LOCK]
    assert running.run(fleets.plan(out, bag, bags / "bag0"))["done"] == 2
    assert {Store(out).report(name)["info_id"] for name in Store(out).names()} == {report["info_id"]}  # type: ignore[index]


def test_other_weights_may_begin_where_no_row_is(bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as other:
        other.setattr(vjepa_ros, "__version__", "0.0.1")
        other.setattr(work.content, "content_hash", lambda path: 1 / 0)
        assert running.run(fleets.plan(out, bags / "bag1"))["failed"] == 1
        assert manifest(out)["vjepa_ros"] == "0.0.1"
    assert running.run(fleets.plan(out, bags / "bag1"))["done"] == 1
    for path in (out / "latents").iterdir():
        path.write_text("damaged")
    assert running.run(fleets.plan(out, bags))["info_id"] == manifest(out)["info_id"] != ""


def test_a_damaged_report_is_made_anew(dataset: Path, tmp_path: Path, bags: Path) -> None:
    out, one = tmp_path / "out", bags / "bag1"
    first = running.run(fleets.plan(out, one))
    report = Store(out).folder(name_of(str(one))) / store.REPORT
    report.write_bytes(report.read_bytes()[:-100])
    assert status(out)["left"] == 1
    again = running.run(fleets.plan(out, one))
    assert (again["state"], again["left"], again["windows"]) == ("finished", 0, first["windows"])
    assert hashes(out)[str(one)] == hashes(dataset)[str(one)]


def test_a_report_that_nobody_could_read_again_is_no_success(
    bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work._Said, "__call__", lambda self, said: self.sentences.extend([said] * 200_000))
    done = running.run(fleets.plan(tmp_path / "out", bags / "bag1"))
    assert (done["done"], done["failed"]) == (0, 1)
    ((_, _, reason),) = status(tmp_path / "out")["failures"]
    assert reason.startswith("its report is too long to be read again")


def test_many_episodes_do_not_make_a_report_unreadable(tmp_path: Path) -> None:
    found = Store(tmp_path)
    found.folder("a").mkdir(parents=True)
    (found.folder("a") / store.REPORT).write_text('{"rows": 10000}')
    assert found.report("a", frames=True) is None and found.report("a") == {"rows": 10000}
    episode = {"rows": 1, "picture": {"sum": [1, 2, 3], "squares": [1, 2, 3], "low": [0, 0, 0], "high": [9, 9, 9]}}
    store.write_episodes(found.folder("a"), (64, 48), [episode] * 10_000)
    report = found.report("a", frames=True)
    assert report is not None and report["frame_px"] == [64, 48] and len(report["episodes"]) == 10_000
    assert report["episodes"][-1] == episode


def test_what_was_done_before_is_a_part_of_the_fleet(dataset: Path, bags: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    running.run(fleets.plan(out, bags / "bag1"))
    whole = running.run(fleets.plan(out, bags / "bag0"))
    assert (whole["recordings"], whole["done"], whole["left"]) == (2, 2, 0)
    assert whole["windows"] == sum(table.rows for table in fleets.tables(out)) == manifest(dataset)["windows"]
    assert hashes(out) == hashes(dataset) and status(out)["done"] == 2


def test_copies_are_said(bags: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").symlink_to(bags / "bag1")
    said: list[str] = []
    done = running.run(fleets.plan(tmp_path / "out", bags / "bag1", tmp_path / "copy"), say=said.append)
    assert done["copies"] == 1 and said[-1].startswith("1 recordings have the same in them as another one")
    first, second = Store(tmp_path / "out").lines()
    assert second["copy_of"] == first["name"] and "copy_of" not in first


def test_a_model_that_breaks_is_loaded_anew_and_recordings_are_not_blamed(
    bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken for as many attempts as said: one is overcome, two are the recording's, three are the device's."""
    given = [fleets.plan(tmp_path / str(number), bags / "bag1", bags / "bag0") for number in range(4)]
    finish, load, loaded, broken = Run.finish, work.load_model, [], [0]

    def breaks(self: Run) -> None:
        if broken[0]:
            broken[0] -= 1
            raise EngineError("encoding failed: the device is gone")
        finish(self)

    def counted(config: Any) -> Any:
        loaded.append(1)
        return load(config)

    monkeypatch.setattr(Run, "finish", breaks)
    monkeypatch.setattr(work, "load_model", counted)
    for times, done, failed, loads in ((1, 2, 0, 2), (2, 1, 1, 3)):
        loaded.clear()
        broken[0] = times
        counts = running.run(given[times])
        assert (counts["done"], counts["failed"], len(loaded)) == (done, failed, loads)
    broken[0] = 1000
    with pytest.raises(EngineError, match="the device is gone"):
        running.run(given[3])
    now = status(given[3].out)
    assert (now["done"], now["failed"], now["left"]) == (0, 1, 1)
    broken[0] = 0
    assert running.run(given[3])["done"] == 2


def test_frames_can_come_later_and_go(
    dataset: Path, bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert running.run(fleets.plan(out, bags))["dataset"] is None
    rows = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    with monkeypatch.context() as without:
        without.setattr(work, "load_model", lambda config: 1 / 0)
        done = running.run(fleets.plan(out, bags / "bag1", **BOTH))
    assert (done["state"], done["dataset"], done["done"]) == ("finished", "written", 2), "the other one too"
    assert rows == {path: path.stat().st_mtime_ns for path in (out / "windows").rglob("*.parquet")}
    assert in_folder(out / "lerobot") == in_folder(dataset / "lerobot")
    assert running.run(fleets.plan(out, bags))["state"] == "finished" and (out / "lerobot").is_dir()


def test_frames_of_another_recording_are_refused(bags: Path, tmp_path: Path) -> None:
    out, bag = tmp_path / "out", tmp_path / "bag"
    bag.symlink_to(bags / "bag1")
    running.run(fleets.plan(out, bag))
    bag.unlink()
    bag.symlink_to(bags / "bag0")
    done = running.run(fleets.plan(out, bag, **BOTH))
    assert (done["done"], done["failed"]) == (0, 1)
    assert status(out)["failures"][0][2] == f"{bag}: is another one than its rows were made of"


def test_a_dataset_that_was_interrupted_is_left(bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as early, pytest.raises(KeyboardInterrupt):
        early.setattr(lerobot, "write", interrupted)
        running.run(fleets.plan(out, bags / "bag1", **BOTH))
    assert (manifest(out)["state"], status(out)["dataset"], status(out)["left"]) == ("unfinished", "left", 0)
    assert running.run(fleets.plan(out, bags / "bag1", **BOTH))["state"] == "finished"
    assert status(out)["dataset"] == "written" and (out / "lerobot/meta/info.json").is_file()


def test_a_folder_with_a_manifest_of_somebody_else_is_left_alone(bags: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text('{"tool": "another"}')
    with pytest.raises(OutputError, match="is there already; `force` replaces it"):
        running.run(fleets.plan(out, bags / "bag1"))
    assert os.listdir(out) == ["manifest.json"]
    (out / "manifest.json").write_text('{"tool": "vjepa_fleet", "format": 99}')
    with pytest.raises(OutputError, match="or of another version of it"):
        running.run(fleets.plan(out, bags / "bag1"))
    assert os.listdir(out) == ["manifest.json"]
    assert running.run(fleets.plan(out, bags / "bag1", force=True))["done"] == 1
    with pytest.raises(BagError, match="nothing that is called so is a recording"):
        running.run(fleets.plan(out, tmp_path / "ou?" / "failed*"))
    assert len(list(Store(out).lines())) == 1
