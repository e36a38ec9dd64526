"""The LeRobotDataset of a fleet: info.json, episodes and times as the format has them, and read by several readers."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from support import bags as bags_of
from support import fleets, recorded, trainings

from vjepa_ros.config.node import resolve
from vjepa_ros.fleet import lerobot, running
from vjepa_ros.fleet.frames import FrameWriter, picture
from vjepa_ros.fleet.lerobot_stats import QUANTILES, Stats
from vjepa_ros.fleet.names import name_of
from vjepa_ros.fleet.store import Store
from vjepa_ros.fleet.table import Table
from vjepa_ros.recordings.windows import read_windows

CAMERA = "observation.images.camera"
RATE = {"frame_rate": 10.0}
TOLERANCE_S = 1e-4  # lerobot's own, between a row and its frame


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
    stats, told = json.loads((dataset / "meta/stats.json").read_text()), episodes(dataset)
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
        for kind, share in QUANTILES.items():
            own = [line[f"stats/{name}/{kind}"] for line in told]
            first = values[: told[0]["length"]]
            np.testing.assert_allclose(own[0], np.quantile(first, share, axis=0), rtol=1e-6, atol=1e-9)
            np.testing.assert_array_equal(stats[name][kind], np.min(own, 0) if share <= 0.5 else np.max(own, 0))
    for name in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
        values = np.concatenate([one[name] for one in rows])
        found = [stats[name][kind] for kind in ("min", "max", "count")]
        assert found == [[values.min()], [values.max()], [len(values)]]
    picture_stats = stats[CAMERA]
    for lower, upper in pairwise(("min", "q01", "q10", "q50", "q90", "q99", "max")):
        assert np.all(np.array(picture_stats[lower]) <= picture_stats[upper])
    assert np.shape(picture_stats["mean"]) == (3, 1, 1) and 0 < np.min(picture_stats["std"]) < 0.5
    assert np.all(np.array(picture_stats["min"]) <= picture_stats["mean"]) and np.max(picture_stats["max"]) <= 1
    line = told[0]
    assert line["stats/action/count"] == [line["length"]] and len(line["stats/action/mean"]) == 7


def test_levels_are_described_as_their_pixels_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (999, 3)) // (1, 2, 5)
    counts = np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(3)])
    found, shares = Stats.of_levels(counts, 7), pixels / 255
    want = {"min": shares.min(0), "max": shares.max(0), "mean": shares.mean(0), "std": shares.std(0)}
    want |= {kind: np.quantile(shares, share, axis=0, method="inverted_cdf") for kind, share in QUANTILES.items()}
    assert set(found.values) == set(want) and found.count == 7
    for kind, values in want.items():
        np.testing.assert_allclose(found.values[kind], values, atol=1e-6)


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


def test_the_rate_is_that_of_windows_that_follow_each_other(tmp_path: Path) -> None:
    """The first recording has one window only, the last one's come half as often."""
    images = sorted(m.stamp_ns for m in trainings.cut(2, 4) if m.topic == recorded.CAMERA)
    slow = [m for m in trainings.cut(2, 4) if m.topic != recorded.CAMERA or m.stamp_ns not in images[::2]]
    bags = trainings.write(tmp_path / "bags", trainings.cut(0, 0.45), trainings.cut(4, 6), slow)
    said: list[str] = []
    running.run(fleets.plan(tmp_path / "out", tmp_path / "bags", formats=("parquet", "lerobot")), say=said.append)
    assert tables(tmp_path / "out/lerobot")[0].rows == 1
    info = json.loads((tmp_path / "out/lerobot/meta/info.json").read_text())
    assert (info["fps"], info["total_episodes"]) == (10, 2)
    name = name_of(str(bags[2]))
    assert said[-1] == f"{name}: is left out of the dataset: its windows come at 5 Hz, not 10"


@pytest.mark.parametrize(("frame_rate", "fps"), [(10.0, 5), (9.95, 4.975)])
def test_a_rate_that_is_asked_for_is_not_rounded(frame_rate: float, fps: float, tmp_path: Path) -> None:
    config = resolve({**fleets.VALUES, "frame_rate": frame_rate})
    found = lerobot._rate(Store(tmp_path), [], config)
    assert found == fps and type(found) is type(fps)


@pytest.mark.parametrize(("values", "periods"), [({"num_frames": 4, "hop": 4}, 8), ({"num_frames": 2, "hop": 6}, 8)])
def test_a_pause_between_windows_that_share_no_frame_ends_an_episode(
    values: dict[str, Any], periods: int, tmp_path: Path
) -> None:
    values = {**fleets.VALUES, **RATE, **values, "context_steps": 1}
    whole, at_s = trainings.cut(0, 6), [3.0, 3.0 + periods / 10]
    first_ns = whole[0].received_ns
    paused = [
        message for message in whole
        if message.topic != recorded.CAMERA or not at_s[0] <= (message.received_ns - first_ns) / bags_of.S < at_s[1]
    ]  # fmt: skip
    counts = []
    for name, messages in (("whole", whole), ("paused", paused)):
        writer = FrameWriter(tmp_path / f"{name}.mp4", resolve(values))
        for window in read_windows(bags_of.write(tmp_path / name, messages), settings=values):
            writer.add(window)
        writer.close()
        counts.append([one["rows"] for one in writer.episodes])
    assert len(counts[0]) == 1 and len(counts[1]) == 2 and min(counts[1]) > 2


@pytest.mark.parametrize(
    ("reduction", "hop", "is_known"), [("sum", 2, True), ("sum", 4, True), ("pose_delta", 2, True), ("sum", 8, False)]
)
def test_what_was_commanded_replaces_a_guess(reduction: str, hop: int, is_known: bool, tmp_path: Path) -> None:
    """Where a later window has the step; in an episode's last row, or where no other window has it, the guess stays."""
    (bag,) = trainings.write(tmp_path, trainings.cut(1, 4))
    values = {"actions.reduction": reduction, "hop": hop}
    running.run(fleets.plan(tmp_path / "out", bag, values=values))
    (table,) = fleets.tables(tmp_path / "out")
    rows = list(table)
    known = {stamp: row.actions[step] for row in rows for step, stamp in enumerate(row.step_stamps_ns[:-1].tolist())}
    want = [known.get(row.step_stamps_ns[-1], row.actions[-1]) for row in rows]
    guessed = [row.step_stamps_ns[-1] not in known for row in rows]
    assert guessed == [not is_known] * (len(rows) - 1) + [True]
    found = lerobot._read(table, resolve({**fleets.VALUES, **values}))["action"]
    np.testing.assert_array_equal(found, np.array(want, np.float32))
    assert np.allclose(found, [row.actions[-1] for row in rows]) != is_known, "the sample is not still"


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
