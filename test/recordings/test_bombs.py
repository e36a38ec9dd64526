"""What small files claim or unpack to is bounded: chunks, messages, whole files, and what a single message becomes."""

from __future__ import annotations

import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from backports import zstd
from support import bags, mcaps
from support.mcaps import Form

from vjepa_ros.errors import BagError, InputError
from vjepa_ros.recordings import bag, mcap_file, mcap_walk, storage, zstd_bag
from vjepa_ros.recordings.bag import Recorded, Recording
from vjepa_ros.recordings.expanding import ExpandError, expand

SHORT = [raw for raw in mcaps.sample() if raw.topic in bags.TOPICS][:100]
MIB = 2**20
MEASURED = """
import resource, sys
from pathlib import Path
from vjepa_ros.recordings.bag import Recording
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
try:
    with Recording([Path(sys.argv[1])]) as recording:
        read = [len(message.data) for message in recording.messages(recording.topics)]
        print(len(read), len(recording.incomplete), *recording.notes, sep="|")
except Exception as error:
    print(type(error).__name__, error, sep="|")
print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")])
"""


def measured(file: Path, most_mib: int) -> list[str]:
    """What came of a file in a process of its own, which had so much memory at most."""
    command = [
        sys.executable,
        "-c",
        MEASURED,
        str(file),
        str((most_mib + 1500) * MIB),
    ]  # libraries reserve, and do not use
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    *lines, peak_kib = done.stdout.splitlines()
    assert int(peak_kib) < most_mib * 1024, done.stdout
    return lines[0].split("|")


