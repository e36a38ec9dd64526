"""Checkpoints of another model, or with parts that belong to none: refused by name, with both shapes."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from support.checkpoint_files import ENCODER_PREFIX, read, refusal, saved, saved_safetensors, small_content
from support.reference import SMALL_CHECKPOINT

from vjepa_ros.errors import CheckpointError
from vjepa_ros.weights.fitting import ALLOWED_EXTRA
from vjepa_ros.weights.safetensors_file import write_safetensors


@pytest.fixture
def content() -> dict[str, Any]:
    return small_content()


def test_a_file_without_an_encoder(tmp_path, content):
    rest = {"predictor": content["predictor"], "epoch": 3}
    wanted = "has no target_encoder or ema_encoder or encoder; it has"
    assert refusal(saved(tmp_path, rest)) == (
        f"{wanted} predictor, epoch; it is a predictor: name it as `predictor_checkpoint`, and its encoder's file as "
        "`checkpoint`"
    )
    assert refusal(saved(tmp_path, [1, 2])) == f"{wanted} no keys"
    assert refusal(saved(tmp_path, content["encoder"])).startswith(f"{wanted} {ENCODER_PREFIX}")


@pytest.mark.parametrize("key", ["target_encoder", "predictor"])
def test_a_part_that_is_no_dictionary(tmp_path, content, key):
    assert refusal(saved(tmp_path, {**content, key: 3})) == f"{key} is a int, not a dictionary of weights"


def test_weights_that_belong_to_no_part(tmp_path, content):
    message = refusal(saved(tmp_path, {**content, "target_predictor": content["predictor"]}))
    assert message == "has weights under target_predictor, which belong to no part of this model"


@pytest.mark.parametrize("part, name", [("target_encoder", "module.backbone.blocks.1.norm1.bias"),
                                        ("predictor", "module.action_encoder.weight")])  # fmt: skip
def test_missing_and_unexpected_names(tmp_path, content, part, name):
    tensor = content[part].pop(name)
    bare = name.removeprefix("module.").removeprefix("backbone.")
    assert refusal(saved(tmp_path, content)) == f"{part} lacks {bare}"
    content[part][name] = tensor
    content[part]["module.surplus.weight"] = tensor
    assert refusal(saved(tmp_path, content)) == f"{part} has surplus.weight, which this model does not"


def test_the_permitted_extra_names_are_permitted_in_their_own_part_only(tmp_path, content):
    assert ALLOWED_EXTRA == {
        "encoder": ("pos_embed",), "predictor": ("extrinsics_encoder.weight", "extrinsics_encoder.bias"),
    }  # fmt: skip
    for part, others in (("target_encoder", "predictor"), ("predictor", "encoder")):
        for name in ALLOWED_EXTRA[others]:
            changed = {**content, part: {**content[part], f"module.{name}": torch.zeros(1)}}
            assert refusal(saved(tmp_path, changed)) == f"{part} has {name}, which this model does not"


def test_a_name_that_is_there_twice_once_its_prefixes_are_gone(tmp_path, content):
    content["target_encoder"]["norm.bias"] = torch.zeros(64)
    assert refusal(saved(tmp_path, content)) == "target_encoder has norm.bias twice, the second time as norm.bias"


def test_wrong_shape_names_file_name_and_both_shapes():
    assert refusal(SMALL_CHECKPOINT, tubelet_size=1) == (
        "target_encoder patch_embed.proj.weight has shape (64, 3, 2, 16, 16), "
        "but this model needs (64, 3, 1, 16, 16)"
    )  # fmt: skip
    assert refusal(SMALL_CHECKPOINT, action_dim=8) == (
        "predictor action_encoder.weight has shape (64, 7), but this model needs (64, 8)"
    )


def test_another_depth():
    message = refusal(SMALL_CHECKPOINT, encoder_depth=4)
    assert message.startswith("target_encoder lacks blocks.3.norm1.weight, ") and message.endswith(" and 9 more")
    message = refusal(SMALL_CHECKPOINT, encoder_depth=2)
    assert message.startswith("target_encoder has blocks.2.") and message.endswith("which this model does not")


@pytest.mark.parametrize(
    "value, reason",
    [
        ("text", "a str, not a tensor"),
        (torch.zeros(64, dtype=torch.int64), "torch.int64, torch.strided, not dense and floating-point"),
        (torch.zeros(64).to_sparse(), "torch.float32, torch.sparse_coo, not dense and floating-point"),
    ],
)
def test_what_is_no_dense_floating_point_tensor(tmp_path, content, value, reason):
    content["target_encoder"][f"{ENCODER_PREFIX}norm.bias"] = value
    assert refusal(saved(tmp_path, content)) == f"target_encoder norm.bias is {reason}"


def test_safetensors_with_names_that_belong_nowhere(tmp_path):
    path = tmp_path / "weights.safetensors"
    saved_safetensors(path, {"model": {"a": torch.zeros(1)}})
    assert refusal(path) == "has no names that begin with encoder."
    saved_safetensors(path, {part: {"a": torch.zeros(1)} for part in ("encoder", "predictor", "optimizer")})
    assert refusal(path) == "optimizer.a belongs neither to encoder. nor to predictor."


def test_a_robot_without_the_package_safetensors_reads_and_is_told_so_where_it_writes(tmp_path, monkeypatch):
    weights = read(SMALL_CHECKPOINT)
    parts = {"encoder": weights.encoder, "predictor": weights.predictor}
    path = saved_safetensors(tmp_path / "weights.safetensors", parts)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert read(path).hash() == weights.hash()
    with pytest.raises(CheckpointError) as caught:
        write_safetensors(tmp_path / "other.safetensors", parts)
    assert str(caught.value) == (
        f"{tmp_path / 'other.safetensors'}: writing it needs the package safetensors, which is not installed: "
        "pip install safetensors"
    )
