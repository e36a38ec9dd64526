"""Datasets that are not whole: what is left is read, the rest is said and counted; and small files that claim much."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import lerobot
from support.lerobot import CAMERAS, Form

from vjepa_ros.errors import BagError
from vjepa_ros.recordings import lerobot_episodes, lerobot_video
from vjepa_ros.recordings.bag import Recording
from vjepa_ros.recordings.missing import Missing

EPISODES = [lerobot.episode(length, seed) for seed, length in enumerate((20, 18, 25))]
TOTAL = 63
FRONT, WRIST = CAMERAS
TOPICS = (FRONT, "action", "observation.state")
TABLE, VIDEO = "data/chunk-000/file-000.parquet", f"videos/{FRONT}/chunk-000/file-000.mp4"
TOLD = "meta/episodes/chunk-000/file-000.parquet"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Form().write(tmp_path_factory.mktemp("dataset") / "dataset", EPISODES)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Form(in_videos=False).write(tmp_path_factory.mktemp("pictures") / "dataset", EPISODES)


@pytest.fixture
def dataset(written: Path, tmp_path: Path) -> Path:
    """One of its own for each test."""
    return Path(shutil.copytree(written, tmp_path / "dataset"))


def read(dataset: Path, topics: tuple[str, ...] = TOPICS) -> tuple[Counter[str], list[Missing], list[str]]:
    """(how many messages came by topic, what is missing, what was said)."""
    with Recording([dataset]) as recording:
        found = Counter(message.topic for message in recording.messages(topics))
        return found, recording.incomplete, recording.notes


def whats(missing: list[Missing]) -> list[str]:
    return [entry.what for entry in missing]


def announced(topic: str, count: int, total: int = TOTAL) -> str:
    return f"{topic}: {total} messages are announced, and {count} were read"


def rewrite(place: Path, how: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Write a table with other rows, in one group."""
    table = pq.read_table(place)
    rows = table.to_pylist()
    rows = how(rows) or rows
    pq.write_table(pa.Table.from_pylist(rows, table.schema), place)


def test_a_whole_one_lacks_nothing(written: Path, pictures: Path) -> None:
    for dataset in (written, pictures):
        found, missing, notes = read(dataset)
        assert found == dict.fromkeys(TOPICS, TOTAL) and missing == []
        assert notes == [f"{dataset}: is a LeRobotDataset: 3 episodes at 20 Hz"]


def test_totals_that_are_not_there(dataset: Path) -> None:
    text = (dataset / "meta/info.json").read_text()
    text = text.replace('"total_episodes": 3', '"total_episodes": 5').replace(
        '"total_frames": 63', '"total_frames": 99'
    )
    (dataset / "meta/info.json").write_text(text)
    found, missing, _ = read(dataset)
    assert found == dict.fromkeys(TOPICS, TOTAL)
    assert whats(missing) == [
        *(announced(topic, TOTAL, 99) for topic in sorted(TOPICS)),
        "5 episodes are announced, and 3 are in meta/episodes",
    ]


def test_a_video_that_is_not_there_costs_its_frames_only(dataset: Path) -> None:
    (dataset / VIDEO).unlink()
    found, missing, notes = read(dataset)
    assert found == {"action": TOTAL, "observation.state": TOTAL}
    lost = f"{VIDEO}: 63 frames that meta/episodes places in it are not there"
    assert whats(missing) == [announced(FRONT, 0), f"{VIDEO}: there is no such file", lost]
    assert f"{dataset}: {lost}" in notes
    assert read(dataset, ("action", WRIST))[1] == []  # nobody asked for it


def test_a_video_that_is_a_pipe_is_not_waited_for(dataset: Path) -> None:
    (dataset / VIDEO).unlink()
    os.mkfifo(dataset / VIDEO)
    assert f"{VIDEO}: is a pipe, a socket or a device, not a file" in whats(read(dataset)[1])
    (dataset / TABLE).unlink()
    os.mkfifo(dataset / TABLE)
    assert f"{TABLE}: is a pipe, a socket or a device, not a file" in whats(read(dataset)[1])


def test_a_video_that_was_cut_off(dataset: Path) -> None:
    (dataset / VIDEO).write_bytes((dataset / VIDEO).read_bytes()[:5000])
    found, missing, _ = read(dataset)
    assert found[FRONT] == 0
    assert whats(missing)[1].startswith(f"{VIDEO}: cannot be read as a video: Invalid data found")


