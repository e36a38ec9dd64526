"""Reading weights: the layouts that exist, and what comes out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoint_files import ENCODER_PREFIX, read, refusal, saved, saved_safetensors, small_content
from support.reference import SMALL_CHECKPOINT, SMALL_PRESET, drawn, public_encoder, public_predictor, run, small_config
from torch import nn

import vjepa_ros
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights.checkpoint import read_checkpoint
from vjepa_ros.weights.fitting import ALLOWED_EXTRA


@pytest.fixture
def content() -> dict[str, Any]:
    return small_content()


@pytest.fixture(scope="module")
def public() -> dict[str, nn.Module]:
    """Modules of the public code with random weights: the averaged encoder, the other one, and the predictor."""
    config = small_config()
    modules = {
        "target_encoder": public_encoder(config),
        "encoder": public_encoder(config),
        "predictor": public_predictor(config),
    }
    for seed, module in enumerate(modules.values()):
        module.load_state_dict(drawn(module, seed))
    return modules


def wrapped(module: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """The state of a module as training saves it: what wraps it puts its prefix before each name."""
    return {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}


def training_state(module: nn.Module) -> dict[str, Any]:
    """What else a training checkpoint holds, from a real optimizer that has made a step."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-5)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    scaler = {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0}
    return {"opt": optimizer.state_dict(), "scaler": scaler, "epoch": 315, "loss": 0.31, "batch_size": 8,
            "world_size": 64, "lr": 1e-5}  # fmt: skip


def assert_same_weights(weights, encoder: nn.Module, predictor: nn.Module) -> None:
    stored = encoder.state_dict()
    assert weights.encoder.keys() == stored.keys()
    assert all(torch.equal(tensor, stored[name]) for name, tensor in weights.encoder.items())
    stored = predictor.state_dict()
    assert weights.predictor.keys() == stored.keys() - set(ALLOWED_EXTRA["predictor"])
    assert all(torch.equal(tensor, stored[name]) for name, tensor in weights.predictor.items())


PREFIXES = ["", "module.", "backbone.", "module.backbone.", "backbone.module.", "module.module.backbone."]


@pytest.mark.parametrize("encoder_prefix", PREFIXES)
@pytest.mark.parametrize("predictor_prefix", PREFIXES)
def test_prefixes_in_every_combination(tmp_path, public, encoder_prefix, predictor_prefix):
    path = saved(tmp_path, {"encoder": wrapped(public["encoder"], encoder_prefix),
                            "predictor": wrapped(public["predictor"], predictor_prefix)})  # fmt: skip
    assert_same_weights(read(path), public["encoder"], public["predictor"])


def test_a_training_checkpoint_of_the_public_code_gives_the_public_codes_output(tmp_path, public):
    """Everything that training saves, with a stray pos_embed, and the averaged encoder beside the other one."""
    encoder = wrapped(public["encoder"], ENCODER_PREFIX)
    target = {**wrapped(public["target_encoder"], ENCODER_PREFIX), f"{ENCODER_PREFIX}pos_embed": torch.ones(1, 128, 64)}
    everything = {"encoder": encoder, "target_encoder": target, "predictor": wrapped(public["predictor"], "module."),
                  **training_state(public["encoder"])}  # fmt: skip
    wm = vjepa_ros.load(SMALL_PRESET, checkpoint=str(saved(tmp_path, everything)), image_size=64)
    assert wm.trained and wm.notice == "" and wm.checkpoint_key == "target_encoder"
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn(1, 3, 16, 64, 64, generator=generator)
    actions, states = torch.randn(2, 1, 8, 7, generator=generator)
    latents = layer_normalize(run(public["target_encoder"], clip))
    predictions = layer_normalize(run(public["predictor"], latents, actions, states))
    torch.testing.assert_close(wm.encode(clip), latents, rtol=0, atol=1e-5)
    torch.testing.assert_close(wm.predict(latents, actions, states), predictions, rtol=0, atol=1e-5)


def test_the_released_layout(content):
    weights = read(SMALL_CHECKPOINT)
    assert weights.checkpoint_key == "target_encoder"
    stored = content["target_encoder"]
    assert len(weights.encoder) == len(stored)
    assert all(torch.equal(tensor, stored[ENCODER_PREFIX + name]) for name, tensor in weights.encoder.items())
    stored = content["predictor"]
    assert len(weights.predictor) == len(stored) - 2  # all but the unused extrinsics encoder
    assert all(torch.equal(tensor, stored[f"module.{name}"]) for name, tensor in weights.predictor.items())


def test_two_encoders_that_are_one(tmp_path, content):
    """In the released AC file both keys hold the same tensors, stored once."""
    one = content["target_encoder"]
    path = saved(tmp_path, {"encoder": one, "target_encoder": dict(one), "predictor": content["predictor"]})
    both = torch.load(path, weights_only=True)
    name = f"{ENCODER_PREFIX}norm.weight"
    assert both["encoder"][name].data_ptr() == both["target_encoder"][name].data_ptr()
    assert read(path).hash() == read(SMALL_CHECKPOINT).hash()


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


def test_safetensors_hold_the_same_weights(tmp_path):
    weights = read(SMALL_CHECKPOINT)
    parts = {"encoder": weights.encoder, "predictor": weights.predictor}
    again = read(saved_safetensors(tmp_path / "weights.safetensors", parts))
    assert again.hash() == weights.hash() and again.checkpoint_key == "encoder"


