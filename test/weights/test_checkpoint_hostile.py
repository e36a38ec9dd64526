"""Files that are made to do harm, or that chance has made: archives that grow, pipes, and thousands of damaged ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoint_files import read, refusal, saved, saved_safetensors, small_content
from support.reference import SMALL_CHECKPOINT, SMALL_PRESET

from vjepa_ros.weights import safetensors_file, torch_file

# Run with an address space that leaves room for torch and the small model: what would fill the memory fails.
BOUNDED = """
import resource, sys, time, vjepa_ros
preset, path = sys.argv[1:]
vjepa_ros.load("tiny_random")
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000, used + 400_000_000))
started = time.monotonic()
try:
    vjepa_ros.load(preset, checkpoint=path, image_size=64)
except vjepa_ros.VjepaError as error:
    print(error)
assert time.monotonic() - started < 20
"""


def bounded_refusal(path: Path) -> str:
    command = [sys.executable, "-c", BOUNDED, SMALL_PRESET, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    message = done.stdout.strip()
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


def repacked(folder: Path, **changes: Any) -> Path:
    """The small checkpoint as another archive: ``compression``, ``pickle`` in place of its own, ``more`` entries."""
    path = folder / "repacked.pt"
    with zipfile.ZipFile(SMALL_CHECKPOINT) as source, zipfile.ZipFile(path, "w") as archive:
        for info in source.infolist():
            content = source.read(info)
            if info.filename.endswith("data.pkl"):
                content = changes.get("pickle", content)
            archive.writestr(info.filename, content, changes.get("compression", zipfile.ZIP_STORED))
        for name, content in changes.get("more", {}).items():
            archive.writestr(name, content)
    return path


def test_an_archive_that_was_packed_anew_is_read_if_it_is_not_compressed(tmp_path: Path) -> None:
    assert read(repacked(tmp_path)).hash() == read(SMALL_CHECKPOINT).hash()
    assert "in compressed form, which torch.save does not write" in refusal(
        repacked(tmp_path, compression=zipfile.ZIP_DEFLATED)
    )


def test_a_small_file_that_unpacks_to_a_large_one(tmp_path: Path) -> None:
    """2 GB of zeros in 2 MB."""
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("bomb/data.pkl", "w", force_zip64=True) as entry:
            for _ in range(200):
                entry.write(bytes(10_000_000))
        archive.writestr("bomb/version", "3")
    assert path.stat().st_size < 3_000_000
    assert "in compressed form" in bounded_refusal(path)


def test_a_pickle_that_is_larger_than_any_checkpoints(tmp_path: Path) -> None:
    path = repacked(tmp_path, pickle=bytes(torch_file.MOST_BYTES_BESIDE_TENSORS))
    assert "bytes beside its tensors, more than" in bounded_refusal(path)
    more = {"archive/extra": bytes(torch_file.MOST_BYTES_BESIDE_TENSORS)}
    assert "bytes beside its tensors, more than" in refusal(repacked(tmp_path, more=more))


def test_tensors_that_claim_more_than_the_file_has(tmp_path: Path) -> None:
    content = small_content()
    content["target_encoder"]["module.backbone.norm.bias"] = torch.zeros(1).expand(2**40)
    assert "has shape (1099511627776,), but this model needs (64,)" in refusal(saved(tmp_path, content))
    header: dict[str, Any] = {"encoder.a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    path = tmp_path / "claims.safetensors"
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    assert "its tensors end at byte" in bounded_refusal(path)


@pytest.mark.parametrize("entry", [
    {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
    {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [1], "data_offsets": [0]},
    {"dtype": "F32", "shape": [1], "data_offsets": "04"},
    {"dtype": "F32", "shape": [1]},
    {"dtype": "F3", "shape": [1], "data_offsets": [0, 4]},
    {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]},
    [], None, "text", 5,
])  # fmt: skip
def test_headers_of_safetensors_that_make_no_sense(tmp_path: Path, entry: Any) -> None:
    path = tmp_path / "weights.safetensors"
    for extra in ({}, {"encoder.b": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}):
        text = json.dumps({"encoder.a": entry, **extra}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
        assert refusal(path).startswith("is a truncated or damaged safetensors file (")


@pytest.mark.parametrize("header", [
    b"{", b"{" * 100_000, b"[" * 10, b"{}", b'{"a":' * 1000 + b"1" + b"}" * 1000, b'{"\xff": 1}', b"{'a': 1}",
    b'{"__metadata__": 5, "encoder.a": {"dtype": "F32", "shape": [' + b"9" * 5000 + b'], "data_offsets": [0, 4]}}',
    b'{"encoder.\\ud800": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
])  # fmt: skip
def test_headers_of_safetensors_that_are_none(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    message = refusal(path)
    assert "safetensors file" in message and len(message) < 400
    path.write_bytes((2**63).to_bytes(8, "little") + header)
    assert "safetensors file" in refusal(path)


def test_a_header_that_is_larger_than_any_models(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    size = safetensors_file.MOST_HEADER_BYTES + 1
    path.write_bytes(size.to_bytes(8, "little") + b"{" + b" " * size)
    assert "its header has 10,000,001 bytes, more than 10,000,000" in refusal(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_pipes_sockets_devices_and_circles_are_not_waited_for(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    assert refusal(tmp_path / f"pipe{suffix}") == "is a pipe, a socket or a device, not a file"
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    assert refusal(tmp_path / f"zero{suffix}") == "is a pipe, a socket or a device, not a file"
    (tmp_path / f"circle{suffix}").symlink_to(tmp_path / f"circle{suffix}")
    assert refusal(tmp_path / f"circle{suffix}").startswith("cannot be read (Too many levels")
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / f"below{suffix}") == "there is no such file"
    assert refusal(tmp_path / ("n" * 300 + suffix)) == "cannot be read (File name too long)"
    assert refusal(f"~nosuchuser/weights{suffix}") == "there is no such file"


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_names_that_no_file_can_have(name: str) -> None:
    for suffix in (".pt", ".safetensors"):
        with pytest.raises(Exception, match="is no name of a file") as caught:
            read(name + suffix)
        assert type(caught.value).__name__ == "CheckpointError"


# A tuple that holds another one twice, and so on: 2^60 values, of which each is looked at where it is a key.
DOUBLED = b"](K\1K\2tq\0a" + b"".join(b"h%ch%c\x86q%ca" % (i, i, i + 1) for i in range(60))


@pytest.mark.parametrize(("pickled", "why"), [
    (b"\x80\2}K\5" + DOUBLED + b"sh\x3cK\1s.", "has tuples in tuples that stand for more than 1,000,000 values"),
    (b"\x80\2}K\1cbuiltins\nbytearray\n\x8a\5\0\0\0\0\x10\x85Rs.", "wants to make a bytearray of any size"),
    (b"\x80\2" + b"]" * 3_000_000 + b".", "has more than 2,000,000 instructions beside its tensors"),
], ids=["tuples", "bytearray", "instructions"])  # fmt: skip
def test_a_pickle_that_would_never_end_or_fill_the_memory(tmp_path: Path, pickled: bytes, why: str) -> None:
    assert bounded_refusal(repacked(tmp_path, pickle=pickled)).startswith(why)


def test_tuples_of_a_training_run_are_read(tmp_path: Path) -> None:
    """Keys of more than one part, and one tuple that is named often, are nothing special."""
    shared = tuple(range(1000))
    more = {"sampler": {(0, (1, "a")): shared, "seen": [shared] * 1000, "pairs": (shared,) * 900}}
    assert read(saved(tmp_path, {**small_content(), **more})).hash() == read(SMALL_CHECKPOINT).hash()


# Damages a file in every way that chance may: bytes flipped, blocks moved, cut, repeated, numbers made large; the parts
# that say what is where more often than the rest. Each must be read or refused by a sentence.
FUZZ = """
import os, random, sys, time, torch, warnings, vjepa_ros
from support.checkpoint_files import read
warnings.simplefilter("ignore")
source, target, count, seed, *ranges = sys.argv[1:]
content, chance = open(source, "rb").read(), random.Random(int(seed))
ranges = [tuple(map(int, pair.split(":"))) for pair in ranges]
counts, slowest, longest = {}, 0.0, 0
for _ in range(int(count)):
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
        first, end = chance.choice(ranges)
        at = chance.randrange(first, min(end, len(damaged)) or 1) if damaged else 0
        way = chance.randrange(8)
        if way < 3:
            damaged[at] ^= 1 << chance.randrange(8)
        elif way == 3:
            damaged[at] = chance.choice((0, 255, 127, 128, ord("."), ord("R"), ord("Q"), ord("]"), ord("}")))
        elif way == 4:
            size = chance.choice((1, 2, 4, 8))
            damaged[at : at + size] = chance.choice((b"\\xff", b"\\x7f", b"\\0")) * size
        elif way == 5:
            size = chance.randrange(1, 64)
            other = chance.randrange(first, end)
            damaged[at : at + size] = damaged[other : other + size]
        elif way == 6:
            del damaged[at : at + chance.choice((1, 4, 30))]
        else:
            damaged[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 4, 30))))
    open(target, "wb").write(damaged)
    os.utime(target, (0, 0))  # of a file that was written just now, reading begins a moment later
    started = time.monotonic()
    try:
        read(target)
        what = "read"
    except vjepa_ros.CheckpointError as error:
        what = "refused"
        longest = max(longest, len(str(error)))
        assert "\\n" not in str(error), str(error)
    slowest = max(slowest, time.monotonic() - started)
    counts[what] = counts.get(what, 0) + 1