def test_a_video_that_is_too_short_does_not_lend_frames_of_the_next_episode(dataset: Path) -> None:
    """The second episode lost its last four frames, and the third follows at once."""
    frames = [one.frames[FRONT] for one in EPISODES]
    lerobot.encode(dataset / VIDEO, [frames[0], frames[1][:-4], frames[2]], 20)

    def shorten(rows: list[dict[str, Any]]) -> None:
        for row in rows[1:]:
            row[f"videos/{FRONT}/to_timestamp"] -= 0.2
        rows[2][f"videos/{FRONT}/from_timestamp"] -= 0.2

    rewrite(dataset / TOLD, shorten)
    with Recording([dataset]) as recording:
        by_time = {m.received_ns: m.message().data for m in recording.messages([FRONT])}
        assert whats(recording.incomplete) == [
            announced(FRONT, TOTAL - 4), f"{VIDEO}: 4 frames that meta/episodes places in it are not there",
        ]  # fmt: skip
    starts = lerobot.starts_ns(EPISODES, 20)
    for start_ns, shown, lost in zip(starts, frames, (0, 4, 0), strict=True):
        for k, frame in enumerate(shown):
            stamp_ns = start_ns + k * lerobot.S // 20
            if k < len(shown) - lost:
                np.testing.assert_array_equal(by_time.pop(stamp_ns), frame.reshape(-1))
    assert by_time == {}


