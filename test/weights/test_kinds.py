"""Good files of another kind, which people try first: what they are is said, and what can be done, in short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.checkpoint_files import ENCODER_PREFIX, read, refusal, saved, small_content

ONE = torch.zeros(1)
ENCODER = {name.removeprefix(ENCODER_PREFIX): tensor for name, tensor in small_content()["encoder"].items()}
PREDICTOR = small_content()["predictor"]


def renamed(prefix: str, tensors: dict[str, Any] = ENCODER) -> dict[str, Any]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


V21 = {
    **{f"module.backbone.{name}": tensor for name, tensor in ENCODER.items() if not name.startswith("norm.")},
    **{f"module.backbone.norms_block.{level}.{kind}": ONE for level in range(4) for kind in ("weight", "bias")},
    "module.backbone.patch_embed_img.proj.weight": ONE, "module.backbone.video_mod_embed": ONE,
}  # fmt: skip
TRANSFORMERS = {
    "embeddings.patch_embeddings.proj.weight": ONE,
    **{f"layer.{n}.attention.{kind}.weight": ONE for n in range(24) for kind in ("query", "key", "value", "proj")},
    **{f"layer.{n}.mlp.{kind}.weight": ONE for n in range(24) for kind in ("fc1", "fc2")},
}  # fmt: skip
DINO = {"cls_token": ONE, "register_tokens": ONE, "patch_embed.proj.weight": ONE, "blocks.0.ls1.gamma": ONE}

COMPILED = {  # block by block
    f"blocks.0._orig_mod.{name.removeprefix('blocks.0.')}" if name.startswith("blocks.0.") else name: tensor
    for name, tensor in ENCODER.items()
}

KINDS: dict[str, tuple[Any, str, str]] = {
    "V-JEPA 2.1": ({"ema_encoder": V21, "predictor": PREDICTOR}, "this is a V-JEPA 2.1 encoder",
                   "begins with vjepa2_1"),
    "V-JEPA 2.1, bare": (V21, "this is a V-JEPA 2.1 encoder", "begins with vjepa2_1"),
    "transformers": (renamed("encoder.", TRANSFORMERS), "Hugging Face's transformers", "name its folder"),
    "transformers as encoder": ({"encoder": TRANSFORMERS}, "Hugging Face's transformers", "name its folder"),
    "compiled within": ({"encoder": COMPILED, "predictor": PREDICTOR}, "torch.compile", "take `_orig_mod.` out"),
    "FSDP": ({"encoder": renamed("_fsdp_wrapped_module."), "predictor": PREDICTOR}, "FSDP", "full state dict"),
    "FSDP, flat": ({"encoder": {"_fsdp_wrapped_module._flat_param": ONE}}, "FSDP", "full state dict"),
    "bare": (renamed("module.backbone."), "this is a bare state dict", 'save it as {"encoder": ...'),
    "bare predictor": (PREDICTOR, "this is a bare state dict", 'save it as {"encoder": ...'),
    "under model": ({"model": ENCODER, "epoch": 3}, "its weights stand under `model`", 'save it as {"encoder": ...'),
    "Lightning": ({"state_dict": renamed("model."), "pytorch-lightning_version": "2"}, "stand under `state_dict`",
                  "save it as"),
    "jepa-wms": ({"predictor": {"module.proprio_encoder.weight": ONE}, "action_encoder": {"w": ONE}, "epoch": 1},
                 "this is a world model of jepa-wms", "take the .pt file"),
    "DINO": (DINO, "the DINO or timm kind", "take the .pt file"),
    "DINO as encoder": ({"encoder": DINO}, "the DINO or timm kind", "take the .pt file"),
    "optimizer": ({"state": {0: {"exp_avg": ONE}}, "param_groups": [{"lr": 1.0}]}, "state of an optimizer",
                  "take the file"),
    "LoRA": ({"encoder": {"blocks.0.attn.qkv.lora_A.weight": ONE}}, "LoRA adapters", "merge them"),
    "DeepSpeed": ({"module": {"w": ONE}, "ds_version": "0.1"}, "DeepSpeed", "zero_to_fp32"),
    "probe": ({"encoder": {"pooler.query_tokens": ONE}}, "a probe or a classifier", "take the .pt file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_foreign_file_is_and_what_to_do(tmp_path: Path, kind: str) -> None:
    content, what, advice = KINDS[kind]
    message = refusal(saved(tmp_path, content))
    assert what in message and advice in message, message
    assert len(message) < 700, f"{len(message)} characters: {message}"


@pytest.mark.parametrize(("tensors", "what"), [
    ({**renamed("encoder.", TRANSFORMERS), **renamed("predictor.", TRANSFORMERS)}, "Hugging Face's transformers"),
    (ENCODER, "this is a bare state dict"),
    (renamed("encoder.", COMPILED), "torch.compile"),
    (renamed("encoder.", V21), "V-JEPA 2.1"),
    (DINO, "the DINO or timm kind"),
    ({**renamed("vjepa2.encoder.", TRANSFORMERS), "pooler.query_tokens": ONE, "classifier.weight": ONE},
     "a probe or a classifier"),
])  # fmt: skip
def test_the_same_in_safetensors(tmp_path: Path, tensors: dict[str, Any], what: str) -> None:
    unshared = {name: tensor.clone() for name, tensor in tensors.items()}
    save_file(unshared, tmp_path / "model.safetensors")
    message = refusal(tmp_path / "model.safetensors")
    assert what in message and len(message) < 700, message


def test_one_missing_prefix_is_a_short_message(tmp_path: Path) -> None:
    """It was one of 11,900 characters: all names, twice."""
    content = {"encoder": renamed("wrapper."), "predictor": PREDICTOR}
    message = refusal(saved(tmp_path, content))
    assert message.startswith("encoder lacks patch_embed.proj.weight, patch_embed.proj.bias, ") and len(message) < 300


@pytest.mark.parametrize("length", [501, 100_000, 1_000_000])
def test_names_of_any_length_are_refused_in_a_short_message_and_at_once(tmp_path: Path, length: int) -> None:
    for name in ("n" * length, "module." * (length // 7), "a." * (length // 2), "x\n" * (length // 2)):
        content = {"encoder": {**ENCODER, name: ONE}, "predictor": PREDICTOR}
        assert len(refusal(saved(tmp_path, content))) < 400
        assert len(refusal(saved(tmp_path, {name: ENCODER}))) < 700
        assert len(refusal(saved(tmp_path, {"encoder": ENCODER, name: {"a": ONE}}))) < 500


def test_many_wrappers_are_taken_off_in_one_pass(tmp_path: Path) -> None:
    content = {"encoder": renamed("module.backbone." * 28), "predictor": PREDICTOR}
    assert read(saved(tmp_path, content)).encoder.keys() == ENCODER.keys()


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.backbone.", "_orig_mod.module."])
def test_what_a_compiler_wraps_around_a_model_is_taken_off(tmp_path: Path, prefix: str) -> None:
    as_it_is = read(saved(tmp_path, {"encoder": ENCODER, "predictor": PREDICTOR})).hash()
    content = {"encoder": renamed(prefix), "predictor": renamed(prefix, PREDICTOR)}
    assert read(saved(tmp_path, content)).hash() == as_it_is
    for outside, inside in ((prefix, ""), ("", prefix)):
        parts = {"encoder": ENCODER, "predictor": {name.removeprefix("module."): t for name, t in PREDICTOR.items()}}
        names = {f"{outside}{part}.{inside}{n}": t.clone() for part, found in parts.items() for n, t in found.items()}
        save_file(names, tmp_path / "model.safetensors")
        assert read(tmp_path / "model.safetensors").hash() == as_it_is


def test_one_name_in_two_wrappings_is_one_too_many(tmp_path: Path) -> None:
    names = renamed("encoder.") | {"_orig_mod.encoder.norm.bias": ONE}
    save_file({name: tensor.clone() for name, tensor in names.items()}, tmp_path / "model.safetensors")
    message = refusal(tmp_path / "model.safetensors")
    assert message.startswith("has encoder.norm.bias twice, the second time as ")


@pytest.mark.parametrize("key", [5, None, (1, 2), 3.5, b"bytes", True])
@pytest.mark.parametrize("part", ["encoder", "predictor"])
def test_keys_that_are_no_text(tmp_path: Path, key: Any, part: str) -> None:
    content = {"encoder": dict(ENCODER), "predictor": dict(PREDICTOR)}
    content[part][key] = ONE
    message = refusal(saved(tmp_path, content))
    assert (
        message.startswith(f"{part} has a name that is no text, but ")
        or "damaged" in message
        or "wants to run" in message
    )
    with_counter = {"encoder": ENCODER, "predictor": PREDICTOR, 3: 3}
    assert read(saved(tmp_path, with_counter)).trained  # on the outermost level it may belong to anything


def test_a_folder_of_parts_and_one_with_a_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / ".metadata").touch()
    assert "torch.distributed" in refusal(tmp_path / "parts")
    (tmp_path / "hub").mkdir()
    assert refusal(tmp_path / "hub") == "is a folder, not a file"
    tensors = {**renamed("encoder."), **{f"predictor.{n.removeprefix('module.')}": t for n, t in PREDICTOR.items()}}
    save_file({n: t.clone() for n, t in tensors.items()}, tmp_path / "hub" / "model.safetensors")
    assert read(tmp_path / "hub").hash() == read(tmp_path / "hub" / "model.safetensors").hash()