print(counts, f"slowest {slowest:.2f} s, longest message {longest}")
assert longest < 1000 and slowest < 10
"""


def fuzzed(source: Path, count: int, seed: int, ranges: list[tuple[int, int]], folder: Path) -> None:
    target = folder / f"fuzzed{source.suffix}"
    pairs = [f"{first}:{end}" for first, end in ranges]
    command = [sys.executable, "-c", FUZZ, str(source), str(target), str(count), str(seed), *pairs]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["test", os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=110 + count / 5, cwd=Path(__file__).parents[2], env=environment
    )
    print(f"{source.name}: {done.stdout.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]


FUZZED = int(os.environ.get("VJEPA_ROS_FUZZ", "300"))


def test_damaged_checkpoints_are_read_or_refused(tmp_path: Path) -> None:
    small = {"encoder": {"a.weight": torch.zeros(3, 4), "b": torch.ones(5).half()}, "predictor": {"c": torch.zeros(2)}}
    path = saved(tmp_path, {**small, "epoch": 3, "opt": {"state": {0: {"step": torch.tensor(1.0)}}, "lr": [1e-3]}})
    with zipfile.ZipFile(path) as archive:
        pickled = next(info for info in archive.infolist() if info.filename.endswith("data.pkl"))
        place, table = pickled.header_offset, archive.start_dir
    size = path.stat().st_size
    fuzzed(path, FUZZED, 1, [(place, place + 100 + pickled.file_size)] * 3 + [(table, size), (0, size)], tmp_path)


def test_damaged_safetensors_are_read_or_refused(tmp_path: Path) -> None:
    parts = {"encoder": {"a.weight": torch.zeros(3, 4), "b": torch.ones(5).half()}, "predictor": {"c": torch.zeros(2)}}
    path = saved_safetensors(tmp_path / "weights.safetensors", parts)
    header = int.from_bytes(path.read_bytes()[:8], "little")
    fuzzed(path, FUZZED, 2, [(0, 8), (8, 8 + header), (8, 8 + header), (0, path.stat().st_size)], tmp_path)


def test_a_damaged_checkpoint_of_the_released_layout(tmp_path: Path) -> None:
    whole = Path(SMALL_CHECKPOINT)
    with zipfile.ZipFile(whole) as archive:
        pickled = next(info for info in archive.infolist() if info.filename.endswith("data.pkl"))
        place, table = pickled.header_offset, archive.start_dir
    size = whole.stat().st_size
    fuzzed(whole, FUZZED // 3, 3, [(place, place + 100 + pickled.file_size)] * 3 + [(table, size), (0, size)], tmp_path)