def test_damage_in_a_video_costs_frames_until_one_that_hangs_on_no_other(dataset: Path) -> None:
    data = bytearray((dataset / VIDEO).read_bytes())
    data[len(data) // 5 : len(data) // 5 + 30] = random.Random(0).randbytes(30)  # in the first episode
    (dataset / VIDEO).write_bytes(data)
    with Recording([dataset]) as recording:
        by_time = {m.received_ns: m.message().data for m in recording.messages([FRONT])}
        (difference, *others) = whats(recording.incomplete)
    assert 38 <= len(by_time) < TOTAL and difference == announced(FRONT, len(by_time))
    assert any("of its packets or frames are damaged" in what for what in others)
    for one, start_ns in list(zip(EPISODES, lerobot.starts_ns(EPISODES, 20), strict=True))[1:]:
        for k, frame in enumerate(one.frames[FRONT]):
            np.testing.assert_array_equal(by_time[start_ns + k * lerobot.S // 20], frame.reshape(-1))


def test_another_codec_is_refused_with_those_that_are_read(dataset: Path) -> None:
    lerobot.encode(dataset / VIDEO, [EPISODES[0].frames[FRONT]], 20, ("mpeg4", "yuv420p", {}))
    assert f"{VIDEO}: is 'mpeg4', and h264, hevc, av1, vp9 are what is read" in whats(read(dataset)[1])


def test_a_playlist_in_place_of_a_video_opens_nothing(dataset: Path) -> None:
    """FFmpeg would follow it, were it asked what the file is."""
    whole = (dataset / VIDEO).rename(dataset / "whole.mp4")
    (dataset / VIDEO).write_text(f"#EXTM3U\n#EXTINF:1,\n{whole}\n")
    found, missing, _ = read(dataset)
    assert found[FRONT] == 0 and "cannot be read as a video" in whats(missing)[1]


def test_frames_of_more_pixels_than_are_decoded(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lerobot_video, "MOST_PIXELS", 48 * 64 - 1)
    assert f"{VIDEO}: has 64x48 px, and at most 3,071 px are decoded" in whats(read(dataset)[1])


@pytest.mark.parametrize("place", [TABLE, TOLD])
def test_a_table_that_was_cut_off(dataset: Path, place: str) -> None:
    data = (dataset / place).read_bytes()
    (dataset / place).write_bytes(data[: len(data) // 2])
    if place == TOLD:
        with pytest.raises(BagError, match=f"{TOLD}: is no parquet table that can be read: "):
            read(dataset)
    else:
        found, missing, _ = read(dataset)
        assert found == dict.fromkeys(TOPICS, 25)  # the other table
        assert whats(missing)[:3] == [announced(topic, 25) for topic in sorted(TOPICS)]
        assert whats(missing)[3].startswith(f"{TABLE}: is no parquet table that can be read: ")


def test_rows_that_are_not_where_they_belong(dataset: Path) -> None:
    def disorder(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[3], rows[4] = rows[4], rows[3]
        rows[7]["episode_index"] = 99
        rows[8]["frame_index"] = None
        rows[9]["observation.state"] = None
        return rows

    rewrite(dataset / TABLE, disorder)
    found, missing, _ = read(dataset)
    assert found == {FRONT: TOTAL - 3, "action": TOTAL - 3, "observation.state": TOTAL - 4}
    assert f"{TABLE}: 3 rows are not where meta/episodes has them, and are left out" in whats(missing)


def test_rows_that_no_episode_has_are_noted_and_missed_by_nobody(dataset: Path) -> None:
    rewrite(dataset / TABLE, lambda rows: [*rows, *[{**rows[-1], "episode_index": 7}] * 5])
    found, missing, notes = read(dataset)
    assert found == dict.fromkeys(TOPICS, TOTAL) and missing == []
    assert f"{dataset}: {TABLE} has 43 rows, of which 38 belong to episodes" in notes


def test_times_that_are_not_those_of_the_rate_are_noted(dataset: Path) -> None:
    def late(rows: list[dict[str, Any]]) -> None:
        for row in rows[10:14]:
            row["timestamp"] += 0.04

    rewrite(dataset / TABLE, late)
    _, missing, notes = read(dataset)
    assert missing == []
    assert f"{dataset}: {TABLE}: 4 rows have a timestamp that is not frame_index / fps, which decides" in notes


def test_episodes_without_a_number_a_length_or_twice(dataset: Path) -> None:
    def spoil(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0]["length"] = None
        return [*rows, rows[1]]

    rewrite(dataset / TOLD, spoil)
    found, missing, _ = read(dataset)
    assert found == dict.fromkeys(TOPICS, TOTAL - 20)
    said = "2 of the episodes in meta/episodes have no number, length or place, or are there twice, and are left out"
    assert said in whats(missing) and "3 episodes are announced, and 2 are in meta/episodes" in whats(missing)


def test_episodes_without_a_place_in_a_video(dataset: Path) -> None:
    rewrite(dataset / TOLD, lambda rows: rows[1].update({f"videos/{FRONT}/from_timestamp": float("nan")}))
    found, missing, _ = read(dataset)
    assert found[FRONT] == TOTAL - 18
    assert f"{FRONT}: 18 frames have no place in a video in meta/episodes" in whats(missing)


def test_episodes_that_last_longer_than_time_does(dataset: Path) -> None:
    rewrite(dataset / TOLD, lambda rows: rows[1].update(length=2**62))
    with pytest.raises(BagError, match="its episodes claim to last longer than time does"):
        read(dataset)


def test_more_episodes_than_there_can_be(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lerobot_episodes, "MOST_EPISODES", 2)
    with pytest.raises(BagError, match="has more than 2 episodes"):
        read(dataset)


def test_pictures_that_are_none(pictures: Path, tmp_path: Path) -> None:
    dataset = Path(shutil.copytree(pictures, tmp_path / "dataset"))

    def spoil(rows: list[dict[str, Any]]) -> None:
        rows[0][FRONT]["bytes"] = None
        rows[1][FRONT] = None
        rows[2][FRONT]["bytes"] = b""

    rewrite(dataset / TABLE, spoil)
    found, missing, _ = read(dataset)
    assert found == {FRONT: TOTAL - 3, "action": TOTAL, "observation.state": TOTAL}
    assert whats(missing) == [announced(FRONT, TOTAL - 3)]


@pytest.mark.parametrize(
    ("name", "column", "why"),
    [
        ("action", pa.array(["a"] * 38), "its column action is of type 'string'"),
        ("action", pa.array([[["a"]]] * 38), "its column action is of type 'list<"),
        ("action", pa.array([[0.0] * 1000] * 38), "its column action claims 38,000 values, "),
        ("frame_index", pa.array([0.5] * 38), "its column frame_index is of type 'double'"),
        ("frame_index", pa.array([2**64 - 1] * 38, pa.uint64()), "has numbers that cannot be used"),
        ("action", None, "has no column action, or two of them"),
    ],
)
def test_columns_of_another_kind(dataset: Path, name: str, column: Any, why: str) -> None:
    table = pq.read_table(dataset / TABLE)
    table = table.drop_columns([name])
    pq.write_table(table if column is None else table.append_column(name, column), dataset / TABLE)
    found, missing, _ = read(dataset)
    assert found["action"] == 25
    assert any(what.startswith(f"{TABLE}: {why}") for what in whats(missing))


@pytest.mark.parametrize("place", [TABLE, VIDEO, TOLD, "meta/info.json"])
def test_whatever_is_damaged_gives_messages_or_a_sentence(dataset: Path, place: str) -> None:
    """Flipped bytes, blocks of nothing, cuts: never another exception, never more than was announced."""
    whole = (dataset / place).read_bytes()
    rng = random.Random(place)
    for _ in range(60):
        data = bytearray(whole)
        kind = rng.randrange(3)
        for _ in range(rng.randrange(1, 9)):
            at = rng.randrange(len(data))
            if kind == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                data[at : at + rng.randrange(1, 64)] = b"\xff" * rng.randrange(1, 64)
            else:
                data = data[: max(at, 1)]
        (dataset / place).write_bytes(data)
        try:
            found, missing, _ = read(dataset)
        except BagError as error:
            assert "\n" not in str(error) and len(str(error)) < 900
            continue
        assert all(len(entry.what) < 900 for entry in missing)
        if place != "meta/info.json":
            assert all(count <= TOTAL for count in found.values())
            assert missing or found == dict.fromkeys(TOPICS, TOTAL)
