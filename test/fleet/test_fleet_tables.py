"""A fleet in one process: rows and hashes are a replay's, and whatever ends a run leaves whole recordings behind."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support import fleets, trainings

from vjepa_ros import work_folder
from vjepa_ros.errors import BagError, ConfigError, OutputError
from vjepa_ros.fleet import running
from vjepa_ros.fleet.names import name_of
from vjepa_ros.fleet.plan import MOST_ATTEMPTS, Plan
from vjepa_ros.fleet.progressing import status
from vjepa_ros.fleet.store import Store
from vjepa_ros.fleet.table import Table
from vjepa_ros.fleet.work import Worker, with_threads
from vjepa_ros.replay import export
from vjepa_ros.replay.run import Run


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two recordings, and one that is none."""
    folder = tmp_path_factory.mktemp("bags")
    fleets.recordings(folder)
    (folder / "broken").mkdir()
    (folder / "broken" / "broken.mcap").write_bytes(b"no bag")
    return folder


@pytest.fixture(scope="module")
def done(bags: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fleet of them, which stays as it is."""
    out = tmp_path_factory.mktemp("done") / "out"
    running.run(fleets.plan(out, bags))
    return out


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "recordings.jsonl").read_text().splitlines()]


def test_rows_and_hashes_are_those_of_a_replay(bags: Path, done: Path, tmp_path: Path) -> None:
    found = {line["recording"]: line for line in lines(done)}
    for name, table in zip(("bag0", "bag1"), fleets.tables(done), strict=True):
        report = fleets.replayed(bags / name, tmp_path / name)
        line = found[str(bags / name)]
        assert (line["state"], line["sha256"], line["windows"]) == ("done", report["sha256"], table.rows)
        assert table.about["latent_info"]["info_id"] == report["info_id"]
        examples = list(export.load(tmp_path / name / "export"))
        assert len(examples) == table.rows > 5
        errors = []
        for row, example in zip(table, examples, strict=True):
            assert (row.epoch, row.number) == (example.epoch, example.number)
            np.testing.assert_array_equal(row.frame_stamps_ns, example.frame_stamps_ns)
            np.testing.assert_array_equal(row.step_stamps_ns, example.step_stamps_ns)
            np.testing.assert_array_equal(row.actions, example.actions)
            np.testing.assert_array_equal(row.states, example.states)
            assert example.predicted is not None and example.context is not None
            np.testing.assert_array_equal(row.forecast, example.predicted.astype(np.float16))
            np.testing.assert_array_equal(row.context, example.context.astype(np.float16))
            errors += [] if row.prediction_error is None else [row.prediction_error]
        assert len(errors) == report["prediction_error"]["count"] > 0
        assert np.mean(errors) == pytest.approx(report["prediction_error"]["mean"], rel=1e-6)


def test_the_manifest_counts_and_names_what_failed(bags: Path, done: Path) -> None:
    manifest = json.loads((done / "manifest.json").read_text())
    assert (manifest["done"], manifest["failed"], manifest["left"], manifest["state"]) == (2, 1, 0, "finished")
    assert manifest["windows"] == sum(table.rows for table in fleets.tables(done))
    assert manifest["parameters"]["encoder_dim"] == trainings.SMALL["encoder_dim"]
    (broken,) = (line for line in lines(done) if line["state"] == "failed")
    assert broken["recording"] == str(bags / "broken")
    assert broken["reason"].endswith("broken.mcap: cannot be read: it is not an mcap file")
    now = status(done)
    assert (now["done"], now["failed"], now["left"]) == (2, 1, 0)
    assert now["failures"] == [(broken["name"], broken["recording"], broken["reason"])]


def test_any_reader_of_parquet_sees_windows_by_recording(done: Path) -> None:
    import pyarrow.dataset

    table = pyarrow.dataset.dataset(done / "windows", partitioning="hive").to_table()
    assert table.num_rows == status(done)["windows"]
    assert set(table.column("recording").to_pylist()) == set(Store(done).names())
    file = next((done / "windows").rglob("*.parquet"))
    schema = pq.read_schema(file)
    assert str(schema.field("context").type) == f"fixed_size_list<element: halffloat>[{4 * 4 * 32}]"
    assert str(schema.field("forecast").type) == f"fixed_size_list<element: halffloat>[{4 * 32}]"


def test_a_second_run_does_what_is_left(bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, told = tmp_path / "out", []
    copy = tmp_path / "bags"
    os.mkdir(copy)
    for name in ("bag0", "bag1"):
        (copy / name).symlink_to(bags / name)
    finish = Run.finish

    def interrupted(self: Run) -> None:
        if Store(out).names():
            raise KeyboardInterrupt
        finish(self)

    monkeypatch.setattr(Run, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        running.run(fleets.plan(out, copy / "*"))
    (first,) = Store(out).names()
    assert [line["state"] for line in lines(out)] == ["done", "left"] and status(out)["left"] == 1
    written = (Store(out).folder(first) / "part-0.parquet").stat().st_mtime_ns
    monkeypatch.setattr(Run, "finish", finish)
    manifest = running.run(fleets.plan(out, copy), progress=lambda *what: told.append(what))
    assert told == [("recordings", 2, 2)] and manifest["state"] == "finished"
    assert (Store(out).folder(first) / "part-0.parquet").stat().st_mtime_ns == written
    assert len(fleets.tables(out)) == 2 and os.listdir(out / ".work") == [work_folder.LOCK]


def test_a_full_disk_leaves_what_is_whole(bags: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sizes = [table.path.stat().st_size for table in fleets.tables_of(bags, tmp_path / "sizes")]
    smaller, larger = sorted(sizes)
    with trainings.largest_file((smaller + larger) // 2), pytest.raises(OSError) as raised:
        running.run(fleets.plan(out, bags / "bag1", bags / "bag0"))
    assert "part-0.parquet" in raised.value.filename
    assert [table.path.stat().st_size for table in fleets.tables(out)] == [smaller]
    assert (status(out)["done"], status(out)["left"], status(out)["failed"]) == (1, 1, 0)
    assert running.run(fleets.plan(out, bags / "bag1", bags / "bag0"))["done"] == 2


def test_what_fails_is_tried_again_by_the_next_run(bags: Path, tmp_path: Path) -> None:
    out, bag = tmp_path / "out", tmp_path / "bag"
    bag.mkdir()
    (bag / "a.mcap").write_bytes(b"not yet whole")
    said: list[str] = []
    assert running.run(fleets.plan(out, bag), say=said.append)["failed"] == 1
    assert said[-1].startswith(f"{name_of(str(bag))}: failed: ")
    (bag / "a.mcap").unlink()
    for file in (bags / "bag1").iterdir():
        (bag / file.name).symlink_to(file)
    assert running.run(fleets.plan(out, bag))["failed"] == 0
    assert status(out)["failures"] == [] and len(fleets.tables(out)) == 1


def test_who_dies_of_a_recording_is_not_given_it_for_ever(bags: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    running.run(fleets.plan(out, bags / "bag0"))
    bag = str(bags / "bag1")
    for _ in range(MOST_ATTEMPTS):  # workers that began it, and never came back
        Store(out).begun(name_of(bag))
    result = Worker(fleets.plan(out, bag))(bag)
    assert result.state == "failed" and result.reason == f"the worker that had it died, {MOST_ATTEMPTS} times"
    assert Worker(fleets.plan(out, bag))(bag).state == "done", "that is over, and the next run tries again"
    assert Worker(fleets.plan(out, bag))(bag).state == "there"


def test_of_two_workers_with_the_same_recording_one_is_heard(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("windows", "failed", ".work"):
        (tmp_path / name).mkdir()
    with store.writing("a") as first, store.writing("a") as second:
        (first / "part-0.parquet").write_text("first")
        (second / "part-0.parquet").write_text("second")
        assert store.publish(first, "a", {"rows": 1}) and not store.publish(second, "a", {"rows": 2})
    assert store.report("a") == {"rows": 1} and not list((tmp_path / ".work").iterdir())
    assert (store.folder("a") / "part-0.parquet").read_text() == "first"


def test_other_rows_are_never_mixed_in(bags: Path, done: Path, tmp_path: Path) -> None:
    for values, options, named in (({"hop": 4}, {}, "hop"), ({}, {"kept_steps": 1}, "kept_steps")):
        with pytest.raises(OutputError, match=rf"has rows of other parameters in it \({named}\).*`force`"):
            running.run(fleets.plan(done, bags, values=values, **options))
    assert running.run(fleets.plan(done, bags, values={"threads": 2}))["done"] == 2, "they say who computes"
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").write_text("kept")
    with pytest.raises(OutputError, match="is there already; `force` replaces it"):
        running.run(fleets.plan(out, bags))
    assert (out / "precious").read_text() == "kept"
    with pytest.raises(OutputError, match="would replace, or lie in"):
        running.run(fleets.plan(bags / "bag0" / "out", bags))
    with pytest.raises(OutputError, match="is no folder of vjepa_fleet"):
        status(out)


def test_as_much_context_is_kept_as_is_asked_for(bags: Path, tmp_path: Path, done: Path) -> None:
    for steps in (0, 1):
        out = tmp_path / str(steps)
        running.run(fleets.plan(out, bags / "bag1", kept_steps=steps))
        (table,) = fleets.tables(out)
        assert table.shape("context") == (steps, 2, 2, 32)
        whole = fleets.tables(done)[1]
        for row, other in zip(table, whole, strict=True):
            np.testing.assert_array_equal(row.context, other.context[4 - steps :])


def test_a_table_that_is_damaged_is_named(done: Path, tmp_path: Path) -> None:
    path = tmp_path / "part-0.parquet"
    path.write_bytes(fleets.tables(done)[0].path.read_bytes()[:-100])
    with pytest.raises(BagError, match=r"part-0\.parquet: is no whole table of windows"):
        Table(path)


def test_workers_share_the_cores(tmp_path: Path) -> None:
    def threads(**options: Any) -> Any:
        return with_threads(Plan(["a"], {}, tmp_path, **options), cores=8).values.get("threads")

    assert threads(workers=2) == 4 and threads(workers=3) == 2 and threads(workers=16) == 1
    assert threads(workers=0) is None and threads(workers=2, address="10.0.0.1:6379") is None
    assert with_threads(Plan(["a"], {"threads": 3}, tmp_path, workers=2)).values["threads"] == 3


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"bags": []}, "bags"), ({"formats": ("csv",)}, "formats"), ({"workers": -1}, "workers"),
        ({"kept_steps": -1}, "kept_steps"), ({"gpus": -0.5}, "gpus"), ({"task": "two\nlines"}, "task"),
        ({"workers": 0, "address": "there"}, "address"),
    ],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_is_refused(options: dict[str, Any], field: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        Plan(**{"bags": ["a"], "values": {}, "out": tmp_path, **options})
    assert raised.value.parameter == field
