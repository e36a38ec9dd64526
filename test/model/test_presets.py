"""Presets: what is in them, where they are found, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import vjepa_ros
from vjepa_ros.errors import ConfigError
from vjepa_ros.model.presets import MODEL_PARAMETERS, config_folder, load_preset, model_config, preset_names


def written(tmp_path: Path, content: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    return str(path)


def test_every_preset_is_a_whole_model():
    assert "tiny" in preset_names()
    for name in preset_names():
        assert model_config(name).preset == name


def test_tiny():
    config = model_config("tiny")
    assert (config.image_size, config.patch_size, config.tubelet_size, config.num_frames) == ((64, 64), 16, 2, 16)
    assert config.steps == 8 and config.encoding == "clip"


def test_a_preset_also_holds_what_the_streams_need():
    values = load_preset("tiny")
    assert values["actions.reduction"] == "pick" and values["hop"] == 2
    assert set(MODEL_PARAMETERS) < set(values)


def test_overrides_replace_the_presets_values():
    config = model_config("tiny", encoder_dim=64, encoding="tubelet", image_size=(32, 96))
    assert (config.encoder_dim, config.encoding, config.image_size) == (64, "tubelet", (32, 96))
    assert config.predictor_dim == model_config("tiny").predictor_dim
    assert model_config("tiny", image_size=32).image_size == (32, 32)
    assert model_config("tiny", image_size=[32, 48]).image_size == (32, 48)


def test_a_preset_by_path(tmp_path):
    values = load_preset("tiny")
    path = written(tmp_path, yaml.safe_dump({**values, "encoder_depth": 2}))
    config = model_config(path)
    assert config.encoder_depth == 2 and config.preset == path


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"preset: 'huge' is not one of .*tiny"):
        model_config("huge")
    with pytest.raises(ConfigError, match=r"encoder_width: .*these are: image_size, .*, encoder_dim"):
        model_config("tiny", encoder_width=3)
    with pytest.raises(ConfigError, match="hop: is not a parameter of the model"):
        model_config("tiny", hop=4)
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
    values = {key: value for key, value in load_preset("tiny").items() if key != "patch_size"}
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
        model_config("tiny", **{parameter: value})
    assert error.value.parameter.split("_")[0] == parameter.split("_")[0]


def test_an_odd_number_of_channels_a_head_is_refused():
    with pytest.raises(ConfigError, match="encoder_heads: 7 channels a head"):
        model_config("tiny", encoder_dim=14)


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
