"""mcap as recorders of all kinds leave it: whatever index it has or has not, all that is whole comes out in the order
of time, and what does not is said.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import bags, mcaps
from support.mcap_reading import SAMPLE, SHORT, WANTED, key, read
from support.mcaps import Form

from vjepa_ros.errors import BagError
from vjepa_ros.recordings import merging

FORMS = {
    "whole": Form(),
    "zstd": Form(compression="zstd"),
    "lz4": Form(compression="lz4"),
    "chunk index alone": Form(message_index=False),
    "message index alone": Form(chunk_index=False),
    "no index": Form(message_index=False, chunk_index=False),
    "no statistics": Form(statistics=False),
    "statistics alone": Form(message_index=False, chunk_index=False, repeated=False),
    "channels not repeated": Form(repeated=False),
    "no summary": Form(summary=False),
    "no profile": Form(profile=""),
    "another profile": Form(profile="autonomy"),
    "no checksums": Form(checksums=False),
    "types behind channels": Form(schemas_last=True),
    "chunks without times": Form(times_known=False),
    "a message in a chunk": Form(chunk_messages=1),
    "one chunk": Form(chunk_messages=10**6),
    "not in chunks": Form(chunk_messages=0),
    "not in chunks, no summary": Form(chunk_messages=0, summary=False),
    "a private record": Form(extra=mcaps.record(0x90, b"x" * 100)),
    "an attachment": Form(extra=mcaps.record(mcaps.ATTACHMENT, b"x" * 100_000), chunk_messages=0),
}

ORDERS = {
    "in order": list(range(len(SHORT))),
    "swapped": [*range(299), 300, 299, *range(301, len(SHORT))],
    "by topic": sorted(range(len(SHORT)), key=lambda i: SHORT[i].topic),
    "backwards": list(reversed(range(len(SHORT)))),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("form", FORMS)
def test_all_of_it_comes_out_in_the_order_of_time(tmp_path: Path, form: str, order: str) -> None:
    file = replace(FORMS[form]).write(tmp_path / "bag.mcap", [SHORT[i] for i in ORDERS[order]])
    found, missing, notes = read(file)
    assert sorted(found) == sorted(map(key, WANTED))
    assert [time for _, time, _ in found] == sorted(raw.received_ns for raw in WANTED)
    assert (missing, notes) == ([], [])
    if order == "in order":
        assert found == list(map(key, WANTED))


def test_messages_of_one_time_come_as_they_lie_in_the_file(tmp_path: Path) -> None:
    same = [raw._replace(received_ns=10**18) for raw in SHORT]
    for form in (Form(), Form(chunk_messages=0), Form(chunk_index=False, statistics=False)):
        assert read(form.write(tmp_path / "bag.mcap", same))[0] == [key(r) for r in same if r.topic in bags.TOPICS]


def test_what_does_not_fit_into_memory_waits_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks that all reach over the whole time: today's memory is that of a few of them."""
    held: list[int] = []
    original = merging.Run.held_bytes.fget
    assert original is not None

    def counted(self: merging.Run) -> int:
        held.append(original(self))
        return held[-1]

    strided = [SAMPLE[i] for start in range(29) for i in range(start, len(SAMPLE), 29)]
    file = Form().write(tmp_path / "bag.mcap", strided)
    want = read(file)[0]
    monkeypatch.setattr(merging, "MOST_HELD_BYTES", 400_000)
    monkeypatch.setattr(merging.Run, "held_bytes", property(counted))
    spills: list[object] = []
    put = merging._Spill.put

    def noted(self: merging._Spill, entries: Iterable[merging.Entry]) -> Iterator[merging.Entry]:
        spills.append(entries)
        return put(self, entries)

    monkeypatch.setattr(merging._Spill, "put", noted)
    assert read(file)[0] == want
    assert len(want) > 2600 and sum(held[:29]) > 4_000_000 and len(spills) > 40


