"""What a training begins with: fresh weights, or a predictor that was trained elsewhere, of other actions even."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.learnable import CPU_OPTIONS, as_read, walks
from support.reference import SMALL_CHECKPOINT, small_config
from torch import Tensor

from vjepa_ros.errors import CheckpointError, ConfigError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.training.initial import freeze, fresh_encoder, fresh_predictor, predictor_from, require_trainable
from vjepa_ros.training.learning import Learning
from vjepa_ros.training.losses import Objective
from vjepa_ros.training.predictor import train_predictor
from vjepa_ros.weights.values import random_weights

HEADS = {f"{layer}.{kind}" for layer in ("action_encoder", "state_encoder") for kind in ("weight", "bias")}


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    """The predictor in the released layout, without its prefixes."""
    content = torch.load(SMALL_CHECKPOINT, weights_only=True)["predictor"]
    return {name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in content.items()}


def test_fresh_weights_are_those_of_a_seed() -> None:
    config = small_config()
    one, other, third = (fresh_predictor(config, seed).predictor for seed in (0, 0, 1))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    assert not torch.equal(one.predictor_embed.weight, third.predictor_embed.weight)
    assert set(fresh_predictor(config, 0).new) == set(dict(one.named_parameters()))
    with torch.device("meta"):
        modules = Encoder(config), Predictor(config)
    drawn = random_weights(*modules, 5).encoder
    encoder = fresh_encoder(config, 5)
    assert all(torch.equal(parameter, drawn[name]) for name, parameter in encoder.named_parameters())
    assert all(parameter.requires_grad for module in (one, encoder) for parameter in module.parameters())


def test_a_predictor_of_the_same_robot_is_taken_whole(theirs: dict[str, Tensor]) -> None:
    start = predictor_from(small_config(), SMALL_CHECKPOINT, 0)
    assert start.new == ()
    for name, parameter in start.predictor.named_parameters():
        assert torch.equal(parameter, theirs[name].float()) and parameter.requires_grad, name


@pytest.mark.parametrize(
    ("changes", "new_heads", "new"),
    [
        ({"action_dim": 3}, False, {"action_encoder.weight", "action_encoder.bias"}),
        ({"action_dim": 6, "state_dim": 2}, False, HEADS),
        ({}, True, HEADS),
    ],
)
def test_another_robot_gets_heads_of_its_own(
    theirs: dict[str, Tensor], changes: dict[str, int], new_heads: bool, new: set[str]
) -> None:
    start = predictor_from(small_config(**changes), SMALL_CHECKPOINT, 0, new_heads=new_heads)
    assert set(start.new) == new
    for name, parameter in start.predictor.named_parameters():
        if name not in new:
            assert torch.equal(parameter, theirs[name].float()), name
        elif name.endswith("weight"):
            assert 0.01 < parameter.std() < 0.03
        else:
            assert not parameter.any()


def test_fine_tuning_of_another_robots_predictor(tmp_path: Path) -> None:
    """New heads, the rest frozen but for the last layers: it learns, and what is frozen stays."""
    config = small_config(image_size=32, action_dim=2, state_dim=3, encoding="tubelet", num_frames=8)
    start = predictor_from(config, SMALL_CHECKPOINT, 0)
    before = {name: tensor.clone() for name, tensor in start.predictor.state_dict().items()}
    frozen = freeze(start.predictor, ["predictor_blocks.[01].*", "predictor_embed.*"])
    learning = Learning(steps=15, batch=8, lr=3e-3, **CPU_OPTIONS)
    result = train_predictor(walks(config), None, start.predictor, as_read(config), Objective(2), learning, tmp_path)
    assert result.history[-1]["loss"] < 0.95 * result.history[0]["loss"]
    changed = {name for name, tensor in result.predictor.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == set(before) - set(frozen)
    assert changed > HEADS and len(frozen) == 26


@pytest.mark.parametrize("changes, sentence", [
    ({"predictor_depth": 2}, "has .*predictor_blocks.2.*, which this model does not"),
    ({"predictor_depth": 4}, "lacks predictor_blocks.3"),
    ({"encoder_dim": 128}, "predictor_embed.weight has shape .*64, 64.*, but this model needs .*64, 128"),
    ({"predictor_dim": 32, "predictor_heads": 1}, "has shape"),
])  # fmt: skip
def test_another_model_is_refused(changes: dict[str, int], sentence: str) -> None:
    with pytest.raises(CheckpointError, match=f"small_ac.pt: .*{sentence}"):
        predictor_from(small_config(**changes), SMALL_CHECKPOINT, 0)


def test_files_without_such_a_predictor_are_refused(tmp_path: Path, theirs: dict[str, Tensor]) -> None:
    encoder = {"encoder.norm.weight": torch.ones(64)}
    alone, masks = tmp_path / "alone.safetensors", tmp_path / "masks.safetensors"
    save_file(encoder, alone)
    save_file({**encoder, "predictor.mask_tokens.0": torch.ones(1)}, masks)
    with pytest.raises(
        CheckpointError, match="alone.safetensors: has no names that begin with predictor.; it is an encoder"
    ):
        predictor_from(small_config(), alone, 0)
    with pytest.raises(CheckpointError, match="has a predictor of masked patches, not an action-conditioned one"):
        predictor_from(small_config(), masks, 0)


@pytest.mark.parametrize("encoder", [{}, {"encoder.norm.weight": torch.ones(64)}])
def test_a_predictor_of_a_safetensors_file(
    tmp_path: Path, theirs: dict[str, Tensor], encoder: dict[str, Tensor]
) -> None:
    """With an encoder in the same file, or alone."""
    path = tmp_path / "weights.safetensors"
    save_file({**encoder, **{f"predictor.{name}": tensor.half() for name, tensor in theirs.items()}}, path)
    start = predictor_from(small_config(), path, 0)
    assert start.predictor.predictor_embed.weight.dtype == torch.float32
    assert torch.equal(start.predictor.predictor_embed.weight, theirs["predictor_embed.weight"].half().float())


def test_patterns_that_freeze() -> None:
    predictor = fresh_predictor(small_config(), 0).predictor
    assert freeze(predictor, []) == ()
    with pytest.raises(ConfigError, match="freeze: 'blocks.*' is no name of the predictor; names begin with action_en"):
        freeze(predictor, ["blocks.*"])
    with pytest.raises(ConfigError, match="freeze: leaves nothing to learn"):
        freeze(predictor, ["*"])
    names = freeze(predictor, ["*.bias", "predictor_norm.*"])
    assert {name for name, p in predictor.named_parameters() if not p.requires_grad} == set(names)


def test_modules_without_memory_are_refused() -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match="has no weights yet"):
        require_trainable(Predictor(small_config()))
