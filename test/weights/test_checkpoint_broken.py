"""Files that are no checkpoints, are damaged, or mean harm: each is refused with one sentence that says what it is."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.checkpoint_files import read, refusal, saved, saved_safetensors, small_content
from support.reference import DATA, SMALL_CHECKPOINT

NO_ZIP = "is not a checkpoint (torch.save writes a zip archive; this is none)"


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_what_is_not_there(tmp_path):
    assert refusal(tmp_path / "nowhere.pt") == "there is no such file"
    assert refusal(tmp_path / "nowhere" / "weights.safetensors") == "there is no such file"
    assert refusal(tmp_path) == "is a folder, not a file"
    (tmp_path / "folder.safetensors").mkdir()
    assert refusal(tmp_path / "folder.safetensors") == "is a folder, not a file"


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "weights.pt").write_bytes(Path(SMALL_CHECKPOINT).read_bytes())
    assert read("~/weights.pt").hash() == read(SMALL_CHECKPOINT).hash()


@pytest.mark.parametrize(
    "content",
    [b"version https://git-lfs.github.com/spec/v1\n", png(), pickle.dumps({"a": 1}), b"PK", bytes(4096)],
    ids=["text", "png", "pickle", "too short", "zeros"],
)
def test_not_a_checkpoint(tmp_path, content):
    for name, reason in (("weights.pt", NO_ZIP), ("weights.safetensors", "is not a safetensors file")):
        (tmp_path / name).write_bytes(content)
        assert refusal(tmp_path / name) == reason


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    assert refusal(tmp_path / name) == "is not a checkpoint: it is empty"


def test_the_old_format_of_torch(tmp_path):
    torch.save({"encoder": {}}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert refusal(tmp_path / "old.pt") == NO_ZIP


def test_another_zip_archive():
    assert refusal(DATA / "golden.npz") == "is not a checkpoint, but another zip archive (it has no data.pkl)"


def test_a_checkpoint_with_the_ending_of_safetensors(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(Path(SMALL_CHECKPOINT).read_bytes())
    assert refusal(tmp_path / "weights.safetensors") == "is not a safetensors file"


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_truncated(tmp_path, kept):
    whole = Path(SMALL_CHECKPOINT).read_bytes()
    path = tmp_path / "weights.pt"
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert refusal(path) == "is truncated (it begins as a checkpoint, but its end is missing)"


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_truncated_safetensors(tmp_path, kept):
    weights = read(SMALL_CHECKPOINT)
    path = saved_safetensors(tmp_path / "weights.safetensors", {"encoder": weights.encoder})
    os.truncate(path, int(path.stat().st_size * kept))
    assert refusal(path).startswith("is a truncated or damaged safetensors file (")


def test_a_hole_in_the_middle(tmp_path):
    whole = Path(SMALL_CHECKPOINT).read_bytes()
    path = tmp_path / "weights.pt"
    path.write_bytes(whole[:100_000] + whole[200_000:])
    assert refusal(path).startswith("is a damaged checkpoint (")


@pytest.mark.parametrize("pickled", [b"", b"nonsense", pickle.dumps({"encoder": 1}, protocol=2)[:-3]])
def test_a_damaged_table_of_tensors(tmp_path, pickled):
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data.pkl", pickled)
        archive.writestr("weights/version", "3")
    assert refusal(path).startswith("is a damaged checkpoint")


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.filterwarnings("ignore:.*TorchScript")
def test_a_torchscript_archive(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "weights.pt"))
    assert "TorchScript" in refusal(tmp_path / "weights.pt")


class RunsCode:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("place", ["epoch", "target_encoder", "predictor"])
def test_a_pickle_that_wants_to_run_code(tmp_path, place):
    marker = tmp_path / "it_ran"
    content = small_content()
    if place == "epoch":
        content[place] = RunsCode(marker)
    else:
        content[place]["norm.weight"] = RunsCode(marker)
    path = saved(tmp_path, content)
    assert refusal(path) == (
        "wants to run posix.mkdir when it is read, which is no weight: refused, and nothing was run; "
        "save it again with nothing but its weights"
    )
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()  # the trap is a real one
