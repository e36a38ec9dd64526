"""Folders of Hugging Face: written by the real transformers class, whose latents must be ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.folders import FEW, SIZES, Folder, clip_of, load, refused

import vjepa_ros
from vjepa_ros.config.node import resolve
from vjepa_ros.config.presets import model_config
from vjepa_ros.conversion import convert, record
from vjepa_ros.errors import CheckpointError, ConfigError

TOLERANCE = 1e-5
JOINTS = [f"joint{number}" for number in range(7)]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "hub")


def renamed(folder: Folder, prefix: str, inner: str = "") -> Path:
    """Its weights under other names, beside its config.json."""
    tensors = load_file(folder.path / "model.safetensors")
    encoder = {f"{prefix}encoder.{inner}{name.removeprefix('encoder.')}": tensor for name, tensor in tensors.items()
               if name.startswith("encoder.")}  # fmt: skip
    save_file(encoder, folder.path / "renamed.safetensors")
    return folder.path / "renamed.safetensors"


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("named", ["folder", "file"])
def test_latents_are_those_of_transformers(folder: Folder, named: str, fast: bool) -> None:
    place = folder.path if named == "folder" else folder.path / "model.safetensors"
    wm, clip = load(place, fast=fast), clip_of()
    difference = (wm.encode(clip, normalize=False) - folder.latents(clip)).abs()
    print(f"maximum {difference.max():.1e}, mean {difference.mean():.1e}")
    assert difference.max() <= TOLERANCE
    assert (wm.checkpoint_key, wm.trained) == ("encoder", False)


@pytest.mark.parametrize("ratio, dim, heads", [(48 / 11, 88, 4), (4.0, 80, 1), (2.5, 96, 2)])
def test_other_widths(tmp_path: Path, ratio: float, dim: int, heads: int) -> None:
    """Those of g, H and another: 48/11 of a width may be cut to one less than a whole number."""
    hidden = {"mlp_ratio": ratio, "hidden_size": dim, "num_attention_heads": heads}
    folder = Folder(tmp_path / "hub", **hidden)
    wm, clip = load(folder.path, "auto"), clip_of()
    assert (wm.encode(clip, normalize=False) - folder.latents(clip)).abs().max() <= TOLERANCE


@pytest.mark.parametrize(
    ("prefix", "inner"),
    [("module.", ""), ("_orig_mod.", ""), ("", "_orig_mod."), ("module._orig_mod.", "backbone."),
     ("_orig_mod.module._orig_mod.", "module.backbone.")],
)  # fmt: skip
def test_prefixes_and_stacks_of_them(folder: Folder, prefix: str, inner: str) -> None:
    assert load(renamed(folder, prefix, inner)).encoder_hash == load(folder.path).encoder_hash


def test_it_is_the_same_encoder_as_in_a_file_of_our_own(folder: Folder, tmp_path: Path) -> None:
    """Known by its hash, so that a predictor that was trained with the one is used with the other."""
    wm, out = load(folder.path, fast=False), tmp_path / "own.safetensors"
    settings = {**SIZES, **FEW, "image_size": [64, 64]}
    sidecar = convert(folder.path, out, record("vitl", settings), encoder_only=True)
    assert sidecar.parts["encoder"]["hash"] == wm.encoder_hash
    assert torch.equal(load(out, fast=False).encode(clip_of()), wm.encode(clip_of()))
    torch.save({"encoder": dict(wm.encoder.named_parameters())}, tmp_path / "own.pt")
    assert load(tmp_path / "own.pt").encoder_hash == wm.encoder_hash


# -- presets


def test_auto_takes_what_the_configuration_says(folder: Folder) -> None:
    wm, clip = load(folder.path, "auto"), clip_of()
    config = wm.config
    assert (config.preset, config.image_size, config.num_frames) == ("vitl", (64, 64), 16)
    assert (config.encoder_dim, config.encoder_depth, config.encoder_heads) == (64, 3, 2)
    assert torch.equal(wm.encode(clip), load(folder.path).encode(clip))
    assert load(folder.path, "auto", image_size=32).grid.shape == (8, 2, 2), "what is set wins"


@pytest.mark.parametrize(
    ("preset", "dim", "depth", "heads", "ratio", "px"),
    [("vitl", 1024, 24, 16, 4.0, 256), ("vith", 1280, 32, 16, 4.0, 256), ("vitg", 1408, 40, 22, 48 / 11, 256),
     ("vitg", 1408, 40, 22, 4.363636363636363, 384)],
)  # fmt: skip
def test_auto_finds_the_published_ones(
    folder: Folder, preset: str, dim: int, depth: int, heads: int, ratio: float, px: int
) -> None:
    sizes = {"hidden_size": dim, "num_hidden_layers": depth, "num_attention_heads": heads, "mlp_ratio": ratio}
    folder.set_config(**sizes, crop_size=px)
    config = resolve({"preset": "auto", "checkpoint": str(folder.path), "joint_names": JOINTS})
    assert config.parameters["preset"] == preset
    assert config.model == model_config(preset, image_size=px)


def test_auto_needs_something_to_go_by(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="preset: auto needs a `checkpoint` with the config.json of transformers"):
        resolve({"preset": "auto", "joint_names": JOINTS})
    with pytest.raises(ConfigError, match=f"beside it; there is no {tmp_path / 'config.json'}"):
        vjepa_ros.load("auto", checkpoint=tmp_path / "weights.pt")
    (tmp_path / "config.json").write_text('{"model_type": "dinov2"}')
    with pytest.raises(ConfigError, match="preset: auto cannot be told: .*model_type is 'dinov2', where 'vjepa2' is"):
        vjepa_ros.load("auto", checkpoint=tmp_path / "weights.pt")


def test_a_preset_that_disagrees_is_refused_with_both_sizes(folder: Folder) -> None:
    said = refused(folder.path, encoder_heads=1)
    assert said == (
        f"{folder.path / 'config.json'}: says encoder_heads 2, but the preset 'vitl' says 1; `preset: auto` takes what "
        "it says"
    )
    assert "encoder_dim 64, but the preset 'tiny_random' says 128; encoder_depth 3, but" in refused(folder.path,
        preset="tiny_random", encoder_dim=None, encoder_depth=None, encoder_heads=None)  # fmt: skip


def test_heads_show_nowhere_else(folder: Folder) -> None:
    (folder.path / "config.json").unlink()
    assert refused(folder.path) == (
        f"{folder.path / 'model.safetensors'}: has the names of Hugging Face's transformers, but there is no "
        "config.json beside it, whose sizes are needed"
    )


@pytest.mark.parametrize("form", [".safetensors", ".pt"])
def test_it_is_checked_where_weights_have_names_of_our_own_too(folder: Folder, form: str) -> None:
    tensors = dict(load(folder.path, fast=False).encoder.named_parameters())
    file = folder.path / "model.safetensors"
    if form == ".pt":
        file = folder.path / "own.pt"
        torch.save({"encoder": tensors}, file)
    else:
        save_file({f"encoder.{name}": tensor.detach() for name, tensor in tensors.items()}, file)
    ours = load(file).encoder_hash
    assert "says encoder_heads 2, but the preset 'vitl' says 1" in refused(file, encoder_heads=1)
    folder.set_config(hidden_act="gelu_new")
    assert refused(file).startswith(f"{folder.path / 'config.json'}: hidden_act is 'gelu_new'")
    for other in ('{"model_type": "dinov2", "num_attention_heads": 7}', "no JSON", "[]", None):
        (folder.path / "config.json").unlink()
        if other is not None:
            (folder.path / "config.json").write_text(other)
        assert load(file).encoder_hash == ours, "that of another project, or none, is not asked"


def test_a_preset_of_the_other_family_is_refused_with_both(folder: Folder) -> None:
    sizes = {name: value for name, value in SIZES.items() if name != "encoder_depth"}
    folder.set_config(num_hidden_layers=4)
    for preset in ("vjepa2_1_vitl", "auto"):
        own = {} if preset == "auto" else {**sizes, "encoder_depth": 4}
        with pytest.raises(CheckpointError) as error:
            vjepa_ros.load(
                preset, checkpoint=folder.path, encoder_family="vjepa2_1", random_predictor=True, **own, **FEW
            )
        shown = "vitl" if preset == "auto" else preset
        assert str(error.value) == (
            f"{folder.path / 'config.json'}: says encoder_family 'vjepa2', but the preset '{shown}' says 'vjepa2_1'; "
            "`preset: auto` takes what it says"
        )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"qkv_bias": False}, "qkv_bias is False, where True is needed"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new', where 'gelu' is needed"),
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps is 1e-05, where 1e-06 is needed"),
        ({"in_chans": True}, "in_chans is True, where 3 is needed"),
        ({"use_rope_interleave": True}, "use_rope_interleave is True, where False, as of V-JEPA 2, is needed"),
        ({"hidden_size": 10**9}, "hidden_size is 1000000000, where a whole number from 1 to 16384 is needed"),
        ({"tubelet_size": 2.0}, "tubelet_size is 2.0, where a whole number"),
        ({"mlp_ratio": -1}, "mlp_ratio is -1, where a positive number"),
        ({"mlp_ratio": "4"}, "mlp_ratio is '4', where a positive number"),
        ({"num_attention_heads": None}, "num_attention_heads is missing, where a whole number"),
        ({"crop_size": None}, "crop_size is missing"),
    ],
)
def test_configurations_that_make_no_sense(folder: Folder, values: dict[str, Any], said: str) -> None:
    folder.set_config(**values)
    assert refused(folder.path).startswith(f"{folder.path / 'config.json'}: {said}")


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100, '{"model_type": "vjepa2"', "\xff"])
def test_what_is_no_configuration(folder: Folder, content: str) -> None:
    (folder.path / "config.json").write_text(content, encoding="latin-1")
    assert refused(folder.path).startswith(f"{folder.path / 'config.json'}: ")


# -- strictness


def changed(folder: Folder, **tensors: Any) -> Path:
    """Its weights with some replaced, or taken out by None."""
    file = folder.path / "model.safetensors"
    content = {**load_file(file), **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}
    save_file({name: tensor for name, tensor in content.items() if tensor is not None}, file)
    return file


LAYER = "encoder__layer__1__attention__"


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({f"{LAYER}key__weight": None}, "encoder lacks blocks.1.attn.qkv.weight"),
        ({f"{LAYER}key__weight": torch.zeros(64, 32)}, "encoder lacks blocks.1.attn.qkv.weight"),
        ({f"{LAYER}key__weight": torch.zeros(64, 64, dtype=torch.float16)}, "encoder lacks blocks.1.attn.qkv.weight"),
        ({"encoder__layernorm__bias": None}, "encoder lacks norm.bias"),
        ({"encoder__layer__3__norm1__weight": torch.ones(64)}, "encoder has blocks.3.norm1.weight, which this model"),
        ({"encoder__cls_token": torch.ones(64)}, "encoder has cls_token, which this model does not"),
        ({"pooler__query_tokens": torch.ones(64)}, "pooler.query_tokens belongs neither to encoder. nor to predictor."),
        ({"encoder__layer__1__mlp__fc1__weight": torch.zeros(64, 64)}, "encoder blocks.1.mlp.fc1.weight has shape"),
    ],
)
def test_every_tensor_must_fit(folder: Folder, tensors: dict[str, Any], said: str) -> None:
    assert refused(changed(folder, **tensors)).startswith(f"{folder.path / 'model.safetensors'}: {said}")


OURS = {
    "encoder__norm__weight": "norm.weight", "encoder__patch_embed__proj__bias": "patch_embed.proj.bias",
    "encoder__blocks__2__mlp__fc1__weight": "blocks.2.mlp.fc1.weight",
    "encoder__blocks__0__attn__qkv__bias": "blocks.0.attn.qkv.bias",
    "encoder__blocks__1__attn__proj__weight": "blocks.1.attn.proj.weight",
    "module__encoder__norm__bias": "norm.bias", "encoder__backbone__layer__2__norm1__bias": "layer.2.norm1.bias",
    "encoder__module__layer__0__attention__key__bias": "layer.0.attention.key.bias",
}  # fmt: skip


@pytest.mark.parametrize("stray", OURS)
def test_a_tensor_that_is_there_under_two_names(folder: Folder, stray: str) -> None:
    """Of the right shape, beside that of transformers' name or its own: which is meant, nobody knows."""
    tensors = dict(load(folder.path, fast=False).encoder.named_parameters())
    values = tensors.get(OURS[stray], torch.zeros(64)).detach().clone() + 1.0
    said = refused(changed(folder, **{stray: values}))
    assert f"{OURS[stray]} twice, the second time as " in said


def test_its_predictor_is_that_of_pre_training(folder: Folder) -> None:
    said = refused(folder.path, random_predictor=False)
    assert "has a predictor of masked patches, not an action-conditioned one; to use its encoder alone" in said


def test_a_folder_without_weights(tmp_path: Path) -> None:
    assert refused(tmp_path).startswith(f"{tmp_path}: is a folder, not a file")
