"""``predictor_checkpoint``: what it goes with, whose convention counts, and which parameter is named for which file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import conversions
from support.pairs import written_encoder, written_predictor

import vjepa_ros
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.config.sidecar import sidecar_path
from vjepa_ros.errors import ConfigError
from vjepa_ros.forecast.forecaster import load_model, notices
from vjepa_ros.forecast.info import latent_info

JOINTS = [f"joint{index}" for index in range(7)]
MEANS = {"actions.mean": [float(index) for index in range(7)]}


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """Parameters of a pair: an encoder that was converted for other windows and actions, and a predictor."""
    encoder = tmp_path / "encoder.safetensors"
    preset = conversions.written_preset(tmp_path)
    settings = ["--set", "actions.phase=last", "frame_rate=8", "actions.std=[3,3,3,3,3,3,3]", "preprocessing=eval"]
    assert conversions.run(conversions.CHECKPOINT, encoder, "--preset", preset, "--encoder-only", *settings) == 0
    predictor = written_predictor(tmp_path, **MEANS)
    return {
        "preset": preset, "checkpoint": str(encoder), "predictor_checkpoint": str(predictor), "threads": 1,
        "joint_names": JOINTS, "device": "cpu",
    }  # fmt: skip


def refused(values: dict[str, Any], **changes: Any) -> tuple[str, str]:
    with pytest.raises(ConfigError) as error:
        load_model(resolve({**values, **changes}))
    return error.value.parameter, error.value.reason


def test_the_convention_and_the_normalisation_are_the_predictors(values: dict[str, Any]) -> None:
    config = resolve(values)
    assert config.convention_warnings == ()
    assert config.normalization.actions.mean == tuple(MEANS["actions.mean"])
    assert config.normalization.actions.std == (1.0,) * 7
    parameter, reason = refused(values, **{"actions.phase": "last"})
    assert parameter == "actions.phase" and "trained with 'first', the configuration says 'last'" in reason
    wm = vjepa_ros.load(**{name: values[name] for name in ("preset", "checkpoint", "predictor_checkpoint")})
    assert wm.normalization == config.normalization


def test_what_the_encoders_sidecar_says_otherwise_is_named_once_it_runs(values: dict[str, Any]) -> None:
    config = resolve(values)
    model = load_model(config)
    said = "preprocessing: the encoder's sidecar says 'eval', and the predictor was trained with 'square', which counts"
    assert notices(config, model) == [said] and model.trained


def test_latent_info_has_both_files_and_both_hashes(values: dict[str, Any]) -> None:
    config = resolve(values)
    model = load_model(config)
    info = latent_info(config, model)
    assert (info["checkpoint"], info["predictor_checkpoint"]) == (values["checkpoint"], values["predictor_checkpoint"])
    parts = json.loads(sidecar_path(Path(values["predictor_checkpoint"])).read_text())["parts"]
    assert info["predictor_hash"] == model.predictor_hash == parts["predictor"]["hash"]
    assert info["encoder_hash"] == model.encoder_hash == parts["predictor"]["encoder_hash"]
    # The id stands for the weights, wherever they come from: those of the encoder's own file are others.
    own = resolve({**values, "checkpoint": str(conversions.CHECKPOINT), "predictor_checkpoint": "", **MEANS})
    whole = latent_info(own, load_model(own))
    changes = {name for name in info if info[name] != whole[name]}
    assert changes == {
        "info_id", "checkpoint", "predictor_checkpoint", "predictor_hash", "weights_hash", "checkpoint_key"
    }  # fmt: skip


def test_it_needs_an_encoder_and_goes_with_no_random_predictor(values: dict[str, Any]) -> None:
    needs = ("predictor_checkpoint", "needs the file of its encoder: name that as `checkpoint`")
    assert refused(values, checkpoint="") == needs
    both = ("predictor_checkpoint", "cannot be used with `random_predictor`: choose one")
    assert refused(values, random_predictor=True) == both
    with pytest.raises(ConfigError) as error:
        vjepa_ros.load("tiny_random", predictor_checkpoint=values["predictor_checkpoint"])
    assert (error.value.parameter, error.value.reason) == needs
    with pytest.raises(ConfigError) as error:
        vjepa_ros.load("tiny_random", checkpoint="a.pt", predictor_checkpoint="b.pt", random_predictor=True)
    assert (error.value.parameter, error.value.reason) == both


def test_the_parameter_of_the_file_at_fault_is_named(values: dict[str, Any], tmp_path: Path) -> None:
    other = str(written_encoder(tmp_path / "other.safetensors", scale=2.0))
    predictor, nowhere = values["predictor_checkpoint"], str(tmp_path / "nowhere.safetensors")
    parameter, reason = refused(values, checkpoint=other)
    assert parameter == "predictor_checkpoint" and reason.startswith(f"{predictor}: was trained with the encoder ")
    assert refused(values, checkpoint=nowhere) == ("checkpoint", f"{nowhere}: there is no such file")
    absent = ("predictor_checkpoint", f"{nowhere}: there is no such file")
    assert refused(values, predictor_checkpoint=nowhere) == absent
    sidecar_path(Path(predictor)).write_text("{")
    parameter, reason = refused(values)
    assert parameter == "predictor_checkpoint" and "cannot be read as a sidecar" in reason


def test_a_home_folder_is_understood(values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config: NodeConfig = resolve({**values, "predictor_checkpoint": "~/predictor.safetensors"})
    assert load_model(config).trained and config.normalization.actions.mean == tuple(MEANS["actions.mean"])


def test_an_encoder_with_a_random_predictor_stays_as_it_was(values: dict[str, Any]) -> None:
    changes = {"predictor_checkpoint": "", "random_predictor": True, "override_convention": True}
    model = load_model(resolve({**values, **changes}))
    assert not model.trained and model.notes == ()
    assert model.notice == "UNTRAINED: the predictor has seeded random weights"
