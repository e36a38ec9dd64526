"""What a parquet file announces is what pyarrow says of it, and whatever is damaged in it is one sentence."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import lerobot
from support.lerobot import Form

from vjepa_ros.recordings import lerobot_footer, lerobot_tables
from vjepa_ros.recordings.lerobot_footer import Chunk, chunks
from vjepa_ros.recordings.storage import Unreadable


def expected(file: bytes) -> list[Chunk]:
    """As pyarrow has it."""
    metadata = pq.read_metadata(io.BytesIO(file))
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [(group.num_rows, group.column(number)) for group in groups for number in range(group.num_columns)]
    return [Chunk(c.path_in_schema, rows, c.num_values, c.total_uncompressed_size) for rows, c in columns]


def written(table: pa.Table, **how: object) -> bytes:
    pq.write_table(table, out := io.BytesIO(), **how)
    return out.getvalue()


@pytest.mark.parametrize("how", [{}, {"row_group_size": 3}, {"compression": "zstd"}, {"version": "1.0"}])
def test_it_is_what_pyarrow_says(how: dict[str, object]) -> None:
    many = {f"column.{number}": np.arange(20) for number in range(40)}  # more than fit into a short list
    lists = pa.array([[1.5] * (k % 4) for k in range(20)])
    texts = pa.array([{"bytes": b"x" * k, "path": None} for k in range(20)])
    file = written(pa.table({**many, "lists": lists, "öther": texts}), **how)
    got = chunks(io.BytesIO(file))
    assert got == expected(file) and len(got) >= 43


def test_a_dataset_s_tables(tmp_path: Path) -> None:
    dataset = Form(in_videos=False).write(tmp_path / "dataset", [lerobot.episode(20, seed) for seed in range(3)])
    for place in dataset.rglob("*.parquet"):
        assert chunks(io.BytesIO(place.read_bytes())) == expected(place.read_bytes())


@pytest.mark.parametrize("file", [b"", b"PAR1", b"PAR1\0\0\0\0PAR1", b"\xff" * 100 + b"\xff\xff\xff\xffPAR1"])
def test_what_is_no_table(file: bytes) -> None:
    with pytest.raises(Unreadable, match="is no parquet table that can be read: "):
        chunks(io.BytesIO(file))


def test_a_description_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(pa.table({"a": [1]}))
    monkeypatch.setattr(lerobot_footer, "MOST_BYTES", 100)
    with pytest.raises(Unreadable, match="it has no end, or one that is too long"):
        chunks(io.BytesIO(file))


@pytest.mark.parametrize(
    "description",
    [
        b"\x1c" * 1000,  # structures inside of each other
        b"\x49\xfc" + b"\xff" * 9 + b"\x7f",  # a list of more than there can be
        b"\x49\xf8" + b"\xff\xff\xff\x7f",  # of texts
        b"\x18" + b"\xff" * 20,  # a text of a length without end
        b"\x49\x15\x02",  # groups that are numbers
        b"\x49\x1c\x00\x00",  # a group without anything
    ],
)
def test_descriptions_that_claim_much_or_nothing(description: bytes) -> None:
    file = b"PAR1" + description + len(description).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(Unreadable, match="what it says of itself is damaged"):
        chunks(io.BytesIO(file))


def test_a_damaged_description_is_a_sentence_and_does_not_end_the_process() -> None:
    """pyarrow, asked for a chunk of some of these, ends it."""
    table = pa.table({"episode_index": np.arange(50), "action": pa.array([[1.0, 2.0]] * 50)})
    whole = written(table, row_group_size=10)
    length = int.from_bytes(whole[-8:-4], "little")
    rng = random.Random(0)
    kinds = {"read": 0, "refused": 0}
    for _ in range(2000):
        file = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            file[-8 - rng.randrange(1, length)] = rng.randrange(256)
        try:
            opened = lerobot_tables.Table(io.BytesIO(file))
            opened.require({"episode_index": 0, "action": 2})
            rows = sum(len(batch["action"]) for batch in opened.batches(["episode_index", "action"]))
            kinds["read"] += rows == 50
        except Unreadable:
            kinds["refused"] += 1
    assert min(kinds.values()) > 100
