"""A checkpoint that changes while it is read: refused, whatever happens to it, and never half one, half another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.checkpoint_files import read, saved_safetensors
from support.reference import SMALL_CHECKPOINT, SMALL_PRESET, small_config

from vjepa_ros.errors import CheckpointError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights.checkpoint import read_checkpoint

SUFFIXES = (".pt", ".safetensors")


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"weights{suffix}"
    if suffix == ".pt":
        path.write_bytes(Path(SMALL_CHECKPOINT).read_bytes())
        return path
    weights = read(SMALL_CHECKPOINT)
    return saved_safetensors(path, {"encoder": weights.encoder, "predictor": weights.predictor})


def overwritten(path: Path) -> None:
    """In place, by as many bytes, its times as before where they can be set."""
    status = os.stat(path)
    with path.open("r+b") as file:
        file.seek(status.st_size // 2)
        file.write(b"\x3c" * (status.st_size // 4))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def truncated(path: Path) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("change", [overwritten, truncated, emptied, grown])
@pytest.mark.parametrize("at", ["the start", "the middle", "the end"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, suffix: str, change: Callable[[Path], None], at: str
) -> None:
    path = written(tmp_path, suffix)
    calls = 0

    def on_bytes(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if (
            (at == "the start" and calls == 1)
            or (at == "the middle" and calls == 20)
            or (at == "the end" and done == total)
        ):
            change(path)

    config = small_config()
    with torch.device("meta"):
        encoder, predictor = Encoder(config), Predictor(config)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, encoder, predictor, sidecar=None, on_bytes=on_bytes)
    assert str(caught.value) == f"{path}: was changed while it was read: load it again once it is whole"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_was_written_just_now_is_no_exception(tmp_path: Path, suffix: str) -> None:
    """Its own times and those of a change within the same tick of the clock would be the same."""
    content = written(tmp_path, suffix).read_bytes()
    path = tmp_path / f"new{suffix}"
    config = small_config()
    for _ in range(10):
        path.write_bytes(content)
        with torch.device("meta"):
            encoder, predictor = Encoder(config), Predictor(config)
        with pytest.raises(CheckpointError, match="was changed while it was read"):
            read_checkpoint(path, encoder, predictor, sidecar=None, on_bytes=lambda *_: overwritten(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_replaced_is_refused_or_the_old_one(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, suffix)
    whole = read(path).hash()
    other = tmp_path / f"other{suffix}"
    other.write_bytes(b"something else")
    config = small_config()
    with torch.device("meta"):
        encoder, predictor = Encoder(config), Predictor(config)

    def replace(*_: int) -> None:
        if other.exists():
            other.replace(path)

    try:
        found = read_checkpoint(path, encoder, predictor, sidecar=None, on_bytes=replace).hash()
    except CheckpointError as error:
        assert "was changed while it was read" in str(error)
    else:
        assert found == whole


# Cuts the file to nothing and writes it again, over and over, while another thread loads it: each time it is refused,
# or whole. A process that reads through a mapping is killed by the first cut.
STORM = """
import os, sys, threading, vjepa_ros
preset, path = sys.argv[1:]
content = open(path, "rb").read()
whole = vjepa_ros.load(preset, checkpoint=path, image_size=64).weights_hash
stop = threading.Event()
def storm():
    while not stop.is_set():
        os.truncate(path, 0)
        with open(path, "r+b") as file:
            file.write(content)
thread = threading.Thread(target=storm)
thread.start()
loaded = refused = 0
try:
    for _ in range(30):
        try:
            assert vjepa_ros.load(preset, checkpoint=path, image_size=64).weights_hash == whole
            loaded += 1
        except vjepa_ros.CheckpointError as error:
            assert "\\n" not in str(error)
            refused += 1
finally:
    stop.set()
    thread.join()
print(loaded, refused)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_storm_of_writes_kills_nothing_and_mixes_nothing(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, suffix)
    command = [sys.executable, "-c", STORM, SMALL_PRESET, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}"
    loaded, refused = map(int, done.stdout.split())
    print(f"{suffix}: {loaded} loaded whole, {refused} refused")
    assert loaded + refused == 30 and refused > 0
