"""What a path is: splits, files of other systems, metadata that does not fit, and what is no recording at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import bags, mcaps
from support.mcaps import Form

from vjepa_ros.errors import BagError
from vjepa_ros.recordings.bag import Recording
from vjepa_ros.recordings.missing import Missing

SHORT = [raw for raw in mcaps.sample() if raw.topic in bags.TOPICS][:300]
PARTS = [SHORT[start : start + 100] for start in (0, 100, 200)]
COUNTS = {topic: sum(raw.topic == topic for raw in SHORT) for topic in bags.TOPICS}


def read(*paths: Path) -> tuple[list[int], list[Missing], list[str]]:
    with Recording(paths) as recording:
        found = [message.received_ns for message in recording.messages(bags.TOPICS)]
        return found, recording.incomplete, recording.notes


def times(*parts: list[mcaps.Raw]) -> list[int]:
    return [raw.received_ns for part in parts for raw in part]


def split(folder: Path, metadata: bool = True, **counts: int) -> Path:
    """A bag of three files."""
    folder.mkdir()
    for number, part in enumerate(PARTS):
        Form(chunk_messages=30).write(folder / f"run_{number}.mcap", part)
    if metadata:
        describe(folder, {**COUNTS, **{f"/{name}": count for name, count in counts.items()}})
    return folder


def describe(folder: Path, counts: dict[str, int]) -> None:
    topics = "".join(
        f"\n  - {{message_count: {count}, topic_metadata: {{name: {topic}, type: x}}}}"
        for topic, count in counts.items()
    )
    files = "".join(f"\n  - {{path: run_{number}.mcap, message_count: 100}}" for number in range(3))
    names = ", ".join(f"run_{number}.mcap" for number in range(3))
    (folder / "metadata.yaml").write_text(
        f"rosbag2_bagfile_information:\n  relative_file_paths: [{names}]\n  files: {files}\n"
        f"  topics_with_message_count: {topics}\n"
    )


def test_splits_are_one_recording(tmp_path: Path) -> None:
    assert read(split(tmp_path / "bag")) == (times(SHORT), [], [])


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize(
    "content", [b"", b"nothing of the kind", bytes(5000), mcaps.MAGIC, b"\x00\x05\x16\x07" + bytes(99)]
)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_split_that_cannot_be_read_is_done_without(
    tmp_path: Path, metadata: bool, content: bytes, number: int
) -> None:
    bag = split(tmp_path / "bag", metadata)
    (lost := bag / f"run_{number}.mcap").write_bytes(content)
    found, missing, notes = read(bag)
    left = [part for i, part in enumerate(PARTS) if i != number]
    assert found == times(*left)
    assert any(note.startswith(f"{lost}: cannot be read: ") for note in notes)
    (split_lost,) = [m for m in missing if m.topic is None]
    assert (split_lost.file, split_lost.announced) == (str(lost), 100 if metadata else None)
    by_topic = {m.topic: (m.announced, m.read) for m in missing if m.topic}
    wanted = {topic: (COUNTS[topic], sum(raw.topic == topic for part in left for raw in part)) for topic in COUNTS}
    assert by_topic == (wanted if metadata else {})


def test_an_empty_split_that_announced_nothing_is_no_loss(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag")
    (bag / "run_2.mcap").write_bytes(b"")
    describe(bag, {topic: sum(raw.topic == topic for part in PARTS[:2] for raw in part) for topic in COUNTS})
    found, missing, notes = read(bag)
    assert (found, missing) == (times(*PARTS[:2]), [])
    assert notes == [f"{bag / 'run_2.mcap'}: cannot be read: it is empty, so not an mcap file"]


def test_splits_that_are_given_one_by_one_are_done_without_too(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag", metadata=False)
    (bag / "run_1.mcap").write_bytes(b"")
    found, missing, _ = read(*(bag / f"run_{number}.mcap" for number in range(3)))
    assert found == times(PARTS[0], PARTS[2]) and [m.file for m in missing] == [str(bag / "run_1.mcap")]
    for number in (0, 2):
        (bag / f"run_{number}.mcap").write_bytes(b"")
    with pytest.raises(BagError, match=r"run_0\.mcap: cannot be read: .*run_1\.mcap: cannot be read: .*run_2\.mcap: "):
        read(bag)


def test_a_split_that_is_not_there_is_said(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag")
    (bag / "run_1.mcap").unlink()
    found, missing, notes = read(bag)
    assert found == times(PARTS[0], PARTS[2])
    assert notes == [f"{bag / 'run_1.mcap'}: is not there, and metadata.yaml names it"]
    assert len(missing) == 4


def test_files_that_were_renamed_are_read_all_the_same(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag")
    (bag / "run_1.mcap").rename(bag / "other.mcap")
    found, missing, notes = read(bag)
    assert (found, missing) == (times(SHORT), [])
    assert notes[-2:] == [f"{bag}: 'other.mcap' is read, which metadata.yaml does not name",
                          f"{bag / 'run_1.mcap'}: is not there, and metadata.yaml names it"]  # fmt: skip


def test_a_file_that_metadata_does_not_name_is_not_read_and_said(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag")
    shutil.copy(bag / "run_1.mcap", bag / "copy of run_1.mcap")
    found, missing, notes = read(bag)
    assert (found, missing) == (times(SHORT), [])
    assert notes == [f"{bag}: 'copy of run_1.mcap' is not read: metadata.yaml does not name it"]


@pytest.mark.parametrize("more", [1, -1, 10**30])
def test_what_metadata_announces_is_compared(tmp_path: Path, more: int) -> None:
    bag = split(tmp_path / "bag")
    topic = bags.TOPICS[1]
    describe(bag, {**COUNTS, topic: COUNTS[topic] + more, "/unread": 5})
    found, missing, notes = read(bag)
    assert found == times(SHORT)
    (said,) = missing
    assert (said.file, said.topic) == (str(bag / "metadata.yaml"), topic)
    assert f"{bag / 'metadata.yaml'}: /unread (5 announced, 0 there): not read, so nothing of it is missing" in notes
    assert (said.announced, said.read) == (COUNTS[topic] + more, COUNTS[topic])
    with Recording([bag]) as recording:
        list(recording.messages([bags.TOPICS[0]]))
        assert recording.incomplete == []


def test_a_sum_that_is_none_is_said(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag")
    (bag / "metadata.yaml").write_text((bag / "metadata.yaml").read_text() + f"  message_count: {len(SHORT) + 50}\n")
    found, missing, notes = read(bag)
    assert (found, missing) == (times(SHORT), [])
    assert notes == [f"{bag / 'metadata.yaml'}: 350 messages are announced in all, and 300 by topic"]


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize("name", ["run_1.mcap", "run_1.db3.zstd"])
def test_a_split_that_is_no_file_is_said(tmp_path: Path, kind: str, name: str) -> None:
    """Without a metadata.yaml nothing but its name tells of it."""
    bag = split(tmp_path / "bag", metadata=False)
    (bag / "run_1.mcap").unlink()
    if kind == "link":
        (bag / name).symlink_to("/nowhere/run.mcap")
    else:
        os.mkfifo(bag / name)
    found, missing, notes = read(bag)
    assert found == times(PARTS[0], PARTS[2])
    why = "is a link that leads nowhere, to /nowhere/run.mcap" if kind == "link" else "is no file"
    assert f"{bag / name}: cannot be read: it {why}" in notes
    assert [said.file for said in missing] == [str(bag / name)]


@pytest.mark.parametrize("metadata", [True, False])
def test_files_of_other_systems_are_not_taken_for_recordings(tmp_path: Path, metadata: bool) -> None:
    bag = split(tmp_path / "bag", metadata)
    for name in ("._run_0.mcap", "._metadata.yaml", ".DS_Store", "Thumbs.db", "desktop.ini", ".run.mcap.swp", ".x.db3"):
        (bag / name).write_bytes(b"\x00\x05\x16\x07Mac OS X" + bytes(100))
    found, missing, notes = read(bag)
    assert (found, missing) == (times(SHORT), [])
    assert len(notes) == (0 if metadata else 1)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe\x00", b"[" * 50_000, b"{a: " * 20_000, b"a: [b", b"- 1", b"7", b"x" * 2**21, b"? " * 10_000,
        b"rosbag2_bagfile_information: 3", b"rosbag2_bagfile_information:\n  starting_time: 9999-99-99",
        b"a: &a [x]\n" + b"".join(b"b%d: &b%d {<<: [*a, *a]}\n" % (i, i) for i in range(50)), b"\t",
        b"a: !!python/object:os.system x", b"%YAML 9.9\n---\na",
        b"a0: &a0 {x: 1}\n" + b"".join(b"a%d: &a%d {<<: [*a%d, *a%d]}\n" % (i, i, i - 1, i - 1) for i in range(1, 60)),
        b"a: " + b"9" * 10_000,
    ],
)  # fmt: skip
def test_metadata_that_says_nothing_is_done_without(tmp_path: Path, content: bytes) -> None:
    bag = split(tmp_path / "bag", metadata=False)
    (bag / "metadata.yaml").write_bytes(content)
    found, missing, notes = read(bag)
    assert (found, missing) == (times(SHORT), [])
    (note,) = notes
    assert note.startswith(f"{bag}: its files are read one by one, because of its metadata.yaml it ")
    assert "\n" not in note and len(note) < 500


@pytest.mark.parametrize(
    "values",
    [
        "relative_file_paths: 7", "relative_file_paths: [[], {}, 7, null]", "topics_with_message_count: {a: b}",
        "topics_with_message_count: [7, {topic_metadata: 7}, {topic_metadata: {name: [x]}, message_count: []}]",
        "files: [7, {path: 3}, {path: x, message_count: y}]",
        "relative_file_paths: [../../etc/passwd, /dev/zero, '', ..]",
    ],
)  # fmt: skip
def test_metadata_of_any_shape_opens_nothing_outside_of_the_folder(tmp_path: Path, values: str) -> None:
    bag = split(tmp_path / "bag", metadata=False)
    (bag / "metadata.yaml").write_text(f"rosbag2_bagfile_information:\n  {values}\n")
    found, _, notes = read(bag)
    assert found == times(SHORT) and notes


@pytest.mark.parametrize(
    "name", ["50 % done", "what?", "a#b", "ein äpfel", "%41", "&x=y", "'; --", "a\nb", "-x", "~", "$HOME"]
)
@pytest.mark.parametrize("plugin", ["mcap", "sqlite3"])
def test_any_name_will_do(tmp_path: Path, name: str, plugin: str) -> None:
    some = [message for message in bags.sample() if message.topic in bags.TOPICS][:50]
    bag = bags.write(tmp_path / "bag", some, plugin)
    (file,) = (path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    (folder := tmp_path / name).mkdir()
    moved = file.rename(folder / f"{name}{file.suffix}")
    assert len(read(moved)[0]) == len(read(folder)[0]) == 50


def test_the_same_file_twice_is_read_once(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag")
    found, missing, notes = read(bag, bag / "run_1.mcap", bag)
    assert (found, missing) == (times(SHORT), [])
    assert notes[0] == f"{bag / 'run_1.mcap'}: was given twice, and is read once"


def test_what_is_no_recording_is_refused_with_what_to_do_instead(tmp_path: Path) -> None:
    (tmp_path / "several").mkdir()
    bag = split(tmp_path / "several" / "bag")
    (ros1 := tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n" + bytes(100))
    (tmp_path / "old").mkdir()
    shutil.copy(ros1, tmp_path / "old")
    shutil.copy(ros1, named_wrong := tmp_path / "old.mcap")
    (video := tmp_path / "video.mp4").write_bytes(b"\x00\x00\x00\x20ftyp" + bytes(100))
    os.mkfifo(fifo := tmp_path / "fifo.mcap")
    (empty := tmp_path / "empty").mkdir()
    (described := tmp_path / "described").mkdir()
    shutil.copy(bag / "metadata.yaml", described)
    for path, why in (
        (bag / "metadata.yaml", f"describes a bag and holds no messages: give its folder, {bag}"),
        (bag.parent, "holds bags and is none: give one of them, or several that are one recording: 'bag'"),
        (ros1, "is a ROS 1 bag: convert it with rosbags-convert, which rosbags brings, and give what that writes"),
        (
            named_wrong,
            "is a ROS 1 bag: convert it with rosbags-convert, which rosbags brings, and give what that writes",
        ),
        (ros1.parent / "old", "what lies in it is a ROS 1 bag: convert it with "),
        (video, "is neither an .mcap nor a .db3 file, nor a folder with such files"),
        (fifo, "is neither a folder nor a file"),
        (Path("/dev/zero"), "is neither a folder nor a file"),
        (empty, "holds neither a metadata.yaml nor .mcap or .db3 files"),
        (described, "holds a metadata.yaml and none of the files that it names"),
    ):
        for paths in ([path], [bag, path]):
            with pytest.raises(BagError) as refused:
                Recording(paths)
            assert str(refused.value).startswith(f"{path}: {why}")


def test_files_are_known_by_what_they_begin_with(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag", metadata=False)
    file = (bag / "run_0.mcap").rename(tmp_path / "recording")
    assert read(file)[0] == times(PARTS[0])
    assert read(file.rename(tmp_path / "recording.db3"))[0] == times(PARTS[0])


@pytest.mark.parametrize("missing", ["pyarrow", "av"])
def test_a_dataset_without_what_reads_it_names_the_extra(tmp_path: Path, missing: str) -> None:
    """In a process of its own: neither may be had there, whatever is installed."""
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "info.json").write_text("{}")
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pathlib import Path\nfrom vjepa_ros.recordings.bag import Recording\n"
        "try: Recording([Path(sys.argv[1])])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout == (
        f"BagError {tmp_path}: is a LeRobotDataset, and these need the packages pyarrow and av (import of {missing} "
        "halted; None in sys.modules): install them, or the package with its extra `lerobot`\n"
    )
