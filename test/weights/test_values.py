"""Random weights and the hash."""

from __future__ import annotations

import math

import torch
from support.reference import small_config

from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights.values import Weights, model_hash, part_hash, random_weights


def drawn(seed: int) -> Weights:
    config = small_config()
    with torch.device("meta"):
        encoder, predictor = Encoder(config), Predictor(config)
    return random_weights(encoder, predictor, seed)


def test_same_seed_same_weights_other_seed_others():
    first, again, other = drawn(3), drawn(3), drawn(4)
    assert first.hash() == again.hash() != other.hash()
    assert all(torch.equal(first.encoder[name], again.encoder[name]) for name in first.encoder)
    assert not torch.equal(first.encoder["blocks.0.attn.qkv.weight"], other.encoder["blocks.0.attn.qkv.weight"])


def test_torchs_global_random_state_is_neither_read_nor_changed():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = drawn(3).hash()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    assert drawn(3).hash() == first


def test_how_random_weights_are_spread():
    weights = drawn(0)
    assert (weights.encoder["blocks.1.norm2.weight"] == 1).all()
    biases = {name: tensor for name, tensor in {**weights.encoder, **weights.predictor}.items() if "bias" in name}
    assert len(biases) > 40 and all((tensor == 0).all() for tensor in biases.values())
    expected_std = {
        "patch_embed.proj.weight": 0.02,
        "blocks.2.attn.qkv.weight": 0.02,
        "blocks.2.mlp.fc1.weight": 0.02,
        "blocks.0.attn.proj.weight": 0.02 / math.sqrt(2),
        "blocks.2.attn.proj.weight": 0.02 / math.sqrt(6),
        "blocks.2.mlp.fc2.weight": 0.02 / math.sqrt(6),
    }
    for name, std in expected_std.items():
        assert abs(weights.encoder[name].std().item() / std - 1) < 0.05, name
        if name.startswith("blocks"):
            assert abs(weights.predictor[f"predictor_{name}"].std().item() / std - 1) < 0.05, name
    assert abs(weights.predictor["predictor_proj.weight"].std().item() / 0.02 - 1) < 0.05  # not a block's projection


def test_every_parameter_counts_in_the_hash():
    weights = drawn(0)
    assert len(weights.hash()) == 16 and int(weights.hash(), 16) >= 0
    for part, tensors in (("encoder", weights.encoder), ("predictor", weights.predictor)):
        before = part_hash(tensors)
        assert before == weights.hashes[part] and len(before) == 64
        for tensor in tensors.values():
            last = tensor.view(-1)[-1]
            value = last.clone()
            last += 1
            assert part_hash(tensors) != before
            last.copy_(value)
        assert part_hash(tensors) == before
    reshaped = dict(weights.encoder, **{"norm.weight": weights.encoder["norm.weight"][None]})
    assert part_hash(reshaped) != weights.hashes["encoder"]


def test_the_hash_of_a_model_stands_for_each_of_its_parts():
    hashes = {"encoder": "1" * 64, "predictor": "2" * 64}
    others = [{**hashes, "encoder": "3" * 64}, {**hashes, "predictor": "3" * 64}, {"encoder": "1" * 64},
              {"encoder": "2" * 64, "predictor": "1" * 64}]  # fmt: skip
    assert model_hash(hashes) == model_hash(dict(reversed(hashes.items())))
    assert len({model_hash(each) for each in [hashes, *others]}) == 5
