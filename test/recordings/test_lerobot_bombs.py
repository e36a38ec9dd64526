"""Small files of a LeRobotDataset that stand for much: in a process of its own, whose memory is measured."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import lerobot
from support.lerobot import CAMERAS, Form

MIB = 2**20
EPISODES = [lerobot.episode(20, 0)]
FRONT, _ = CAMERAS
TABLE, VIDEO = "data/chunk-000/file-000.parquet", f"videos/{FRONT}/chunk-000/file-000.mp4"
MEASURED = """
import sys, time
from collections import Counter
from pathlib import Path
from vjepa_ros.recordings.bag import Recording
import pyarrow.parquet, av
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
try:
    with Recording([Path(sys.argv[1])]) as recording:
        found = Counter(message.topic for message in recording.messages(sys.argv[2:]))
    print(*[found[topic] for topic in sys.argv[2:]], *[entry.what for entry in recording.incomplete], sep="|")
except Exception as error:
    print(type(error).__name__, error, sep="|")
print(peak() - before)
"""


def measured(dataset: Path, most_mib: int, *topics: str) -> list[str]:
    """What came of it, in a process that needed so much memory at most besides its libraries."""
    command = [sys.executable, "-c", MEASURED, str(dataset), *topics]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stderr == ""
    *lines, peak_kib = done.stdout.splitlines()
    assert int(peak_kib) < most_mib * 1024, done.stdout
    return lines[0].split("|")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Form().write(tmp_path_factory.mktemp("dataset") / "dataset", EPISODES)


@pytest.fixture
def dataset(written: Path, tmp_path: Path) -> Path:
    """One of its own for each test."""
    return Path(shutil.copytree(written, tmp_path / "dataset"))


def test_a_picture_of_nothing_but_zeros(tmp_path: Path) -> None:
    dataset = Form(in_videos=False).write(tmp_path / "dataset", EPISODES)
    table = pq.read_table(dataset / TABLE)
    rows = table.select([FRONT]).to_pylist()
    rows[0][FRONT]["bytes"] = bytes(200 * MIB)
    table = table.drop_columns([FRONT]).append_column(FRONT, pa.array([row[FRONT] for row in rows]))
    pq.write_table(table, dataset / TABLE, compression="zstd", row_group_size=4)
    assert (dataset / TABLE).stat().st_size < 2 * MIB
    count, _, why = measured(dataset, 150, FRONT)
    assert count == "0" and why.startswith(f"{TABLE}: its column {FRONT} claims 4 values, 209,")


def test_rows_without_end(dataset: Path) -> None:
    """All of them the same one, so that they take no room in the file."""
    count = 3_000_000
    row = pq.read_table(dataset / TABLE).slice(0, 1).to_pylist()[0]
    columns: dict[str, Any] = {
        name: np.full(count, row[name]) for name in ("frame_index", "episode_index", "timestamp")
    }
    columns["action"] = pa.FixedSizeListArray.from_arrays(np.zeros(7 * count, np.float32), 7)
    pq.write_table(pa.table(columns), dataset / TABLE, compression="zstd")
    assert (dataset / TABLE).stat().st_size < MIB
    assert measured(dataset, 200, "action") == [
        "1", "action: 20 messages are announced, and 1 were read",
        f"{TABLE}: more than 1,048,576 rows are not where meta/episodes has them",
    ]  # fmt: skip


def test_frames_that_lie_at_one_place(dataset: Path) -> None:
    """Two million of them, and the episode's are the last ones."""
    whole = (dataset / VIDEO).read_bytes()
    (dataset / VIDEO).write_bytes(lerobot.overlapping(whole, 2_000_000))
    place = dataset / "meta/episodes/chunk-000/file-000.parquet"
    row = pq.read_table(place).to_pylist()[0]
    row |= {f"videos/{FRONT}/from_timestamp": 99_990.0, f"videos/{FRONT}/to_timestamp": 99_991.0}
    pq.write_table(pa.Table.from_pylist([row]), place)
    count, *missing = measured(dataset, 400, FRONT)
    assert count == "0"
    assert f"{VIDEO}: its pieces stand in each other: more would come of it than is in it" in missing


def test_a_video_of_one_frame_many_times_is_read_up_to_what_is_in_it(dataset: Path) -> None:
    """The same file with fewer of them: it is the amount that is refused, not the form."""
    whole = (dataset / VIDEO).read_bytes()
    (dataset / VIDEO).write_bytes(lerobot.overlapping(whole, 5))
    count, *missing = measured(dataset, 400, FRONT)
    assert count == "5" and not any("stand in each other" in what for what in missing)