def test_safetensors_with_the_prefixes_of_training(tmp_path, content):
    parts = {"encoder": content["encoder"], "predictor": content["predictor"]}
    path = saved_safetensors(tmp_path / "weights.safetensors", parts)
    assert read(path).hash() == read(SMALL_CHECKPOINT).hash()


def test_tensors_that_are_views_of_others_are_copied_as_they_look(tmp_path, content):
    name = f"{ENCODER_PREFIX}blocks.0.mlp.fc1.weight"
    expected = content["target_encoder"][name].clone()
    content["target_encoder"][name] = expected.t().contiguous().t()
    assert not content["target_encoder"][name].is_contiguous()
    weights = read(saved(tmp_path, content))
    tensor = weights.encoder["blocks.0.mlp.fc1.weight"]
    assert tensor.is_contiguous() and torch.equal(tensor, expected)
    assert weights.hash() == read(SMALL_CHECKPOINT).hash()


def test_one_number_that_stands_for_a_whole_tensor(tmp_path, content):
    """As ``expand`` makes it: every stride is 0, and the file has four bytes of it."""
    name = f"{ENCODER_PREFIX}blocks.0.mlp.fc1.weight"
    expanded = torch.tensor(0.25).expand(content["target_encoder"][name].shape)
    content["target_encoder"][name] = expanded
    weights = read(saved(tmp_path, content))
    assert torch.equal(weights.encoder["blocks.0.mlp.fc1.weight"], expanded)
    content["target_encoder"][name] = expanded.contiguous()
    assert weights.hash() == read(saved(tmp_path, content)).hash()


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_of_the_file_and_of_the_model(tmp_path, content, stored):
    for part in ("target_encoder", "predictor"):
        content[part] = {name: tensor.to(stored) for name, tensor in content[part].items()}
    path = saved(tmp_path, content)
    assert read(path).encoder["norm.bias"].dtype == stored
    config = small_config()
    weights = read_checkpoint(path, Encoder(config), Predictor(config), sidecar=None, dtype=torch.bfloat16)
    tensor = content["target_encoder"][f"{ENCODER_PREFIX}norm.bias"]
    assert torch.equal(weights.encoder["norm.bias"], tensor.to(torch.bfloat16))
    assert weights.hash() == read(path).hash() != read(SMALL_CHECKPOINT).hash()  # of the file, not of the run


def test_progress_is_told_up_to_the_end():
    told: list[tuple[int, int]] = []
    config = small_config()
    weights = read_checkpoint(
        SMALL_CHECKPOINT,
        Encoder(config),
        Predictor(config),
        sidecar=None,
        on_bytes=lambda *bytes: told.append(bytes),
    )
    total = sum(tensor.nbytes for part in (weights.encoder, weights.predictor) for tensor in part.values())
    done = [bytes[0] for bytes in told]
    assert len(told) > 10 and done == sorted(done) and told[-1] == (total, total)


# --- Encoders without an action-conditioned predictor ----------------------------------------------------------------

ADVICE = "to use its encoder alone, with a random predictor, set `random_predictor`"


def without_ac_predictor(tmp_path: Path, content: dict[str, Any], kind: str) -> tuple[Path, str]:
    """A file of one kind that lacks it, and what is said of it."""
    if kind == "masked":  # the released encoders come with the predictor of their pre-training
        masked = {"module.backbone.mask_tokens.0": torch.zeros(1, 1, 64), "module.backbone.predictor_norm.bias": 0}
        path = saved(tmp_path, {**content, "predictor": masked})
        return path, "has a predictor of masked patches, not an action-conditioned one"
    encoders = {key: value for key, value in content.items() if key != "predictor"}
    if kind == "safetensors":
        path = saved_safetensors(tmp_path / "encoder.safetensors", {"encoder": encoders["encoder"]})
    else:
        path = saved(tmp_path, encoders)
    return path, "has no predictor"


@pytest.mark.parametrize("kind", ["none", "masked", "safetensors"])
def test_a_file_without_an_ac_predictor_is_refused_with_advice(tmp_path, content, kind):
    path, what = without_ac_predictor(tmp_path, content, kind)
    assert refusal(path) == f"{what}; {ADVICE}"


@pytest.mark.parametrize("kind", ["none", "masked", "safetensors"])
def test_its_encoder_alone_can_be_asked_for(tmp_path, content, kind):
    path, _ = without_ac_predictor(tmp_path, content, kind)
    with_predictor = read(SMALL_CHECKPOINT)
    weights, again, other = (read(path, predictor_seed=seed) for seed in (3, 3, 4))
    assert not weights.trained and weights.checkpoint_key in ("encoder", "target_encoder")
    assert weights.hashes["encoder"] == with_predictor.hashes["encoder"]
    assert weights.predictor.keys() == with_predictor.predictor.keys()
    assert weights.hash() == again.hash() != other.hash()
    assert weights.predictor["predictor_proj.weight"].std() == pytest.approx(0.02, rel=0.05)

    wm = vjepa_ros.load(SMALL_PRESET, checkpoint=str(path), image_size=64, random_predictor=True, seed=3)
    assert wm.weights_hash == weights.hash() and not wm.trained
    assert wm.notice == "UNTRAINED: the predictor has seeded random weights"
    whole = vjepa_ros.load(SMALL_PRESET, checkpoint=SMALL_CHECKPOINT, image_size=64)
    clip = torch.randn(1, 3, 16, 64, 64)
    assert torch.equal(wm.encode(clip), whole.encode(clip))