@pytest.mark.parametrize("compression", ["", "lz4", "zstd"])
@pytest.mark.parametrize("statistics", [True, False])
def test_of_a_damaged_chunk_what_is_before_and_after_is_used(
    tmp_path: Path, compression: str, statistics: bool
) -> None:
    data = bytearray(Form(compression=compression, statistics=statistics).contents(SHORT))
    start, end = list(mcaps.chunks(bytes(data)))[2]
    data[(start + end) // 2] ^= 0x55
    (file := tmp_path / "bag.mcap").write_bytes(data)
    found, missing, notes = read(file)
    assert found == [key(raw) for raw in SHORT[:200] + SHORT[300:] if raw.topic in bags.TOPICS]
    (note,) = notes
    assert f"the chunk at byte {start:,} cannot be used: " in note
    whole = next(m for m in missing if m.topic is None)
    assert (whole.file, whole.announced, whole.read) == (str(file), 100, 0)
    assert len(missing) == (4 if statistics else 1)
    lost = {m.topic: (m.announced, m.read) for m in missing if m.topic}
    if statistics:
        assert lost == {
            topic: (sum(r.topic == topic for r in SHORT), sum(t == topic for t, *_ in found)) for topic in bags.TOPICS
        }


def test_damage_that_concerns_topics_that_nobody_reads_is_said_and_no_more(tmp_path: Path) -> None:
    info = "/camera/camera_info"
    apart = [raw for raw in SHORT if raw.topic != info] + [raw for raw in SHORT if raw.topic == info]
    for statistics in (True, False):
        data = bytearray(Form(chunk_messages=len(WANTED), statistics=statistics).contents(apart))
        start, end = list(mcaps.chunks(bytes(data)))[1]
        data[(start + end) // 2] ^= 1
        (file := tmp_path / "bag.mcap").write_bytes(data)
        found, missing, notes = read(file)
        assert (found, missing) == (list(map(key, WANTED)), [])
        # With an index and statistics that agree it need not even be opened.
        assert len(notes) == (0 if statistics else 1)
        assert read(file, (info,))[1] != []


@pytest.mark.parametrize("chunk_messages", [0, 20])
@pytest.mark.parametrize("chunk_index", [True, False])
def test_behind_a_record_whose_length_is_wrong_the_next_one_is_found(
    tmp_path: Path, chunk_messages: int, chunk_index: bool
) -> None:
    whole = Form(chunk_messages=chunk_messages, chunk_index=chunk_index).contents(SHORT)
    wrong = list(mcaps.chunks(whole))[5][0] if chunk_messages else whole.index(SHORT[100].data) - 31
    for length in (0, 7, 2**15, 2**18, 2**40, 2**64 - 1):
        data = bytearray(whole)
        data[wrong + 1 : wrong + 9] = struct.pack("<Q", length)
        (file := tmp_path / "bag.mcap").write_bytes(data)
        found, missing, notes = read(file)
        # Of a chunk that is not compressed, the messages inside are found.
        assert len(WANTED) - 1 <= len(found) <= len(WANTED), length
        assert notes and missing, length


def test_a_file_may_be_cut_anywhere(tmp_path: Path) -> None:
    """In a chunk, an index, the summary, the footer: what comes before is there, and only the summary is no loss."""
    for form in (Form(chunk_messages=20), Form(chunk_messages=20, compression="zstd"), Form(chunk_messages=0)):
        whole = form.contents(SHORT[:100])
        messages_end = whole.rindex(mcaps.record(mcaps.DATA_END, b"")[:1] + struct.pack("<Q", 4)) + 13
        for left in [*range(9, len(whole), 4999), *range(messages_end - 12, len(whole), 7), len(whole) - 1]:
            (file := tmp_path / "bag.mcap").write_bytes(whole[:left])
            try:
                found, missing, notes = read(file)
            except BagError as error:
                assert left < len(whole) / 4 and "was cut off" in str(error)
                continue
            assert found == [key(raw) for raw in SHORT[:100] if raw.topic in bags.TOPICS][: len(found)]
            assert "was cut off" in notes[-1]
            assert [m.what for m in missing] == ([] if left >= messages_end else [notes[-1].split(": ", 1)[1]])
            assert left < messages_end or len(found) == sum(raw.topic in bags.TOPICS for raw in SHORT[:100])


def test_what_the_statistics_announce_is_compared(tmp_path: Path) -> None:
    whole = Form().contents(SHORT)
    count = sum(raw.topic == bags.TOPICS[0] for raw in SHORT)
    entries = b"".join(
        struct.pack("<HQ", number, sum(r.topic == topic for r in SHORT))
        for number, topic in enumerate(dict.fromkeys(raw.topic for raw in SHORT), start=1)
    )
    assert entries in whole
    for claimed in (count - 3, count + 5, 2**60):
        more = claimed - count
        number = 1 + list(dict.fromkeys(raw.topic for raw in SHORT)).index(bags.TOPICS[0])
        data = whole.replace(
            entries, entries.replace(struct.pack("<HQ", number, count), struct.pack("<HQ", number, claimed))
        )
        data = data.replace(struct.pack("<QHI", len(SHORT), 3, 4), struct.pack("<QHI", len(SHORT) + more, 3, 4))
        data = data[:-12] + bytes(4) + data[-8:]  # no checksum over it
        (file := tmp_path / "bag.mcap").write_bytes(data)
        found, missing, _ = read(file)
        assert found == list(map(key, WANTED))
        (difference,) = missing
        assert (difference.topic, difference.announced, difference.read) == (bags.TOPICS[0], claimed, count)
        assert str(difference).startswith(
            f"{file}: {bags.TOPICS[0]}: {claimed:,} messages are announced, and {count:,}"
        )
        assert read(file, bags.TOPICS[1:])[1] == [], "nobody reads it"


def test_a_damaged_summary_is_done_without(tmp_path: Path) -> None:
    data = bytearray(Form().contents(SHORT))
    data[-200] ^= 1
    (file := tmp_path / "bag.mcap").write_bytes(data)
    found, missing, notes = read(file)
    assert (found, missing) == (list(map(key, WANTED)), [])
    assert notes == [f"{file}: what it announces of itself is damaged"]


def test_a_changed_byte_outside_of_chunks_is_seen_by_the_checksum(tmp_path: Path) -> None:
    data = bytearray(Form(chunk_messages=0).contents(SHORT))
    data[len(data) // 2] ^= 1
    (file := tmp_path / "bag.mcap").write_bytes(data)
    found, missing, _ = read(file)
    assert len(found) == len(WANTED)
    assert [m.what for m in missing] == ["what is in it does not have the checksum that it announces"]


def test_chunks_that_are_announced_and_not_there_are_said(tmp_path: Path) -> None:
    data = Form(statistics=False, checksums=False).contents(SHORT)
    start, end = list(mcaps.chunks(data))[3]
    hole = mcaps.record(0x90, bytes(end - start - 9))
    (file := tmp_path / "bag.mcap").write_bytes(data[:start] + hole + data[end:])
    found, missing, notes = read(file)
    assert found == [key(raw) for raw in SHORT[:300] + SHORT[400:] if raw.topic in bags.TOPICS]
    assert (
        notes == [str(m) for m in missing] == [f"{file}: there is no chunk at byte {start:,}, where its index has one"]
    )
