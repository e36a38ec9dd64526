"""Reading weights: the layouts that exist, and the strict fit of a file's tensors to a model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import ENCODER_PREFIX, read, refusal, saved, saved_safetensors, small_content
from reference import SMALL_CHECKPOINT, SMALL_PRESET, public_encoder, public_predictor, randomize, run, small_config
from torch import nn

import vjepa_ros
from vjepa_ros.engine import layer_normalize
from vjepa_ros.model.checkpoint import ALLOWED_EXTRA, read_checkpoint
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor


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
        randomize(module, seed)
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


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_of_the_file_and_of_the_model(tmp_path, content, stored):
    for part in ("target_encoder", "predictor"):
        content[part] = {name: tensor.to(stored) for name, tensor in content[part].items()}
    path = saved(tmp_path, content)
    assert read(path).encoder["norm.bias"].dtype == stored
    config = small_config()
    weights = read_checkpoint(path, Encoder(config), Predictor(config), dtype=torch.bfloat16)
    tensor = content["target_encoder"][f"{ENCODER_PREFIX}norm.bias"]
    assert torch.equal(weights.encoder["norm.bias"], tensor.to(torch.bfloat16))
    assert weights.hash() == read(path).hash() != read(SMALL_CHECKPOINT).hash()  # of the file, not of the run


def test_progress_is_told_up_to_the_end():
    told: list[tuple[int, int]] = []
    config = small_config()
    weights = read_checkpoint(
        SMALL_CHECKPOINT, Encoder(config), Predictor(config), on_bytes=lambda *bytes: told.append(bytes)
    )
    total = sum(tensor.nbytes for part in (weights.encoder, weights.predictor) for tensor in part.values())
    done = [bytes[0] for bytes in told]
    assert len(told) > 10 and done == sorted(done) and told[-1] == (total, total)


# --- Encoders without an action-conditioned predictor ----------------------------------------------------------------

ADVICE = "to use its encoder alone, with a random predictor, set random_predictor (vjepa_convert: --encoder-only)"


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


# --- What does not fit -----------------------------------------------------------------------------------------------


def test_a_file_without_an_encoder(tmp_path, content):
    rest = {"predictor": content["predictor"], "epoch": 3}
    wanted = "has no target_encoder or ema_encoder or encoder; it has"
    assert refusal(saved(tmp_path, rest)) == f"{wanted} predictor, epoch"
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


def test_a_robot_without_the_package_safetensors_is_told_so(tmp_path, monkeypatch):
    path = saved_safetensors(tmp_path / "weights.safetensors", {"encoder": {"a": torch.zeros(1)}})
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert refusal(path) == (
        "reading it needs the package safetensors, which is not installed: pip install safetensors"
    )  # fmt: skip
    assert read(SMALL_CHECKPOINT).trained  # the other format does without
