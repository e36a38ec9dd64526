"""What is no dataset that can be read, and keys that are missing or ambiguous: a sentence, which says what is there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import lerobot
from support.lerobot import CAMERAS, JOINTS, Form
from support.replays import PARAMS

import vjepa_ros
from vjepa_ros.errors import BagError
from vjepa_ros.recordings.bag import Recording

EPISODES = [lerobot.episode(20, 0), lerobot.episode(18, 1)]
FRONT, WRIST = CAMERAS
INFO = "meta/info.json"


def refusal(dataset: Path, *others: Path, settings: dict[str, Any] | None = None, **topics: str) -> str:
    """What is said instead of reading it."""
    with pytest.raises(BagError) as caught:
        next(vjepa_ros.read_windows(dataset, *others, params=PARAMS, settings=settings or {}, topics=topics))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 900
    return str(caught.value)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Form().write(tmp_path_factory.mktemp("dataset") / "dataset", EPISODES)


@pytest.fixture
def dataset(written: Path, tmp_path: Path) -> Path:
    """One of its own for each test."""
    shutil.copytree(written, tmp_path / "dataset")
    return tmp_path / "dataset"


def change(dataset: Path, how: Callable[[dict[str, Any]], None]) -> None:
    """Write another info.json."""
    info = json.loads((dataset / INFO).read_text())
    how(info)
    (dataset / INFO).write_text(json.dumps(info))


def test_of_two_cameras_one_must_be_named(written: Path) -> None:
    said = refusal(written)
    assert said.startswith(f"{FRONT}, {WRIST} could each be image") and said.endswith("say which with `topics.image`")


def test_a_key_that_is_not_there_is_refused_with_those_that_are(written: Path) -> None:
    said = refusal(written, image="observation.images.side")
    assert "there is no topic observation.images.side; there are" in said
    assert all(key in said for key in (FRONT, WRIST, "action", "observation.state"))
    assert "there is no topic joint_angles; there are action" in refusal(
        written, image=FRONT, joint_states="joint_angles"
    )


def test_a_key_of_another_kind_is_refused(written: Path) -> None:
    said = refusal(written, image="action")
    assert "`topics.image`: action is sensor_msgs/msg/JointState, not sensor_msgs/msg/Image" in said
    settings = {"actions.type": "JointTrajectory"}
    said = refusal(written, image=FRONT, settings=settings)
    assert said.endswith("action is sensor_msgs/msg/JointState, not trajectory_msgs/msg/JointTrajectory")


@pytest.mark.parametrize(("gone", "name"), [("action", "joint_commands"), ("observation.state", "joint_states")])
def test_a_feature_that_is_missing(dataset: Path, gone: str, name: str) -> None:
    change(dataset, lambda info: info["features"].pop(gone))
    said = refusal(dataset, image=FRONT)
    kept = {"action": "observation.state", "observation.state": "action"}[gone]
    assert f"there is no topic named like {name} " in said and f"`topics.{name}`; there are {kept} (" in said


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (list(JOINTS[:6]), "has 6 names in meta/info.json for 7 numbers"),
        ([*JOINTS[:6], JOINTS[0]], f"has the name '{JOINTS[0]}' twice in meta/info.json"),
        ({"motors": list(JOINTS), "axes": list(JOINTS)}, "has names in meta/info.json that are no list of texts"),
        (dict.fromkeys(JOINTS, 0), "has names in meta/info.json that are no list of texts"),
        ("abcdefg", "has names in meta/info.json that are no list of texts: 'abcdefg'"),
        ([*JOINTS[:6], ""], "has names in meta/info.json that are empty"),
        ([*JOINTS[:6], "a\nb"], "has names in meta/info.json that are empty, too long or cannot be printed"),
    ],
)
def test_names_that_say_nothing(dataset: Path, names: Any, why: str) -> None:
    change(dataset, lambda info: info["features"]["action"].update(names=names))
    assert f"`topics.joint_commands`: action {why}" in refusal(dataset, image=FRONT)


@pytest.mark.parametrize(
    ("feature", "why"),
    [
        ({"dtype": "video", "info": {"is_depth_map": True}}, "holds depth, not colours"),
        ({"dtype": "image", "video_info": {"video.is_depth_map": True}}, "holds depth, not colours"),
        ({"dtype": "float32", "shape": [48, 64]}, "is 'float32' of shape [48, 64], neither a camera nor a row of"),
        ({"dtype": "string", "shape": [1]}, "is 'string' of shape [1], neither a camera nor a row of numbers"),
        (
            {"dtype": "float32", "shape": [10**12], "names": None},
            "has 1,000,000,000,000 numbers a row, more than 1,000",
        ),
        ("video", "is None of shape None, neither a camera nor a row of numbers"),
    ],
)
def test_what_is_not_read_is_said_with_the_reason(dataset: Path, feature: Any, why: str) -> None:
    change(dataset, lambda info: info["features"].update({"observation.other": feature}))
    assert f"`topics.image`: observation.other {why}" in refusal(dataset, image="observation.other")
    with Recording([dataset]) as recording:
        assert f"{dataset}: its features observation.other are not read" in recording.notes


def test_features_that_no_topic_can_be_called(dataset: Path) -> None:
    camera = {"dtype": "video", "shape": [48, 64, 3]}
    change(dataset, lambda info: info["features"].update({"a\nb": camera, "x" * 300: camera, "two words": {}}))
    with Recording([dataset]) as recording:
        assert recording.notes[1:] == [
            f"{dataset}: 3 of its features have names that ROS does not know, and are left out"
        ]
        assert set(recording.topics) == {FRONT, WRIST, "action", "observation.state"} and not recording.unusable


@pytest.mark.parametrize("version", ["v2.1", "v2.0", "1.6"])
def test_older_layouts_are_recognised(dataset: Path, version: str) -> None:
    change(dataset, lambda info: info.update(codebase_version=version))
    assert refusal(dataset) == (
        f"{dataset}: its layout is {version}, and v3.0 is what is read: convert it with convert_dataset_v21_to_v30, "
        "which lerobot brings, and give what that writes"
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"codebase_version": "v4.0"}, "its layout is v4.0, and v3.0 is what is read"),
        ({"codebase_version": None}, "its meta/info.json has codebase_version None, and v3.0 is what is read"),
        ({"fps": 0}, "its meta/info.json has fps 0, no rate from 0.001 to 10000 Hz"),
        ({"fps": "30"}, "has fps '30', no rate"),
        ({"fps": float("nan")}, "has fps nan, no rate"),
        ({"fps": True}, "has fps True, no rate"),
        ({"features": []}, "its meta/info.json does not describe a dataset"),
        (
            {"data_path": "../data/{chunk_index}.parquet"},
            "has a data_path that leaves the dataset's folder: '../data/0",
        ),
        ({"data_path": "/etc/passwd"}, "has a data_path that leaves the dataset's folder: '/etc/passwd'"),
        ({"data_path": "a/../../b"}, "has a data_path that leaves the dataset's folder"),
        ({"video_path": "{video_key}/../../x.mp4"}, "has a video_path that leaves the dataset's folder"),
        ({"data_path": "{chunk_index.__class__}"}, "has a data_path with other fields than are known"),
        ({"data_path": "{chunk_index:0999999999d}"}, "has a data_path with other fields than are known"),
        ({"data_path": "{episode_index}.parquet"}, "has a data_path with other fields than are known"),
        ({"data_path": "data/a\nb"}, "has a data_path that cannot be printed: 'data/a\\nb'"),
        ({"data_path": "data/a\0b"}, "has a data_path that cannot be printed: 'data/a\\x00b'"),
        ({"data_path": None}, "has no data_path that can be used: None"),
        ({"video_path": "x" * 999}, "has no video_path that can be used: 'xxx"),
    ],
)
def test_an_info_that_cannot_be_used(dataset: Path, more: dict[str, Any], why: str) -> None:
    change(dataset, lambda info: info.update(more))
    said = refusal(dataset)
    assert said.startswith(f"{dataset}: ") and why in said


def test_an_info_that_is_no_text(dataset: Path) -> None:
    (dataset / INFO).write_bytes(b"\xff\xfe")
    assert f"{dataset}: its meta/info.json is not UTF-8" in refusal(dataset)
    (dataset / INFO).write_text("[" * 100_000)
    assert f"{dataset}: its meta/info.json has more than 32 values inside of each other" in refusal(dataset)
    (dataset / INFO).unlink()
    os.mkfifo(dataset / INFO)
    assert f"{dataset}: its meta/info.json is a pipe, a socket or a device, not a file" in refusal(dataset)


def test_a_dataset_without_episodes(dataset: Path) -> None:
    shutil.rmtree(dataset / "meta/episodes")
    assert refusal(dataset) == f"{dataset}: there are no tables in meta/episodes"
    place = dataset / "meta/episodes/chunk-000/file-000.parquet"
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    said = f"{dataset}: meta/episodes/chunk-000/file-000.parquet: is a pipe, a socket or a device, not a file"
    assert refusal(dataset) == said
    place.unlink()
    place.write_bytes(b"PAR1" + b"\0" * 100 + b"PAR1")
    assert "file-000.parquet: is no parquet table that can be read: " in refusal(dataset)


def test_parts_of_a_dataset_are_none(written: Path) -> None:
    for part in ("data/chunk-000/file-000.parquet", f"videos/{FRONT}/chunk-000/file-000.mp4", INFO):
        assert refusal(written / part).endswith(f"is a part of a LeRobotDataset: give its folder, {written}")
    assert refusal(written.parent).endswith("holds datasets and is none: give one of them: 'dataset'")
