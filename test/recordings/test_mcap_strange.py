"""Mcap files that are whole and strange: channels, types, times and compressions that nobody else writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import bags, mcaps
from support.mcap_reading import SHORT, WANTED, key, read
from support.mcaps import Form, Raw

from vjepa_ros.errors import BagError
from vjepa_ros.recordings import mcap_walk
from vjepa_ros.recordings.bag import Recording


def test_two_files_in_one_are_both_read_and_it_is_said(tmp_path: Path) -> None:
    both = Form(chunk_messages=20).contents(SHORT[:300]) + Form(chunk_messages=20).contents(SHORT[300:])
    (file := tmp_path / "bag.mcap").write_bytes(both)
    found, missing, notes = read(file)
    assert found == list(map(key, WANTED)) and missing and notes


def test_channels_of_other_encodings_are_ignored_unless_they_are_asked_for(tmp_path: Path) -> None:
    others = [
        ("json", "notes"),
        ("protobuf", "foxglove.Log"),
        ("ros1", "sensor_msgs/JointState"),
        ("", "std_msgs/msg/String"),
    ]
    extra = [
        Raw(f"/other{i}", kind, SHORT[i].received_ns, b"{}", encoding) for i, (encoding, kind) in enumerate(others)
    ]
    file = Form().write(tmp_path / "bag.mcap", sorted([*SHORT, *extra], key=lambda raw: raw.received_ns))
    found, missing, notes = read(file)
    assert (found, missing, notes) == (list(map(key, WANTED)), [], [])
    with Recording([file]) as recording:
        assert not set(recording.topics) & {raw.topic for raw in extra}
        assert recording.unusable["/other0"] == "is recorded as 'json', not as cdr, which is all that ROS 2 has"
        for raw in extra:
            with pytest.raises(BagError, match=f"{raw.topic}: is recorded as "):
                list(recording.messages([raw.topic]))


def test_types_without_msg_in_their_name_are_those_of_ros(tmp_path: Path) -> None:
    file = Form().write(tmp_path / "bag.mcap", [raw._replace(kind=raw.kind.replace("/msg", "")) for raw in SHORT])
    with Recording([file]) as recording:
        assert recording.topics[bags.TOPICS[0]] == "sensor_msgs/msg/CompressedImage"


def test_a_number_that_stands_for_two_channels_is_not_guessed(tmp_path: Path) -> None:
    """With a summary that says which it is, it is that one, and the difference is said; without one, none."""
    second = mcaps.channel(1, 1, "/another")
    for form in (Form(statistics=False, extra=second), Form(summary=False, extra=second)):
        file = form.write(tmp_path / "bag.mcap", SHORT)
        topic = SHORT[0].topic
        with Recording([file]) as recording:
            if form.summary:
                found = list(recording.messages([topic]))
                assert len(found) == sum(raw.topic == topic for raw in SHORT)
                assert any("one number stands for two channels" in m.what for m in recording.incomplete)
            else:
                assert recording.unusable["/another"] == "has a type that is not given, or in two ways"


def test_a_channel_without_a_type_is_left_alone(tmp_path: Path) -> None:
    extra = mcaps.channel(77, 0, "/typeless") + mcaps.channel(78, 99, "/undefined") + mcaps.channel(79, 1, "no\ntopic")
    file = Form(extra=extra, summary=False).write(tmp_path / "bag.mcap", SHORT)
    found, missing, notes = read(file)
    assert (found, missing) == (list(map(key, WANTED)), [])
    assert notes == [f"{file}: 1 of its channels have names that no topic of ROS has, and are left out"]
    with Recording([file]) as recording:
        assert {"/typeless", "/undefined"} <= set(recording.unusable)


def test_times_beyond_all_time_are_left_out_and_said(tmp_path: Path) -> None:
    late = [raw._replace(received_ns=2**63 + i) if i in (3, 5) else raw for i, raw in enumerate(WANTED)]
    for form in (Form(), Form(statistics=False)):
        found, missing, _ = read(form.write(tmp_path / "bag.mcap", late))
        assert found == [key(raw) for i, raw in enumerate(WANTED) if i not in (3, 5)]
        assert any("were recorded beyond all time" in m.what and m.announced == 2 for m in missing)


def test_an_unknown_compression_is_said(tmp_path: Path) -> None:
    data = Form(compression="zstd").contents(SHORT).replace(mcaps.text("zstd"), mcaps.text("brot"))
    (file := tmp_path / "bag.mcap").write_bytes(data)
    with pytest.raises(BagError, match="there is no message in it; .* its compression is 'brot', which is none of lz4"):
        Recording([file])


def test_a_chunk_that_begins_before_it_says_so_is_said(tmp_path: Path) -> None:
    raw = WANTED[0]
    definitions = mcaps.schema(1, raw.kind) + mcaps.channel(1, 1, raw.topic)
    content = definitions + mcaps.message(1, raw.received_ns, raw.data)
    early = mcaps.chunk(content, raw.received_ns + 1, raw.received_ns + 2)
    (file := tmp_path / "bag.mcap").write_bytes(mcaps.MAGIC + mcaps.record(1, mcaps.text("") * 2) + early)
    found, missing, _ = read(file)
    assert found == [key(WANTED[0])] and any("begins before it says so" in m.what for m in missing)


def test_there_is_an_end_to_the_number_of_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Form(chunk_messages=1).write(tmp_path / "bag.mcap", SHORT)
    monkeypatch.setattr(mcap_walk, "MOST_PIECES", 100)
    with pytest.raises(
        BagError, match=r"bag\.mcap: cannot be read: it has more than 100 chunks and entries of indexes"
    ):
        Recording([file])
