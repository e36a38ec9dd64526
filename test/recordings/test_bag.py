"""Bags are read in every format, in pieces and cut off; what cannot be read is refused in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rosbags.rosbag2.storage_mcap import McapWriter
from support import bags, recorded

from vjepa_ros.errors import BagError, InputError
from vjepa_ros.recordings import zstd_bag
from vjepa_ros.recordings.bag import Recorded, Recording

SAMPLE = [message for message in bags.sample() if message.topic in bags.TOPICS]
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + bags.S]
IMAGE = "sensor_msgs/msg/Image"


def read(*paths: Path) -> tuple[list[Recorded], list[str]]:
    """The messages of the three topics, and what was noted."""
    with Recording(paths) as recording:
        found = list(recording.messages(bags.TOPICS))
        assert recording.count(bags.TOPICS) == len(found)
        return found, recording.notes


def recording_count(topic: str | None) -> int:
    """How many messages a topic has in the short recording."""
    return sum(message.topic == topic for message in SHORT)


def stamps(messages: list[Recorded]) -> list[tuple[str, int, int]]:
    headers = [(recorded, recorded.message().header.stamp) for recorded in messages]
    return [(r.topic, r.received_ns, stamp.sec * bags.S + stamp.nanosec) for r, stamp in headers]


def wanted(messages: list[bags.Message]) -> list[tuple[str, int, int]]:
    return [(m.topic, m.received_ns, m.stamp_ns) for m in messages]


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize(
    ("plugin", "compression"),
    [
        *(("mcap", how) for how in ("", "zstd", "lz4", "file", "message")),
        *(("sqlite3", how) for how in ("", "file", "message")),
    ],
)
def test_every_format_is_read(tmp_path: Path, plugin: str, compression: str, version: int) -> None:
    bag = bags.write(tmp_path / "bag", SHORT, plugin, compression, version)
    messages, notes = read(bag)
    assert stamps(messages) == wanted(SHORT)
    assert notes == []
    image, original = (next(m for m in group if m.topic == recorded.CAMERA) for group in (messages, SHORT))
    assert bytes(image.message().data) == bytes(original.data.data)
    assert image.kind == "sensor_msgs/msg/CompressedImage"


@pytest.mark.parametrize("plugin", ["mcap", "sqlite3"])
def test_a_single_file_and_a_folder_without_metadata_are_read(tmp_path: Path, plugin: str) -> None:
    bag = bags.write(tmp_path / "bag", SHORT, plugin)
    (file,) = (path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    assert stamps(read(file)[0]) == wanted(SHORT)
    (bag / "metadata.yaml").unlink()
    messages, notes = read(bag)
    assert stamps(messages) == wanted(SHORT)
    assert len(notes) == 1
    assert "metadata.yaml" in notes[0]


def test_several_bags_are_one_recording_in_the_order_of_time(tmp_path: Path) -> None:
    joints = bags.write(tmp_path / "joints", [m for m in SHORT if m.topic != recorded.CAMERA], "sqlite3")
    camera = bags.write(tmp_path / "camera", [m for m in SHORT if m.topic == recorded.CAMERA])
    later = bags.write(tmp_path / "later", [m for m in SAMPLE if m not in SHORT][:100])
    messages, _ = read(later, joints, camera)
    assert len(messages) == len(SHORT) + 100
    assert sorted(stamps(messages)) == sorted(wanted(SHORT) + wanted([m for m in SAMPLE if m not in SHORT][:100]))
    times = [message.received_ns for message in messages]
    assert times == sorted(times)


@pytest.mark.parametrize("compression", ["", "zstd"])
def test_a_cut_mcap_gives_every_whole_message(
    tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[tuple[int, int]] = []  # (bytes in the file, messages in them) at the end of each chunk
    written, close_chunk = 0, McapWriter.close_chunk

    def counted(self: McapWriter) -> None:
        nonlocal written
        numbers = [len(messages) for messages in self.chunk.msgs.values()]
        index_bytes = sum(15 + 16 * number for number in numbers)  # records of its own, after the chunk
        written += sum(numbers)
        close_chunk(self)
        ends.append((self.bio.tell() - index_bytes, written))

    monkeypatch.setattr(McapWriter, "close_chunk", counted)
    bag = bags.write(tmp_path / "bag", SAMPLE, compression=compression)
    whole = (bag / "bag.mcap").read_bytes()
    assert len(ends) > 1
    for bytes_left in (ends[0][0], ends[0][0] + 5, (ends[0][0] + ends[1][0]) // 2, ends[1][0] - 1, len(whole) - 1):
        (bag / "bag.mcap").write_bytes(whole[:bytes_left])
        messages, notes = read(bag)
        assert stamps(messages) == wanted(SAMPLE[: len(messages)])
        in_chunks = max(count for end, count in ends if end <= bytes_left)
        said = re.search(r"was cut off; the first ([\d,]+) of its ([\d,]+) bytes", notes[-1])
        used, total = (int(number.replace(",", "")) for number in said.groups())
        assert total == bytes_left
        if compression or in_chunks == len(SAMPLE) or bytes_left - ends[0][0] < 1000:
            assert len(messages) == in_chunks
        else:  # of an uncompressed chunk, whatever is whole: less than the next message is lost
            assert in_chunks < len(messages) < len(SAMPLE)
            following = SAMPLE[len(messages)]
            assert bytes_left - used < len(bags.TYPES.serialize_cdr(following.data, following.kind)) + 31
    (bag / "metadata.yaml").unlink()
    assert stamps(read(bag)[0]) == wanted(SAMPLE)


@pytest.mark.parametrize("metadata", ["with metadata.yaml", "without"])
def test_messages_that_are_compressed_one_by_one_are_read_from_a_cut_file_too(tmp_path: Path, metadata: str) -> None:
    bag = bags.write(tmp_path / "bag", SHORT, compression="message")
    whole = (bag / "bag.mcap").read_bytes()
    if metadata == "without":
        (bag / "metadata.yaml").unlink()
        assert stamps(read(bag)[0]) == wanted(SHORT)
        assert stamps(read(bag / "bag.mcap")[0]) == wanted(SHORT)
    (bag / "bag.mcap").write_bytes(whole[: len(whole) // 2])
    messages, notes = read(bag)
    assert len(SHORT) // 4 < len(messages) < len(SHORT)
    assert stamps(messages) == wanted(SHORT[: len(messages)])
    assert "was cut off" in notes[-1]


def test_a_message_whose_own_compression_is_damaged_is_said(tmp_path: Path) -> None:
    bag = bags.write(tmp_path / "bag", SHORT, compression="message")
    (bag / "metadata.yaml").unlink()
    data = bytearray((bag / "bag.mcap").read_bytes())
    begins = data.index(b"\x28\xb5\x2f\xfd")
    data[begins + 4 : begins + 30] = b"\xff" * 26
    (bag / "bag.mcap").write_bytes(data)
    with Recording([bag]) as recording:
        assert len(list(recording.messages(bags.TOPICS))) == len(SHORT) - 1
        (difference, damage) = recording.incomplete
    assert (difference.announced, difference.read) == (count := recording_count(difference.topic), count - 1)
    assert (damage.what, damage.announced, damage.read) == (
        f"1 messages of {difference.topic} are damaged, or too large, when they are decompressed", 1, 0
    )  # fmt: skip


@pytest.mark.parametrize("plugin", ["mcap", "sqlite3"])
def test_compressed_files_are_read_without_metadata_beside_a_cut_one(tmp_path: Path, plugin: str) -> None:
    half = len(SHORT) // 2
    bag = bags.write(tmp_path / "bag", SHORT[:half], plugin, "file")
    (first,) = (path for path in bag.iterdir() if path.suffix == ".zstd")
    assert stamps(read(first)[0]) == wanted(SHORT[:half])
    (bag / "metadata.yaml").unlink()
    second = bags.write(tmp_path / "second", SHORT[half:]) / "second.mcap"
    data = second.read_bytes()
    (bag / "second.mcap").write_bytes(data[: len(data) // 2])
    messages, notes = read(bag)
    assert half < len(messages) < len(SHORT)
    assert stamps(messages) == wanted(SHORT[: len(messages)])
    assert "metadata.yaml" in notes[0] and "second.mcap: was cut off" in notes[1]
    unpacked, whole = zstd_bag.unpack(first, bag)
    assert whole and unpacked.parent == bag
    assert stamps(read(bag)[0]) == stamps(messages), "a file that lies there twice is read once"


@pytest.mark.parametrize("metadata", ["with metadata.yaml", "without"])
def test_a_compressed_mcap_that_was_cut_is_used_up_to_the_cut(tmp_path: Path, metadata: str) -> None:
    bag = bags.write(tmp_path / "bag", SAMPLE, compression="file")
    if metadata == "without":
        (bag / "metadata.yaml").unlink()
    file = bag / "bag.mcap.zstd"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    messages, notes = read(bag)
    assert len(SAMPLE) // 4 < len(messages) < len(SAMPLE)
    assert stamps(messages) == wanted(SAMPLE[: len(messages)])
    assert re.search(r"bag\.mcap\.zstd: was cut off; the first [\d,]+ of its decompressed [\d,]+ bytes", notes[-1])


def test_compressed_files_that_cannot_be_read_are_refused_by_name(tmp_path: Path) -> None:
    (database,) = bags.write(tmp_path / "bag", SAMPLE, "sqlite3", "file").glob("*.zstd")
    database.write_bytes(database.read_bytes()[:-1000])
    with pytest.raises(BagError, match=f"{database.name}: cannot be read: it was cut off"):
        Recording([database])
    database.write_bytes(b"no compression")
    with pytest.raises(BagError, match=f"{database.name}: cannot be read"):
        Recording([database])


def test_a_file_that_was_cut_before_its_first_message_is_said_to_be_cut(tmp_path: Path) -> None:
    """Its header alone is left: that there is no message in it is not the whole truth."""
    file = bags.write(tmp_path / "bag", SHORT) / "bag.mcap"
    data = file.read_bytes()
    header_bytes = 8 + 9 + int.from_bytes(data[9:17], "little")  # magic, operation and length, content
    for left_bytes in (header_bytes, header_bytes + 50):
        file.write_bytes(data[:left_bytes])
        for path in (file, file.parent):
            with pytest.raises(BagError, match="there is no message in it; .*bag.mcap: was cut off; the first") as said:
                Recording([path])
            assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not an mcap"),
        (b"\x89MCAP0\r\n", "first message"),
        (b"not an mcap at all" * 20, "not an mcap"),
        (b"\x89MCAP0\r\n" + bytes(1000), "first message"),
    ],
)
def test_a_hopeless_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "bag.mcap"
    file.write_bytes(content)
    with pytest.raises(BagError, match=why) as refused:
        Recording([file])
    assert str(refused.value).startswith(str(file))
    assert "\n" not in str(refused.value)


def test_what_is_no_bag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no such bag"):
        Recording([tmp_path / "nowhere"])
    with pytest.raises(BagError, match="metadata"):
        Recording([tmp_path])
    (tmp_path / "bag.db3").write_bytes(b"no database" * 100)
    with pytest.raises(BagError, match=r"bag\.db3: cannot be read"):
        Recording([tmp_path / "bag.db3"])
    with pytest.raises(BagError, match="no message"):
        Recording([bags.write(tmp_path / "empty", [])])


def test_of_broken_data_in_the_middle_what_is_before_and_after_is_read(tmp_path: Path) -> None:
    bag = bags.write(tmp_path / "bag", SAMPLE, compression="zstd")
    data = bytearray((bag / "bag.mcap").read_bytes())
    second_chunk = data.index(b"\x28\xb5\x2f\xfd", data.index(b"\x28\xb5\x2f\xfd") + 1)  # as zstd begins
    data[second_chunk : second_chunk + 100] = bytes(100)
    (bag / "bag.mcap").write_bytes(data)
    with Recording([bag]) as recording:
        found = stamps(list(recording.messages(bags.TOPICS)))
        lost = {difference.topic: difference for difference in recording.incomplete if difference.topic}
        assert "cannot be used: its compressed data is damaged" in recording.notes[-1]
    every = wanted(SAMPLE)
    first_lost = next(i for i, message in enumerate(every) if message not in found)
    gone = [message for message in every if message not in found]
    assert found == every[:first_lost] + every[first_lost + len(gone) :]
    assert 100 < len(gone) < len(every) / 2
    for topic in bags.TOPICS:
        assert lost[topic].announced == sum(m.topic == topic for m in SAMPLE)
        assert lost[topic].read == sum(m[0] == topic for m in found)


def test_a_message_that_is_none_is_an_input_error() -> None:
    with pytest.raises(InputError, match="undecodable"):
        Recorded("/image", IMAGE, 0, b"\x00\x01\x00\x00\x05").message()


def test_one_topic_with_two_types_is_refused_where_it_is_read(tmp_path: Path) -> None:
    one = bags.write(tmp_path / "one", SHORT)
    renamed = [m._replace(topic=recorded.STATES) for m in SHORT if m.topic == recorded.CAMERA]
    two = bags.write(tmp_path / "two", renamed)
    with Recording([one, two]) as recording:
        assert recorded.STATES not in recording.topics
        assert re.fullmatch("is .* and .* at once", recording.unusable[recorded.STATES])
        with pytest.raises(BagError, match=f"{recorded.STATES}: is .* at once"):
            list(recording.messages(bags.TOPICS))
        assert len(list(recording.messages([recorded.COMMANDS]))) == recording_count(recorded.COMMANDS)
        assert recording.incomplete == []
