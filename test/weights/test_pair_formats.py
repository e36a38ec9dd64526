"""An encoder of every format, and a predictor in a file of its own that was trained with it: known by its hash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import small_v21
from support.folders import FEW, SIZES, Folder

import vjepa_ros
from vjepa_ros.config.node import resolve
from vjepa_ros.conversion import convert, record
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import CheckpointError, OutputError
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.forecast.info import latent_info
from vjepa_ros.weights.writing import write_predictor

JOINTS = torch.zeros(1, 4, 7)
NAMES = [f"joint{number}" for number in range(7)]
TRANSFORMERS = {**SIZES, **FEW}
V21 = {**small_v21.SIZES, **small_v21.FEW, "num_frames": 8}


def parameters(sizes: dict[str, Any]) -> dict[str, Any]:
    """Sizes as parameters say them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in sizes.items()}


class Trained:
    """A predictor, written as training does it, and what it was trained with.

    Args:
        folder: where to.
        preset, sizes: of the model.
        checkpoint: of its encoder.
    """

    def __init__(self, folder: Path, preset: str, sizes: dict[str, Any], checkpoint: Path) -> None:
        self.preset, self.sizes = preset, sizes
        self.drawn = vjepa_ros.load(preset, checkpoint=checkpoint, random_predictor=True, seed=9, fast=False, **sizes)
        self.path = folder / "predictor.safetensors"
        predictor = {name: tensor.detach() for name, tensor in self.drawn.predictor.named_parameters()}
        made_for = record(preset, parameters(sizes)).made_for
        source = {"file": checkpoint.name, "key": "encoder", "hash": "0123456789abcdef"}
        write_predictor(self.path, predictor, made_for, source, self.drawn.encoder_hash)

    def load(self, checkpoint: Path) -> WorldModel:
        return vjepa_ros.load(
            self.preset, checkpoint=checkpoint, predictor_checkpoint=self.path, fast=False, **self.sizes
        )

    def require_same(self, checkpoint: Path) -> None:
        wm, (height, width) = self.load(checkpoint), self.drawn.config.image_size
        clip = torch.randn(1, 3, 8, height, width, generator=torch.Generator().manual_seed(1))
        context = self.drawn.encode(clip)
        assert wm.trained and wm.weights_hash == self.drawn.weights_hash
        assert torch.equal(wm.encode(clip), context)
        assert torch.equal(wm.predict(context, JOINTS, JOINTS), self.drawn.predict(context, JOINTS, JOINTS))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trained, Path]]:
    folder = tmp_path_factory.mktemp("hub")
    Folder(folder / "model")
    yield Trained(folder, "vitl", TRANSFORMERS, folder / "model"), folder


def in_format(name: str, folder: Path) -> Path:
    """The same encoder in another form."""
    if name == "folder":
        return folder / "model"
    if name == "model.safetensors":
        return folder / "model" / "model.safetensors"
    if name == "shards":
        cut = Folder(folder / "cut", shard_bytes=100_000).path
        return cut
    if name == "prefixes":
        (folder / "wrapped").mkdir(exist_ok=True)
        tensors = load_file(folder / "model" / "model.safetensors")
        wrapped = {f"module._orig_mod.{key}": tensor for key, tensor in tensors.items()}
        save_file(wrapped, folder / "wrapped" / "model.safetensors")
        (folder / "wrapped" / "config.json").write_text((folder / "model" / "config.json").read_text())
        return folder / "wrapped"
    out = folder / "own.safetensors"
    convert(folder / "model", out, record("vitl", parameters(TRANSFORMERS)), encoder_only=True, force=True)
    return out


@pytest.mark.parametrize("name", ["folder", "model.safetensors", "shards", "prefixes", "converted"])
def test_encoders_of_transformers(hub: tuple[Trained, Path], name: str) -> None:
    trained, folder = hub
    trained.require_same(in_format(name, folder))


@pytest.mark.parametrize("name", [".pt", "converted"])
def test_encoders_of_v_jepa_2_1(tmp_path: Path, name: str) -> None:
    checkpoint = Path(small_v21.CHECKPOINT)
    trained = Trained(tmp_path, small_v21.PRESET, V21, checkpoint)
    if name == "converted":
        out = tmp_path / "own.safetensors"
        convert(checkpoint, out, record(small_v21.PRESET, parameters(V21)), encoder_only=True)
        checkpoint = out
    trained.require_same(checkpoint)


def test_another_encoder_is_refused(hub: tuple[Trained, Path], tmp_path: Path) -> None:
    trained, folder = hub
    tensors = load_file(folder / "model" / "model.safetensors")
    tensors["encoder.layer.1.attention.key.bias"] += 1e-4
    (tmp_path / "config.json").write_text((folder / "model" / "config.json").read_text())
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="was trained with the encoder"):
        trained.load(tmp_path)


def test_one_file_of_the_two(hub: tuple[Trained, Path], tmp_path: Path) -> None:
    trained, folder = hub
    out = tmp_path / "both.safetensors"
    recorded = record("auto", FEW, trained.path, folder / "model")
    convert(folder / "model", out, recorded, predictor_checkpoint=trained.path)
    both = vjepa_ros.load("vitl", checkpoint=out, fast=False, **TRANSFORMERS)
    assert both.weights_hash == trained.drawn.weights_hash and both.trained


def test_what_is_converted_never_takes_its_own_place(hub: tuple[Trained, Path]) -> None:
    _, folder = hub
    model = folder / "model" / "model.safetensors"
    before = os.stat(model).st_mtime_ns
    with pytest.raises(OutputError, match="is the checkpoint itself"):
        convert(folder / "model", model, record("vitl", parameters(TRANSFORMERS)), encoder_only=True, force=True)
    assert os.stat(model).st_mtime_ns == before


def test_the_node_takes_them(hub: tuple[Trained, Path]) -> None:
    """Preset and sizes told by config.json, the rest by the predictor's sidecar; what is said of it names them."""
    trained, folder = hub
    files = {"checkpoint": str(folder / "model"), "predictor_checkpoint": str(trained.path)}
    config = resolve({"preset": "auto", **files, **FEW, "joint_names": NAMES, "threads": 1})
    info = latent_info(config, load_model(config))
    assert (info["model"], info["trained"], info["weights_hash"]) == ("vitl", True, trained.drawn.weights_hash)
    assert (info["checkpoint"], info["encoder_hash"]) == (files["checkpoint"], trained.drawn.encoder_hash)
    assert (info["dim"], info["levels"], info["grid"]) == (64, "last", [8, 4, 4])


def test_all_levels_are_announced() -> None:
    sizes = parameters({**V21, "checkpoint": small_v21.CHECKPOINT, "random_predictor": True, "latents.levels": "all"})
    config = resolve({"preset": small_v21.PRESET, **sizes, "joint_names": NAMES, "threads": 1})
    model = load_model(config)
    info = latent_info(config, model)
    assert (info["dim"], info["levels"], info["grid"]) == (4 * 48, "all", [4, 4, 6])
    context = model.encode(torch.zeros(1, 3, 8, 64, 96))
    assert model.predict(context, JOINTS, JOINTS).shape == context.shape == (1, 96, 192)
