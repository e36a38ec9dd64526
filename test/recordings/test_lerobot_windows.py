"""A LeRobotDataset gives the windows that a bag of each of its episodes gives, and none that spans two episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import lerobot
from support.lerobot import CAMERAS, JOINTS, Form
from support.replays import PARAMS

import vjepa_ros
from vjepa_ros.errors import BagError
from vjepa_ros.stream.window import Window

EPISODES = [lerobot.episode(length, seed) for seed, length in enumerate((40, 23, 30, 15, 20))]
FRONT, WRIST = CAMERAS


def read(*paths: Path, camera: str | None = FRONT, said: list[str] | None = None, **settings: Any) -> list[Window]:
    """The windows of a recording."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    topics = {} if camera is None else {"image": camera}
    say = (lambda sentence: None) if said is None else said.append
    return list(vjepa_ros.read_windows(*paths, params=PARAMS, settings=named, topics=topics, say=say))


def of_bags(
    folder: Path, episodes: Sequence[lerobot.Episode], fps: float, camera: str, **settings: Any
) -> list[Window]:
    """The windows of a bag for each episode, one after another; each has epoch 0."""
    found = []
    starts = lerobot.starts_ns(list(episodes), fps)
    for number, (one, start_ns) in enumerate(zip(episodes, starts, strict=True)):
        found += read(lerobot.bag(folder / f"bag_{number}", one, start_ns, fps, camera), camera=None, **settings)
    return found


def assert_alike(got: list[Window], want: list[Window]) -> None:
    """Bit by bit, but for the epoch."""
    assert len(got) == len(want) > 0
    for one, other in zip(got, want, strict=True):
        assert one.number == other.number and one.late == other.late == 0
        assert [f.stamp_ns for f in one.frames] == [f.stamp_ns for f in other.frames]
        np.testing.assert_array_equal(one.clip, other.clip)
        np.testing.assert_array_equal(one.step_stamps_ns, other.step_stamps_ns)
        for part in ("actions", "states", "future"):
            np.testing.assert_array_equal(getattr(one, part).values, getattr(other, part).values)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"frame_rate": 10.0},
        {"latents__horizon": 3},
        {"actions__reduction": "sum"},
        {"actions__alignment": "linear", "states__alignment": "linear", "window__max_gap_s": 100.0,
         "actions__timeout_s": 1000.0, "states__timeout_s": 1000.0},
    ],
)  # fmt: skip
def test_windows_are_those_of_a_bag_of_each_episode(tmp_path: Path, settings: dict[str, Any]) -> None:
    dataset = Form().write(tmp_path / "dataset", EPISODES)
    got = read(dataset, **settings)
    assert_alike(got, of_bags(tmp_path, EPISODES, 20, FRONT, **settings))
    starts = lerobot.starts_ns(EPISODES, 20)
    for window in got:  # the fourth is too short for one
        assert window.epoch in (0, 1, 2, 4)
        begins = starts[window.epoch]
        ends = begins + len(EPISODES[window.epoch]) * lerobot.S // 20
        assert all(begins <= frame.stamp_ns < ends for frame in window.frames)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("form", [Form(fps=7), Form(in_videos=False, per_table=1), Form(per_table=9, per_video=9)])
def test_cameras_in_videos_and_in_tables(tmp_path: Path, form: Form, camera: str) -> None:
    dataset = form.write(tmp_path / "dataset", EPISODES[:3])
    assert_alike(read(dataset, camera=camera), of_bags(tmp_path, EPISODES[:3], form.fps, camera))


def test_frames_are_those_of_the_row_whatever_the_order_of_decoding(tmp_path: Path) -> None:
    """Frames that hang on later ones (B frames) come in the order of time; lossy, so only nearly."""
    smooth = [np.repeat(np.arange(30, dtype=np.uint8) * 8, 48 * 64 * 3).reshape(30, 48, 64, 3)] * 2
    episodes = [lerobot.Episode(one.action, one.state, {FRONT: smooth[0]}) for one in (EPISODES[2], EPISODES[2])]
    codec = ("libx264", "yuv420p", {"bf": "3", "crf": "1", "g": "12"})
    got = read(Form(codec=codec).write(tmp_path / "dataset", episodes), camera=None)
    want = of_bags(tmp_path, episodes, 20, FRONT)
    assert [[f.stamp_ns for f in w.frames] for w in got] == [[f.stamp_ns for f in w.frames] for w in want]
    for one, other in zip(got, want, strict=True):
        assert np.abs(np.asarray(one.clip) - np.asarray(other.clip)).max() < 8 / 255 / 0.225 / 2


