"""Files of V-JEPA 2.1: the key that their encoder stands under, strictness, conversion, and predictors beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.small_v21 import CHECKPOINT, FEW, PRESET, SIZES, small_v21

import vjepa_ros
from vjepa_ros.conversion import convert, record
from vjepa_ros.errors import CheckpointError, ConfigError

PREFIX = "module.backbone."
CLIP = torch.randn(1, 3, 8, 64, 96, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def content() -> dict[str, Any]:
    """What the stored file holds."""
    found: dict[str, Any] = torch.load(CHECKPOINT, weights_only=True)
    return found


def saved(tmp_path: Path, content: dict[str, Any]) -> str:
    torch.save(content, tmp_path / "weights.pt")
    return str(tmp_path / "weights.pt")


def refused(path: str, **changes: Any) -> str:
    with pytest.raises(CheckpointError) as error:
        small_v21(checkpoint=path, **changes)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


def test_the_other_encoder_in_the_file_is_not_taken(tmp_path: Path, content: dict[str, Any]) -> None:
    whole = small_v21()
    alone = small_v21(checkpoint=saved(tmp_path, {"ema_encoder": content["ema_encoder"]}))
    assert whole.encoder_hash == alone.encoder_hash and torch.equal(whole.encode(CLIP), alone.encode(CLIP))
    assert small_v21(encoder_key="encoder").encoder_hash != whole.encoder_hash, "the trap has the same shapes"


def test_nor_where_the_right_one_is_missing(tmp_path: Path, content: dict[str, Any]) -> None:
    path = saved(tmp_path, {"encoder": content["encoder"], "epoch": 0})
    assert refused(path).startswith("has no ema_encoder, which is where a file of this preset has its encoder; what is")
    assert "under encoder may be another model of the same shapes" in refused(path)
    assert small_v21(checkpoint=path, encoder_key="encoder").checkpoint_key == "encoder", "who knows better says so"


@pytest.mark.parametrize("preset", ["vjepa2_1_vitg", "vjepa2_1_vitG"])
def test_the_large_ones_have_another_key(tmp_path: Path, content: dict[str, Any], preset: str) -> None:
    sizes = {**SIZES, **FEW, "num_frames": 8, "mlp_ratio": 4.0, "random_predictor": True}
    with pytest.raises(CheckpointError, match="has no target_encoder, which is where a file of this preset"):
        vjepa_ros.load(preset, checkpoint=CHECKPOINT, **sizes)
    path = saved(tmp_path, {"target_encoder": content["ema_encoder"], "ema_encoder": content["encoder"]})
    assert vjepa_ros.load(preset, checkpoint=path, **sizes).encoder_hash == small_v21().encoder_hash


def test_a_key_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match="encoder_key: 'best' is not one of target_encoder, ema_encoder, encoder"):
        small_v21(encoder_key="best")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("norms_block.2.weight", "missing", "ema_encoder lacks norms_block.2.weight"),
        ("patch_embed_img.proj.bias", "missing", "ema_encoder lacks patch_embed_img.proj.bias"),
        ("img_mod_embed", "missing", "ema_encoder lacks img_mod_embed"),
        ("video_mod_embed", "reshaped", "ema_encoder video_mod_embed has shape (2, 1, 48), but this model needs (1,"),
        ("norm.weight", "added", "ema_encoder has norm.weight, which this model does not"),
        ("cls_token", "added", "ema_encoder has cls_token, which this model does not"),
        ("register_tokens", "added", "ema_encoder has register_tokens, which this model does not"),
    ],
)  # fmt: skip
def test_strictness(tmp_path: Path, content: dict[str, Any], name: str, change: str, said: str) -> None:
    """Also for what the encoding does not use: another file is another model."""
    tensors = content["ema_encoder"]
    if change == "missing":
        del tensors[PREFIX + name]
    else:
        tensors[PREFIX + name] = torch.zeros(2, 1, 48)
    assert refused(saved(tmp_path, content)).startswith(said)


def test_an_encoder_of_the_other_family_is_refused_both_ways() -> None:
    sizes = {name: value for name, value in SIZES.items() if name != "encoder_depth"}
    with pytest.raises(CheckpointError, match="this is a V-JEPA 2.1 encoder: take a preset that begins with vjepa2_1"):
        vjepa_ros.load("vitl", checkpoint=CHECKPOINT, encoder_depth=12, random_predictor=True, **sizes)


def test_its_masked_predictor_is_not_taken_for_another(tmp_path: Path, content: dict[str, Any]) -> None:
    content["predictor"] = {f"{PREFIX}mask_tokens.0": torch.zeros(1, 1, 48), f"{PREFIX}predictor_proj_context.bias": 0}
    path = saved(tmp_path, content)
    assert refused(path, random_predictor=False).startswith(
        "has a predictor of masked patches, not an action-condition"
    )
    assert small_v21(checkpoint=path).encoder_hash == small_v21().encoder_hash


@pytest.mark.parametrize("levels", ["last", "all"])
def test_a_predictor_of_its_own_file(tmp_path: Path, content: dict[str, Any], levels: str) -> None:
    """Written beside the encoder's file, known again by the hash of the right one of its two encoders."""
    sizes = {**SIZES, **FEW, "num_frames": 8, "image_size": list(SIZES["image_size"]), "latents.levels": levels}
    drawn = small_v21(fast=False, latent_levels=levels)
    predictor = {name: tensor.detach() for name, tensor in drawn.predictor.named_parameters()}
    whole = Path(saved(tmp_path, {**content, "predictor": predictor}))
    out = tmp_path / "predictor.safetensors"
    sidecar = convert(whole, out, record(PRESET, sizes), predictor_only=True)
    assert sidecar.encoder_hash == drawn.encoder_hash and sidecar.sizes["latents.levels"] == levels

    pair = {"predictor_checkpoint": str(out), "random_predictor": False}
    ours = small_v21(latent_levels=levels, **pair)
    assert ours.trained and ours.config.latent_dim == (48 if levels == "last" else 192)
    actions = states = torch.zeros(1, 4, 7)
    context = drawn.encode(CLIP)
    assert (ours.predict(context, actions, states) - drawn.predict(context, actions, states)).abs().max() < 1e-5
    other = "all" if levels == "last" else "last"
    said = f"was made for latents.levels '{levels}', but the configuration says {other}"
    assert said in refused(CHECKPOINT, latent_levels=other, **pair)
    with pytest.raises(CheckpointError, match="was trained with the encoder"):
        small_v21(latent_levels=levels, encoder_key="encoder", **pair)


def test_the_encoder_alone_converted(tmp_path: Path) -> None:
    out = tmp_path / "encoder.safetensors"
    settings = {**SIZES, **FEW, "num_frames": 8, "image_size": list(SIZES["image_size"])}
    sidecar = convert(Path(CHECKPOINT), out, record(PRESET, settings), encoder_only=True)
    assert sidecar.source["key"] == "ema_encoder" and sidecar.sizes["encoder_family"] == "vjepa2_1"
    assert torch.equal(small_v21(checkpoint=str(out)).encode(CLIP), small_v21().encode(CLIP))