@cache
def zeros(method: str, count: int) -> bytes:
    """So many zeros, compressed, without ever having them."""
    if method == "zstd":
        compressor = zstd.ZstdCompressor()
        block = bytes(16 * MIB)
        return b"".join(compressor.compress(block) for _ in range(count // len(block))) + compressor.flush()
    import lz4.frame

    with lz4.frame.LZ4FrameCompressor() as lz4_compressor:
        parts = [lz4_compressor.begin()]
        parts += [lz4_compressor.compress(bytes(16 * MIB)) for _ in range(count // (16 * MIB))]
        return b"".join([*parts, lz4_compressor.flush()])


@pytest.mark.parametrize(
    ("method", "claimed"),
    [("zstd", 10_000), ("zstd", 200 * MIB), ("zstd", 3 * 2**30), ("lz4", 10_000), ("lz4", 200 * MIB), ("lz4", 2**63)],
)
def test_a_chunk_that_decompresses_to_gigabytes_is_done_without(tmp_path: Path, method: str, claimed: int) -> None:
    data = zeros(method, 3 * 2**30 if method == "zstd" else 2**30)
    bomb = mcaps.chunk(b"", SHORT[0].received_ns, SHORT[1].received_ns, method, 0, claimed, data)
    file = Form(extra=bomb).write(tmp_path / "bomb.mcap", SHORT)
    count, missing, *notes = measured(file, 500)
    assert (count, missing) == ("100", "0"), "the statistics say that nothing is missing"
    assert "cannot be used: it " in "".join(notes)
    file = Form(extra=bomb, statistics=False).write(tmp_path / "bomb.mcap", SHORT)
    assert measured(file, 500)[:2] == ["100", "1"]


@pytest.mark.parametrize("suffix", [".mcap.zstd", ".db3.zstd"])
def test_a_file_that_decompresses_to_gigabytes_is_refused(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (file := tmp_path / f"bomb{suffix}").write_bytes(zeros("zstd", 3 * 2**30))
    assert file.stat().st_size < 2**19
    said = measured(file, 300)
    assert said[0] == "BagError" and "it decompresses to more than 1,073,741,824 bytes, which no recording" in said[1]
    assert list(tmp_path.iterdir()) == [file]


def test_a_message_that_decompresses_to_gigabytes_is_left_out_and_said(tmp_path: Path) -> None:
    many = [*SHORT[:50], SHORT[50]._replace(data=zeros("zstd", 2 * 2**30)), *SHORT[51:]]
    file = Form().write(tmp_path / "bomb.mcap", many)
    count, missing, *_ = measured(file, 700)
    assert (count, missing) == ("99", "2")


def test_a_chunk_of_nothing_but_small_messages_fits(tmp_path: Path) -> None:
    """Two million messages of a byte each in a chunk: 100 kB become 64 MB, and no more than a few times that."""
    one = mcaps.message(1, SHORT[0].received_ns, b"\0")
    content = mcaps.schema(1, SHORT[0].kind) + mcaps.channel(1, 1, SHORT[0].topic) + one * 2_000_000
    data = mcaps.MAGIC + mcaps.record(1, mcaps.text("") * 2) + mcaps.chunk(content, 0, 2**62, "zstd")
    (file := tmp_path / "bomb.mcap").write_bytes(data)
    assert len(data) < 100_000
    assert measured(file, 700)[0] == "2000000"


@pytest.mark.parametrize("claimed", [2**32, 2**64 - 1])
def test_lengths_that_are_claimed_are_not_reserved(tmp_path: Path, claimed: int) -> None:
    whole = Form(checksums=False).contents(SHORT)
    for place in (whole.index(SHORT[30].data) - 30, whole.rindex(struct.pack("<BQ", mcaps.STATISTICS, 0)[:1]) + 1):
        data = bytearray(whole)
        data[place : place + 8] = struct.pack("<Q", claimed)
        (file := tmp_path / "bag.mcap").write_bytes(data)
        assert measured(file, 300)[0] != "MemoryError"


def test_limits_hold_for_what_is_not_compressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcap_file, "MOST_CHUNK_BYTES", 10_000)
    with pytest.raises(BagError, match="it announces [0-9,]+ bytes, more than 10,000"):
        Recording([Form(summary=False).write(tmp_path / "bag.mcap", SHORT)])
    monkeypatch.setattr(mcap_walk, "MOST_MESSAGE_BYTES", 5_000)
    with Recording([Form(chunk_messages=0).write(tmp_path / "bag.mcap", SHORT)]) as recording:
        assert len(list(recording.messages(bags.TOPICS))) == sum(len(raw.data) < 4_900 for raw in SHORT)
        assert recording.incomplete and "is larger than 5,000 bytes" in recording.notes[0]


def test_a_message_that_is_no_image_is_small() -> None:
    large = Recorded("/joint_states", "sensor_msgs/msg/JointState", 0, bytes(bag.MOST_PLAIN_BYTES + 1))
    with pytest.raises(InputError, match="too_large"):
        large.message()
    image = bags.TYPES.types["sensor_msgs/msg/CompressedImage"](
        header=bags.sample()[0].data.header, format="png", data=np.zeros(bag.MOST_PLAIN_BYTES, np.uint8)
    )
    kind = "sensor_msgs/msg/CompressedImage"
    assert Recorded("/image", kind, 0, bytes(bags.TYPES.serialize_cdr(image, kind))).message().data.size > 10**7


@pytest.mark.parametrize("method", ["", "zstd", "lz4"])
def test_bytes_are_expanded_up_to_a_limit(method: str) -> None:
    data = mcaps.compressed(b"abc" * 1000, method)
    assert expand(data, method, 3000) == b"abc" * 1000
    with pytest.raises(ExpandError, match=r"2,999 bytes"):
        expand(data, method, 2999)
    if method:
        assert expand(data * 3, method, 9000) == b"abc" * 3000, "several in a row"
        for wrong in (data[:-5], data[:10], b"x" * 20, data[:8] + b"\xff" * 10 + data[18:]):
            with pytest.raises(ExpandError, match="its compressed data is (cut off|damaged)"):
                expand(wrong, method, 3000)


def test_the_limits_stand_in_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    for most in (
        mcap_file.MOST_CHUNK_BYTES,
        storage.MOST_MESSAGE_BYTES,
        bag.MOST_PLAIN_BYTES,
        zstd_bag.MOST_FILE_BYTES,
    ):
        assert f"{most // MIB} MiB" in page
    assert f"{zstd_bag.MOST_FILE_RATIO} times" in page and f"{mcap_walk.MOST_PIECES:,}" in page