@pytest.mark.parametrize(
    "names", [list(JOINTS), {"axes": list(JOINTS)}, {name: place for place, name in enumerate(JOINTS)}]
)
def test_names_are_a_list_under_any_heading_or_places(tmp_path: Path, names: Any) -> None:
    plain = read(Form().write(tmp_path / "plain", EPISODES[:1]))
    assert_alike(read(Form(names=names).write(tmp_path / "other", EPISODES[:1])), plain)


def test_joints_are_found_by_name(tmp_path: Path) -> None:
    turned = lerobot.Episode(EPISODES[0].action[:, ::-1].copy(), EPISODES[0].state[:, ::-1].copy(), EPISODES[0].frames)
    plain = read(Form().write(tmp_path / "plain", EPISODES[:1]))
    assert_alike(read(Form(names=list(JOINTS[::-1])).write(tmp_path / "other", [turned])), plain)


def test_numbers_without_names_are_called_dim(tmp_path: Path) -> None:
    said: list[str] = []
    dataset = Form(names=None).write(tmp_path / "other", EPISODES[:1])
    got = read(dataset, joint_names=[f"dim_{index}" for index in range(7)], said=said)
    assert_alike(got, read(Form().write(tmp_path / "plain", EPISODES[:1])))
    made_up = "action (dim_0 to dim_6), observation.state (dim_0 to dim_6)"
    assert f"{dataset}: names are made up for the numbers of {made_up}, which have none" in said


def test_another_row_of_numbers_may_be_named(tmp_path: Path) -> None:
    one = EPISODES[0]
    feature = {"dtype": "float64", "shape": [7], "names": list(JOINTS)}
    more = {"action.target": (feature, lambda length: (one.action.astype(np.float64) * 2).tolist())}
    dataset = Form(more=more).write(tmp_path / "dataset", [one])
    topics = {"image": FRONT, "joint_commands": "action.target"}
    got = list(vjepa_ros.read_windows(dataset, params=PARAMS, topics=topics))
    for window, plain in zip(got, read(dataset), strict=True):
        np.testing.assert_array_equal(window.actions.values, 2 * plain.actions.values)


def test_a_dataset_is_a_recording_of_its_own(tmp_path: Path) -> None:
    dataset = Form().write(tmp_path / "dataset", EPISODES[:1])
    other = lerobot.bag(tmp_path / "bag", EPISODES[0], lerobot.S, 20, FRONT)
    for paths in ((dataset, other), (other, dataset), (dataset, dataset)):
        with pytest.raises(BagError, match="a dataset is a recording of its own, with times of its own: give it alone"):
            read(*paths)


def test_it_is_read_twice_alike(tmp_path: Path) -> None:
    dataset = Form().write(tmp_path / "dataset", EPISODES)
    first, second = read(dataset), read(dataset)
    assert_alike(first, second)
    assert [window.epoch for window in first] == [window.epoch for window in second]


def test_tables_as_pandas_writes_them(tmp_path: Path) -> None:
    """Whole numbers as floats, lists of any length, another column for its index, and rows in one group."""
    dataset = Form(per_table=5).write(tmp_path / "dataset", EPISODES[:3])
    place = dataset / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(place).to_pylist()
    for number, row in enumerate(rows):
        row |= {name: float(row[name]) for name in row if name.endswith("_index")} | {"__index_level_0__": number}
    pq.write_table(pa.Table.from_pylist(rows), place)
    place = dataset / "data/chunk-000/file-000.parquet"
    pq.write_table(pa.Table.from_pylist(pq.read_table(place).to_pylist()), place)
    assert_alike(read(dataset), read(Form().write(tmp_path / "plain", EPISODES[:3])))


def test_rows_and_parts_in_another_order(tmp_path: Path) -> None:
    """Episodes whose parts of a video lie the other way round: the video is begun anew."""
    dataset = Form(per_video=5).write(tmp_path / "dataset", EPISODES[:3])
    place = dataset / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(place).to_pylist()
    turned = EPISODES[:3][::-1]
    at_s = 0.0
    for row, one in zip(rows[::-1], turned, strict=True):
        row[f"videos/{FRONT}/from_timestamp"], at_s = at_s, at_s + len(one) / 20
        row[f"videos/{FRONT}/to_timestamp"] = at_s
    pq.write_table(pa.Table.from_pylist(rows[::-1]), place)
    video = dataset / f"videos/{FRONT}/chunk-000/file-000.mp4"
    lerobot.encode(video, [one.frames[FRONT] for one in turned], 20)
    assert_alike(read(dataset), read(Form().write(tmp_path / "plain", EPISODES[:3])))
