"""Weights that come with a preset: what an empty checkpoint stands for, and what is refused of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import vjepa_ros
from vjepa_ros import devices
from vjepa_ros.config.node import resolve
from vjepa_ros.config.own_weights import RANDOM, checkpoint_of, own_weights
from vjepa_ros.config.presets import config_folder, load_preset, preset_names
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.errors import ConfigError
from vjepa_ros.forecast.forecaster import load_model, notices

MOST_MB = 6.0


def test_tiny_comes_with_weights_and_no_other_preset_does() -> None:
    assert [name for name in preset_names() if own_weights(name) is not None] == ["tiny"]
    path = own_weights("tiny")
    assert path is not None and path.stat().st_size < MOST_MB * 1e6


@pytest.mark.parametrize("checkpoint", [None, ""])
def test_an_empty_checkpoint_stands_for_them(checkpoint: str | None) -> None:
    wm = vjepa_ros.load("tiny", checkpoint=checkpoint)
    assert wm.trained and not wm.notice
    named = vjepa_ros.load("tiny", checkpoint=own_weights("tiny"))
    assert wm.weights_hash == named.weights_hash


def test_random_stands_for_random_ones() -> None:
    wm = vjepa_ros.load("tiny", checkpoint=RANDOM, seed=3)
    assert not wm.trained and "UNTRAINED" in wm.notice
    assert wm.weights_hash == vjepa_ros.load("tiny", checkpoint="random", seed=3).weights_hash
    assert wm.weights_hash != vjepa_ros.load("tiny", checkpoint="random", seed=4).weights_hash
    assert not vjepa_ros.load("tiny_random", checkpoint=RANDOM).trained


@pytest.mark.parametrize(
    ("size", "value"),
    [("encoder_dim", 48), ("encoder_depth", 2), ("predictor_dim", 64), ("image_size", 32), ("num_frames", 16)],
)
def test_another_size_is_refused_with_what_to_do(size: str, value: int) -> None:
    heads = {"encoder_heads": 3} if size == "encoder_dim" else {}
    changes: dict[str, Any] = {size: value, **heads}
    with pytest.raises(ConfigError, match=rf"made for {size} .* but the configuration says .*set checkpoint: random"):
        vjepa_ros.load("tiny", **changes)
    asked = {**changes, "image_size": [32, 32]} if size == "image_size" else changes
    with pytest.raises(ConfigError, match=rf"made for {size} .* but the configuration says .*set checkpoint: random"):
        resolve({"preset": "tiny", **asked})
    assert not vjepa_ros.load("tiny", checkpoint="random", **changes).trained


@pytest.mark.parametrize(
    ("name", "value"),
    [("context_steps", 0), ("context_steps", 2), ("context_steps", 4), ("encoding", "clip"), ("preprocessing", "eval")],
)
def test_python_refuses_another_convention_as_the_node_does(name: str, value: Any) -> None:
    said = rf"{name}: the weights were trained with .*, the configuration says {value!r}; .*override_convention: true"
    with pytest.raises(ConfigError, match=said):
        vjepa_ros.load("tiny", **{name: value})
    if value != 0:  # of a parameter, "the preset's"
        with pytest.raises(ConfigError, match=said):
            resolve({"preset": "tiny", name: value})
    changed: dict[str, Any] = {name: value}
    assert vjepa_ros.load("tiny", **changed, override_convention=True).trained
    assert not vjepa_ros.load("tiny", checkpoint=RANDOM, **changed).trained
    with pytest.raises(ConfigError, match="override_convention: must be true or false, not 'yes'"):
        vjepa_ros.load("tiny", override_convention="yes")  # type: ignore[arg-type]


def test_python_refuses_a_preset_of_another_convention(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text((config_folder() / "presets" / "tiny.yaml").read_text().replace("context_steps: 1", ""))
    with pytest.raises(ConfigError, match="context_steps: the weights were trained with 1, the configuration says 0"):
        vjepa_ros.load(preset, checkpoint=own_weights("tiny"))
    assert vjepa_ros.load(preset, checkpoint=own_weights("tiny"), context_steps=1).trained


def test_a_dtype_that_the_cpu_imitates_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cpu_flags", lambda: frozenset({"avx2"}))
    config = resolve({"preset": "tiny", "threads": 1, "device": "cpu", "dtype": "bfloat16"})
    (said,) = notices(config, load_model(config))
    assert said == "dtype: this CPU has no instructions for bfloat16: it is imitated, and takes longer than float32"


@pytest.mark.parametrize(
    ("dtype", "flags", "is_imitated"),
    [
        (torch.float32, {"avx2"}, False),
        (torch.bfloat16, {"avx2", "avx512f"}, True),
        (torch.bfloat16, {"avx512_bf16"}, False),
        (torch.bfloat16, {"asimd", "bf16"}, False),
        (torch.float16, {"avx512f", "avx512_bf16"}, True),
        (torch.float16, {"asimd", "asimdhp"}, False),
        (torch.bfloat16, set(), False),
    ],
)
def test_which_dtypes_are_imitated(dtype: torch.dtype, flags: set[str], is_imitated: bool) -> None:
    assert bool(devices.imitation(torch.device("cpu"), dtype, frozenset(flags))) is is_imitated
    assert not devices.imitation(torch.device("meta"), dtype, frozenset(flags)), "no CPU"


def test_a_node_runs_them_without_another_word() -> None:
    config = resolve({"preset": "tiny", "threads": 1, "device": "cpu"})
    model = load_model(config)
    assert model.trained and notices(config, model) == []
    assert config.stream.commands.joint_names[0] == "panda_joint1"
    assert config.normalization.actions.std[0] < 1.0, "the sidecar's"


def test_their_sidecar_has_the_presets_convention() -> None:
    sidecar = Sidecar.of_checkpoint(own_weights("tiny"))
    assert sidecar is not None and sidecar.preset == "tiny"
    for name, value in load_preset("tiny").items():
        if name in sidecar.convention:
            assert sidecar.convention[name] == value, name
    assert sidecar.convention["joint_names"] == load_preset("tiny")["joint_names"]


def test_other_joints_are_refused() -> None:
    with pytest.raises(ConfigError, match="the weights were trained with"):
        resolve({"preset": "tiny", "joint_names": [f"joint{number}" for number in range(7)]})


def test_a_preset_file_of_ones_own_has_none(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text((config_folder() / "presets" / "tiny.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert own_weights(path) is None and checkpoint_of(path, "") == ""
    assert not vjepa_ros.load(path).trained
    assert own_weights("../weights/tiny") is None
