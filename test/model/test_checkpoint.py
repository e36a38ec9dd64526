"""Reading weights files: the layouts that exist, and a clear refusal of everything else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import DATA, SMALL_CHECKPOINT, small_config
from safetensors.torch import save_file

from vjepa_ros.errors import CheckpointError
from vjepa_ros.model.checkpoint import read_checkpoint
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.weights import Weights

ENCODER_PREFIX = "module.backbone."


def read(path: str | Path, use_extrinsics: bool = False, **overrides: object) -> Weights:
    config = small_config(**overrides)
    with torch.device("meta"):
        encoder, predictor = Encoder(config), Predictor(config, use_extrinsics)
    return read_checkpoint(path, encoder, predictor)


@pytest.fixture
def content() -> dict[str, Any]:
    return torch.load(SMALL_CHECKPOINT, weights_only=True)


def saved(tmp_path: Path, content: object) -> Path:
    torch.save(content, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


def refusal(path: str | Path, **overrides: object) -> str:
    with pytest.raises(CheckpointError) as error:
        read(path, **overrides)
    assert str(path) in str(error.value)
    return str(error.value)


def test_the_released_layout(content):
    weights = read(SMALL_CHECKPOINT)
    assert weights.checkpoint_key == "target_encoder"
    stored = content["target_encoder"]
    assert len(weights.encoder) == len(stored)
    assert all(torch.equal(tensor, stored[ENCODER_PREFIX + name]) for name, tensor in weights.encoder.items())
    stored = content["predictor"]
    assert len(weights.predictor) == len(stored) - 2  # all but the unused extrinsics encoder
    assert all(torch.equal(tensor, stored[f"module.{name}"]) for name, tensor in weights.predictor.items())


def test_extrinsics_are_read_where_they_are_used(content):
    weights = read(SMALL_CHECKPOINT, use_extrinsics=True)
    stored = content["predictor"]["module.extrinsics_encoder.weight"]
    assert torch.equal(weights.predictor["extrinsics_encoder.weight"], stored)


@pytest.mark.parametrize(
    "keys, preferred",
    [
        (["encoder", "ema_encoder", "target_encoder"], "target_encoder"),
        (["encoder", "ema_encoder"], "ema_encoder"),
        (["encoder"], "encoder"),
    ],
)
def test_the_preferred_encoder_is_used_and_named(tmp_path, content, keys, preferred):
    encoders = {
        key: {name: tensor + index for name, tensor in content["encoder"].items()} for index, key in enumerate(keys)
    }
    weights = read(saved(tmp_path, {**encoders, "predictor": content["predictor"]}))
    assert weights.checkpoint_key == preferred
    name = "norm.bias"
    assert torch.equal(weights.encoder[name], encoders[preferred][ENCODER_PREFIX + name])


def test_names_without_prefixes_and_a_stray_pos_embed(tmp_path, content):
    encoder = {name.removeprefix(ENCODER_PREFIX): tensor for name, tensor in content["encoder"].items()}
    encoder["pos_embed"] = torch.zeros(1, 128, 64)
    predictor = {name.removeprefix("module."): tensor for name, tensor in content["predictor"].items()}
    path = saved(tmp_path, {"target_encoder": encoder, "predictor": predictor})
    assert read(path).hash() == read(SMALL_CHECKPOINT).hash()


def test_safetensors_hold_the_same_weights(tmp_path):
    weights = read(SMALL_CHECKPOINT)
    tensors = {f"encoder.{name}": tensor for name, tensor in weights.encoder.items()}
    tensors |= {f"predictor.{name}": tensor for name, tensor in weights.predictor.items()}
    save_file(tensors, tmp_path / "weights.safetensors")
    again = read(tmp_path / "weights.safetensors")
    assert again.hash() == weights.hash() and again.checkpoint_key == "encoder"


def test_what_happens_to_the_file_later_changes_nothing(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(Path(SMALL_CHECKPOINT).read_bytes())
    weights = read(path)
    before = weights.hash()
    with path.open("r+b") as file:  # in place, where a mapping would see it
        file.write(b"\xff" * path.stat().st_size)
    assert weights.hash() == before


def test_missing_file_and_folder(tmp_path):
    assert "no such file" in refusal(tmp_path / "nowhere.pt")
    assert "folder" in refusal(tmp_path)


@pytest.mark.parametrize("content_bytes", [b"", b"version https://git-lfs", pickle.dumps({"a": 1})])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_not_a_checkpoint(tmp_path, content_bytes, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content_bytes)
    assert "is not a" in refusal(path)


def test_another_zip_archive():
    assert "is not a checkpoint" in refusal(DATA / "golden.npz")


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_truncated(tmp_path, kept):
    whole = Path(SMALL_CHECKPOINT).read_bytes()
    path = tmp_path / "weights.pt"
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert "truncated" in refusal(path)


def test_truncated_safetensors(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"encoder.norm.weight": torch.zeros(64)}, path)
    path.write_bytes(path.read_bytes()[:-1])
    assert "truncated" in refusal(path)


class RunsCode:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_wants_to_run_code(tmp_path, content):
    marker = tmp_path / "it_ran"
    path = saved(tmp_path, {**content, "extra": RunsCode(marker)})
    assert "could run code" in refusal(path) and not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()  # the trap is a real one


def test_missing_parts(tmp_path, content):
    encoders = {key: value for key, value in content.items() if key != "predictor"}
    assert "has no predictor; it has epoch, loss, encoder, target_encoder" in refusal(saved(tmp_path, encoders))
    rest = {"predictor": content["predictor"]}
    assert "has no target_encoder or ema_encoder or encoder; it has predictor" in refusal(saved(tmp_path, rest))
    assert "predictor is a int" in refusal(saved(tmp_path, {**content, "predictor": 3}))
    assert "it has no keys" in refusal(saved(tmp_path, [1, 2]))


@pytest.mark.parametrize("part, name", [("target_encoder", "module.backbone.blocks.1.norm1.bias"),
                                        ("predictor", "module.action_encoder.weight")])  # fmt: skip
def test_missing_and_unexpected_names(tmp_path, content, part, name):
    tensor = content[part].pop(name)
    bare = name.removeprefix("module.").removeprefix("backbone.")
    assert f"{part.removeprefix('target_')} lacks {bare}" in refusal(saved(tmp_path, content))
    content[part][name] = tensor
    content[part]["module.surplus.weight"] = tensor
    assert "surplus.weight, which this model does not" in refusal(saved(tmp_path, content))


def test_no_encoder_name_is_allowed_in_a_predictor(tmp_path, content):
    content["predictor"]["module.pos_embed"] = torch.zeros(1)
    assert "predictor has pos_embed" in refusal(saved(tmp_path, content))


def test_wrong_shape_names_file_name_and_both_shapes():
    message = refusal(SMALL_CHECKPOINT, tubelet_size=1)
    assert "patch_embed.proj.weight" in message and "(64, 3, 2, 16, 16)" in message and "(64, 3, 1, 16, 16)" in message
    message = refusal(SMALL_CHECKPOINT, action_dim=8)
    assert "action_encoder.weight" in message and "(64, 7)" in message and "(64, 8)" in message


def test_another_depth():
    assert "lacks blocks.3.norm1.weight" in refusal(SMALL_CHECKPOINT, encoder_depth=4)
    assert "has blocks.2.norm1.weight" in refusal(SMALL_CHECKPOINT, encoder_depth=2)


def test_what_is_no_floating_point_tensor(tmp_path, content):
    name = f"{ENCODER_PREFIX}norm.bias"
    for value, kind in ((torch.zeros(64, dtype=torch.int64), "torch.int64"), ("text", "str")):
        content["target_encoder"][name] = value
        assert f"norm.bias is {kind}, not a floating-point tensor" in refusal(saved(tmp_path, content))


def test_safetensors_with_names_that_belong_nowhere(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"model.a": torch.zeros(1)}, path)
    assert "no names that begin with encoder." in refusal(path)
    save_file({"encoder.a": torch.zeros(1), "predictor.a": torch.zeros(1), "optimizer.a": torch.zeros(1)}, path)
    assert "optimizer.a" in refusal(path)
