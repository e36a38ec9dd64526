"""The LeRobotDataset of a fleet: info.json, episodes and times as the format has them, and read by several readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from support import fleets, trainings

from vjepa_ros.fleet import running
from vjepa_ros.fleet.frames import picture
from vjepa_ros.fleet.table import Table
from vjepa_ros.recordings.windows import read_windows

CAMERA = "observation.images.camera"
RATE = {"frame_rate": 10.0}
TOLERANCE_S = 1e-4  # lerobot's own, between a row and its frame


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bags")
    fleets.recordings(folder)
    return folder


@pytest.fixture(scope="module")
def dataset(bags: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fleet") / "out"
    options: dict[str, Any] = {"formats": ("parquet", "lerobot"), "task": "pick the cube"}
    running.run(fleets.plan(out, bags, values=RATE, **options))
    return out / "lerobot"


def episodes(dataset: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(dataset / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    return found


def tables(dataset: Path) -> list[Table]:
    return fleets.tables(dataset.parent)


def test_info_says_what_is_there(dataset: Path) -> None:
    info = json.loads((dataset / "meta/info.json").read_text())
    rows = sum(table.rows for table in tables(dataset))
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 5, rows)
    assert info["total_episodes"] == len(episodes(dataset)) == 3 and info["splits"] == {"train": "0:3"}
    features = info["features"]
    assert features["action"] == {"dtype": "float32", "shape": [7], "names": trainings.VALUES["joint_names"]}
    assert features["observation.latents"] == {"dtype": "float16", "shape": [2 * 2 * 32], "names": None}
    assert features[CAMERA]["shape"] == [64, 64, 3] and features[CAMERA]["info"]["video.fps"] == 5
    assert pq.read_table(dataset / "meta/tasks.parquet").to_pandas().to_dict() == {"task_index": {"pick the cube": 0}}
    assert f"videos/{CAMERA}/chunk_index" in episodes(dataset)[0]


def test_rows_are_the_windows(dataset: Path) -> None:
    index, files = 0, sorted((dataset / "data").rglob("*.parquet"))
    told = episodes(dataset)
    for number, (file, table) in enumerate(zip(files, tables(dataset), strict=True)):
        rows = pq.read_table(file).to_pydict()
        own = [line for line in told if line["data/file_index"] == number]
        assert file == dataset / f"data/chunk-000/file-{number:03d}.parquet"
        assert sum(line["length"] for line in own) == table.rows == len(rows["index"])
        for row, window in enumerate(table):
            np.testing.assert_array_equal(rows["action"][row], window.actions[-1].astype(np.float32))
            np.testing.assert_array_equal(rows["observation.state"][row], window.states[-1].astype(np.float32))
            np.testing.assert_array_equal(rows["observation.latents"][row], window.context[-1].reshape(-1))
        assert rows["index"] == list(range(index, index + table.rows))
        for line in own:
            at = line["dataset_from_index"] - index
            assert rows["episode_index"][at : at + line["length"]] == [line["episode_index"]] * line["length"]
            assert rows["frame_index"][at : at + line["length"]] == list(range(line["length"]))
            np.testing.assert_allclose(rows["timestamp"][at : at + line["length"]], np.arange(line["length"]) / 5, 1e-6)
            assert line["dataset_to_index"] - line["dataset_from_index"] == line["length"]
            assert line["tasks"] == ["pick the cube"]
        index += table.rows


def test_videos_have_a_frame_for_every_row(dataset: Path, bags: Path) -> None:
    for number, bag in enumerate(sorted(bags.iterdir())):
        own = [line for line in episodes(dataset) if line[f"videos/{CAMERA}/file_index"] == number]
        with av.open(str(dataset / f"videos/{CAMERA}/chunk-000/file-{number:03d}.mp4")) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264" and stream.average_rate == 5
            frames = list(container.decode(stream))
        times_s = [float(frame.pts * frame.time_base) for frame in frames]
        asked_s = [line[f"videos/{CAMERA}/from_timestamp"] + row / 5 for line in own for row in range(line["length"])]
        np.testing.assert_allclose(times_s, asked_s, atol=TOLERANCE_S)
        assert own[-1][f"videos/{CAMERA}/to_timestamp"] == pytest.approx(len(frames) / 5)
        windows = list(read_windows(bag, settings={**fleets.VALUES, **RATE}))
        for frame, window in zip(frames, windows, strict=True):
            (seen,) = {
                one.image.tobytes(): one for one in window.frames if one.stamp_ns == window.step_stamps_ns[-1]
            }.values()
            difference = np.abs(frame.to_ndarray(format="rgb24").astype(int) - picture(seen.image))
            assert difference.mean() < 6, "it is that frame, but for what coding takes away"


def test_statistics_are_those_of_the_rows(dataset: Path) -> None:
    stats = json.loads((dataset / "meta/stats.json").read_text())
    rows = [pq.read_table(file).to_pydict() for file in sorted((dataset / "data").rglob("*.parquet"))]
    for name in ("action", "observation.state"):
        values = np.concatenate([one[name] for one in rows])
        for kind, want in (
            ("min", values.min(0)),
            ("max", values.max(0)),
            ("mean", values.mean(0)),
            ("std", values.std(0)),
        ):
            np.testing.assert_allclose(stats[name][kind], want, rtol=1e-6, atol=1e-9)
        assert stats[name]["count"] == [len(values)]
    picture_stats = stats[CAMERA]
    assert np.shape(picture_stats["mean"]) == (3, 1, 1) and 0 < np.min(picture_stats["std"]) < 0.5
    assert np.all(np.array(picture_stats["min"]) <= picture_stats["mean"]) and np.max(picture_stats["max"]) <= 1
    line = episodes(dataset)[0]
    assert line["stats/action/count"] == [line["length"]] and len(line["stats/action/mean"]) == 7


def test_this_package_reads_it_as_a_recording(dataset: Path) -> None:
    values = {**fleets.VALUES, "frame_rate": 5.0, "num_frames": 2, "context_steps": 1}
    said: list[str] = []
    windows = list(read_windows(dataset, settings=values, say=said.append))
    assert len({window.epoch for window in windows}) == 3, "an episode is an epoch"
    first = pq.read_table(dataset / "data/chunk-000/file-000.parquet", columns=["action"]).to_pydict()["action"]
    np.testing.assert_allclose(windows[0].actions.values[0], first[0], rtol=1e-6)
    assert not [sentence for sentence in said if "announced" in sentence]


def test_a_dataset_is_made_anew_where_recordings_come_to_it(bags: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "out", {"formats": ("parquet", "lerobot")}
    running.run(fleets.plan(out, bags / "bag0", **options))
    assert json.loads((out / "lerobot/meta/info.json").read_text())["total_episodes"] == 2
    running.run(fleets.plan(out, bags, **options))
    info = json.loads((out / "lerobot/meta/info.json").read_text())
    assert info["total_episodes"] == 3 and info["fps"] == 10, "frame_rate 0: as the camera had it"


def test_datasets_reads_it(dataset: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = [str(file) for file in sorted((dataset / "data").rglob("*.parquet"))]
    read = datasets.Dataset.from_parquet(files, cache_dir=str(dataset.parent / "cache"))
    table = tables(dataset)[0]
    assert len(read) == sum(one.rows for one in tables(dataset)) and len(read[0]["action"]) == 7
    np.testing.assert_array_equal(np.asarray(read[0]["observation.latents"]), next(iter(table)).context[-1].reshape(-1))


def test_lerobot_reads_it(dataset: Path) -> None:
    lerobot = pytest.importorskip("lerobot.datasets.lerobot_dataset")
    read = lerobot.LeRobotDataset("fleet", root=dataset, video_backend="pyav")
    assert (read.num_episodes, read.num_frames, read.fps) == (3, sum(one.rows for one in tables(dataset)), 5)
    item = read[1]
    window = list(tables(dataset)[0])[1]
    np.testing.assert_allclose(item["action"], window.actions[-1], rtol=1e-6)
    assert item[CAMERA].shape == (3, 64, 64) and item["task"] == "pick the cube"
