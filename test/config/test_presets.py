"""Presets: what is in them, where they are found, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from support.reference import public_factory, without_memory
from torch import nn

import vjepa_ros
from vjepa_ros.config.model import PARAMETER_OF, ModelConfig
from vjepa_ros.config.node import resolve
from vjepa_ros.config.presets import MODEL_PARAMETERS, config_folder, load_preset, model_config, preset_names
from vjepa_ros.errors import ConfigError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.predictor import Predictor

JOINTS = [f"joint_{number}" for number in range(1, 8)]


def written(tmp_path: Path, content: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    return str(path)


def shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in module.named_parameters()}


def test_every_preset_is_a_whole_model():
    assert preset_names() == [
        "tiny", "tiny_random", "vitg", "vith", "vitl", "vjepa2_1_vitG", "vjepa2_1_vitb", "vjepa2_1_vitg",
        "vjepa2_1_vitl", "vjepa2_ac_vitg",
    ]  # fmt: skip
    for name in preset_names():
        assert model_config(name).preset == name


PUBLIC_ENCODERS = {  # by the public code's own names of the sizes
    "vitl": "vit_large",
    "vith": "vit_huge",
    "vitg": "vit_giant_xformers",
    "vjepa2_ac_vitg": "vit_giant_xformers",
}


@pytest.mark.parametrize("name", PUBLIC_ENCODERS)
def test_encoders_have_the_public_sizes(name):
    """Every parameter by name and shape, and the heads, which no shape shows."""
    config = model_config(name)
    with without_memory():
        ours = Encoder(config)
        public = public_factory(PUBLIC_ENCODERS[name])(img_size=256, num_frames=64, use_rope=True)
    assert shapes(ours) == shapes(public)
    assert config.encoder_heads == public.blocks[0].attn.num_heads
    hidden = {"vitl": 4096, "vith": 5120}.get(name, 6144)
    assert ours.blocks[0].mlp.fc1.out_features == hidden


def test_the_released_predictor_has_the_public_size():
    """The public code's defaults are the released predictor's."""
    config = model_config("vjepa2_ac_vitg")
    with without_memory():
        ours = Predictor(config, use_extrinsics=True)
        public = public_factory("vit_ac_predictor")(img_size=256, num_frames=8, embed_dim=1408)
    assert shapes(ours) == shapes(public)  # with the extrinsics encoder, which it has even where it is not used
    assert config.predictor_heads == public.predictor_blocks[0].attn.num_heads


@pytest.mark.parametrize("name", ["vitl", "vith", "vitg"])
def test_the_encoders_presets(name):
    config = model_config(name)
    assert (config.image_size, config.patch_size, config.tubelet_size, config.num_frames) == ((224, 224), 16, 2, 16)
    assert (config.predictor_dim, config.predictor_depth, config.predictor_heads) == (384, 12, 12)
    assert (config.encoding, config.preprocessing, config.steps) == ("clip", "eval", 8)
    assert Grid.of(config).shape == (8, 14, 14) and Grid.of(config).tokens == 1568


def test_the_released_ac_preset():
    config = model_config("vjepa2_ac_vitg")
    assert (config.image_size, config.patch_size, config.tubelet_size, config.num_frames) == ((256, 256), 16, 2, 8)
    assert (config.predictor_dim, config.predictor_depth, config.predictor_heads) == (1024, 24, 16)
    assert (config.action_dim, config.state_dim) == (7, 7)
    assert (config.encoding, config.preprocessing, config.steps) == ("frame_repeat", "droid", 8)
    assert Grid.of(config).shape == (8, 16, 16)
    assert config.most_context == 7, "8 frames were 7 steps of context and their 7 successors"
    stream = resolve({"preset": "vjepa2_ac_vitg", "pose.tip_link": "hand"}).stream
    assert (stream.pose.source, stream.pose.actions) == ("forward_kinematics", "measured")
    assert (stream.frame_rate_hz, stream.num_frames, stream.hop, stream.stride) == (4.0, 8, 1, 1)
    assert (stream.reduction, stream.tail) == ("pose_delta", "hold")


V21 = {  # (width, layers, heads, MLP, key of the encoder in its file, levels), as MODELS of the release have them
    "vjepa2_1_vitb": (768, 12, 12, 3072, "ema_encoder", (2, 5, 8, 11)),
    "vjepa2_1_vitl": (1024, 24, 16, 4096, "ema_encoder", (5, 11, 17, 23)),
    "vjepa2_1_vitg": (1408, 40, 22, 6144, "target_encoder", (9, 19, 29, 39)),
    "vjepa2_1_vitG": (1664, 48, 26, 8192, "target_encoder", (11, 23, 37, 47)),
}


@pytest.mark.parametrize("name", V21)
def test_the_presets_of_v_jepa_2_1(name):
    dim, depth, heads, hidden, key, levels = V21[name]
    config = model_config(name)
    assert (config.image_size, config.patch_size, config.tubelet_size, config.num_frames) == ((384, 384), 16, 2, 16)
    assert (config.encoder_dim, config.encoder_depth, config.encoder_heads) == (dim, depth, heads)
    assert (config.encoding, config.preprocessing, config.latent_dim) == ("clip", "eval", dim)
    assert model_config(name, latent_levels="all").latent_dim == 4 * dim
    with without_memory():
        last, every = Encoder(config), Encoder(model_config(name, latent_levels="all", image_size=256))
    assert last.blocks[0].mlp.fc1.out_features == hidden and last.norms_block[3].eps == 1e-6
    assert last.levels == levels[-1:] and every.levels == levels and every.grid.shape == (8, 16, 16)
    assert shapes(last) == shapes(every), "nothing of the weights is left out, whatever is asked for"
    assert resolve({"preset": name, "joint_names": JOINTS}).weights.encoder_key == key


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resolves_with_the_joints_named(name):
    # Weights that come with a preset are of other joints, and of its sizes.
    given = {"preset": name, "joint_names": JOINTS, "pose.source": "names", "checkpoint": "random"}
    config = resolve(given)
    assert config.model == model_config(name)
    assert config.stream.steps == config.model.steps == (4 if name == "tiny" else 8)
    assert config.stream.commands.joint_names == tuple(JOINTS)
    phase = "last" if name == "tiny" else "first"
    assert (config.stream.hop, config.stream.phase) == (config.model.stride, phase)


# A value for every parameter that a preset has, none of them any preset's own, which together make sense.
OTHERS = {
    "image_size": [48, 72], "patch_size": 12, "tubelet_size": 3, "num_frames": 12, "encoder_dim": 120,
    "encoder_depth": 5, "encoder_heads": 5, "mlp_ratio": 3.0, "predictor_dim": 72, "predictor_depth": 6,
    "predictor_heads": 4, "action_dim": 2, "state_dim": 3, "context_steps": 2, "encoding": "tubelet",
    "preprocessing": "square", "encoder_family": "vjepa2_1", "latents.levels": "all", "encoder_key": "encoder",
    "frame_rate": 5.0, "hop": 6, "actions.phase": "last", "actions.reduction": "difference", "actions.tail": "hold",
    "pose.source": "names", "pose.actions": "commanded",
}  # fmt: skip


@pytest.mark.parametrize("name", preset_names())
def test_everything_in_a_preset_can_be_overridden(name):
    names = {"joint_names": ["a", "b"], "state_names": ["a", "b", "c"]}
    assert {*OTHERS, *names} >= set(load_preset(name))
    config = resolve({"preset": name, "checkpoint": "random", **names, **OTHERS})
    sizes = {name: OTHERS[PARAMETER_OF.get(name, name)] for name in MODEL_PARAMETERS}
    assert config.model == ModelConfig(preset=name, **{**sizes, "image_size": (48, 72)})
    assert (config.stream.frame_rate_hz, config.stream.hop, config.stream.phase) == (5.0, 6, "last")


@pytest.mark.parametrize(
    "overrides, parameter",
    [
        ({"image_size": 250}, "image_size"),
        ({"num_frames": 15}, "num_frames"),
        ({"encoder_heads": 15}, "encoder_heads"),
        ({"predictor_heads": 9}, "predictor_heads"),
        ({"predictor_heads": 96}, "predictor_heads"),  # 4 channels a head
    ],
)
def test_sizes_that_do_not_work_out_are_refused(overrides, parameter):
    with pytest.raises(ConfigError) as error:
        model_config("vitl", **overrides)
    assert error.value.parameter == parameter


def test_tiny():
    config = model_config("tiny_random")
    assert (config.image_size, config.patch_size, config.tubelet_size, config.num_frames) == ((64, 64), 16, 2, 16)
    assert config.steps == 8 and config.encoding == "clip"


def test_a_preset_also_holds_what_the_streams_need():
    values = load_preset("tiny_random")
    assert values["actions.reduction"] == "pick" and values["hop"] == 2
    optional = {"context_steps", "encoder_family", "latent_levels"}
    assert set(MODEL_PARAMETERS) - optional < set(values), "all steps, V-JEPA 2, and its only level"
    assert model_config("tiny_random").most_context == 8


def test_overrides_replace_the_presets_values():
    config = model_config("tiny_random", encoder_dim=64, encoding="tubelet", image_size=(32, 96))
    assert (config.encoder_dim, config.encoding, config.image_size) == (64, "tubelet", (32, 96))
    assert config.predictor_dim == model_config("tiny_random").predictor_dim
    assert model_config("tiny_random", image_size=32).image_size == (32, 32)
    assert model_config("tiny_random", image_size=[32, 48]).image_size == (32, 48)


def test_a_preset_by_path(tmp_path):
    values = load_preset("tiny_random")
    path = written(tmp_path, yaml.safe_dump({**values, "encoder_depth": 2}))
    config = model_config(path)
    assert config.encoder_depth == 2 and config.preset == path


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"preset: 'huge' is not one of .*tiny"):
        model_config("huge")
    with pytest.raises(ConfigError, match=r"encoder_width: .*these are: image_size, .*, encoder_dim"):
        model_config("tiny_random", encoder_width=3)
    with pytest.raises(ConfigError, match="hop: is not a parameter of the model"):
        model_config("tiny_random", hop=4)
    with pytest.raises(ConfigError, match=r"preset: there is no file .*nowhere\.yaml"):
        model_config("nowhere.yaml")


@pytest.mark.parametrize(
    "content, reason",
    [
        ("- 1\n- 2\n", "not a flat list"),
        ("", "not a flat list"),
        ("encoder:\n  dim: 3\n", "not a flat list"),
        ("a: [1\n", "cannot be read"),
        ("a: !!python/object/apply:os.getcwd []\n", "cannot be read"),
    ],
)
def test_files_that_are_no_presets(tmp_path, content, reason):
    with pytest.raises(ConfigError, match=f"preset: .*mine.yaml.*{reason}"):
        load_preset(written(tmp_path, content))


def test_a_preset_without_one_of_the_models_parameters(tmp_path):
    values = {key: value for key, value in load_preset("tiny_random").items() if key != "patch_size"}
    with pytest.raises(ConfigError, match="patch_size: is missing in preset"):
        model_config(written(tmp_path, yaml.safe_dump(values)))


@pytest.mark.parametrize(
    "parameter, value",
    [
        ("image_size", 60),
        ("image_size", "64x64"),
        ("image_size", [64, 64, 3]),
        ("image_size", 64.0),
        ("num_frames", 15),
        ("encoder_depth", 0),
        ("encoder_depth", 2.5),
        ("encoder_heads", 3),
        ("encoder_heads", 64),  # 2 channels a head
        ("predictor_dim", 99),
        ("predictor_heads", 32),
        ("mlp_ratio", -1),
        ("mlp_ratio", float("inf")),
        ("mlp_ratio", "four"),
        ("encoding", "video"),
        ("preprocessing", "round"),
    ],
)
def test_values_that_make_no_sense_name_the_parameter(parameter, value):
    with pytest.raises(ConfigError) as error:
        model_config("tiny_random", **{parameter: value})
    assert error.value.parameter.split("_")[0] == parameter.split("_")[0]


def test_an_odd_number_of_channels_a_head_is_refused():
    with pytest.raises(ConfigError, match="encoder_heads: 7 channels a head"):
        model_config("tiny_random", encoder_dim=14)


@pytest.mark.parametrize(
    "prefix, library",
    [
        ("install/vjepa_ros", "lib/python3.12/site-packages"),  # colcon
        ("install", "lib/python3.12/site-packages"),  # colcon --merge-install
        (".venv", "lib/python3.11/site-packages"),
        (".local", "lib/python3.10/site-packages"),
        ("usr/local", "lib/python3.12/dist-packages"),
        ("usr", "lib/python3/dist-packages"),
        ("opt/ros/jazzy", "lib/python3.12/site-packages"),
    ],
)
def test_the_config_folder_is_found_in_an_install_tree(tmp_path, monkeypatch, prefix, library):
    package = tmp_path / prefix / library / "vjepa_ros"
    config = tmp_path / prefix / "share" / "vjepa_ros" / "config"
    for folder in (package, config / "presets"):
        folder.mkdir(parents=True)
    (config / "presets" / "installed.yaml").write_text("patch_size: 16\n")
    monkeypatch.setattr(vjepa_ros, "__file__", str(package / "__init__.py"))
    assert config_folder() == config
    assert preset_names() == ["installed"] and load_preset("installed") == {"patch_size": 16}


def test_a_checkout_uses_its_own_folder(tmp_path, monkeypatch):
    (tmp_path / "checkout" / "vjepa_ros").mkdir(parents=True)
    (tmp_path / "checkout" / "package.xml").write_text("<package/>")
    (tmp_path / "share" / "vjepa_ros" / "config").mkdir(parents=True)  # an install further up is not meant
    monkeypatch.setattr(vjepa_ros, "__file__", str(tmp_path / "checkout" / "vjepa_ros" / "__init__.py"))
    assert config_folder() == tmp_path / "checkout" / "config"


def test_no_config_folder_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(vjepa_ros, "__file__", str(tmp_path / "vjepa_ros" / "__init__.py"))
    with pytest.raises(ConfigError, match="is it fully installed"):
        preset_names()
