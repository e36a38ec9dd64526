"""The model file: it computes what was trained, its sidecar carries the convention, and nodes refuse another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.evaluated import JOINTS, SMALL

import vjepa_ros
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.config.normalization import Normalization, Normalizations
from vjepa_ros.config.sidecar import CONVENTION, Sidecar
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import CheckpointError, ConfigError
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.training.initial import fresh_encoder, fresh_predictor
from vjepa_ros.training.model_file import (
    EncoderFile,
    encoding_model,
    load_written,
    made_for,
    write_encoder,
    write_model,
)

NORMALIZATION = Normalizations(Normalization((0.1, -0.2), (0.5, 2.0)), Normalization((1.0, 0.0), (3.0, 1.0)))


class Written:
    """A fresh encoder and predictor, written to a folder."""

    def __init__(self, folder: Path, *, with_encoder: bool, is_own: bool = False, context: int = 1) -> None:
        self.config: NodeConfig = resolve(SMALL)
        self.encoder: Encoder = fresh_encoder(self.config.model, 1)
        self.predictor: Predictor = fresh_predictor(self.config.model, 2).predictor
        self.encoder_path, self.path = folder / "encoder.safetensors", folder / "model.safetensors"
        self.hash = write_encoder(self.encoder_path, self.encoder, self.config)
        self.file = EncoderFile.at(self.encoder_path, is_own=is_own)
        self.sidecar = write_model(
            self.path, self.path.with_suffix(".json"), self.predictor, self.file, self.hash,
            made_for(self.config, NORMALIZATION, context), self.config, with_encoder=with_encoder,
        )  # fmt: skip

    def values(self, **changes: Any) -> dict[str, Any]:
        """Parameters of a node that runs it."""
        alone = "encoder" not in self.sidecar.parts
        weights = {"checkpoint": str(self.encoder_path), "predictor_checkpoint": str(self.path)}
        return {**SMALL, **(weights if alone else {"checkpoint": str(self.path)}), **changes}

    def require_same(self, model: WorldModel) -> None:
        """It computes what the modules do."""
        generator = torch.Generator().manual_seed(0)
        clip = torch.randn(1, 3, 2, 32, 32, generator=generator)
        actions, states = torch.randn(1, 1, 2, generator=generator), torch.randn(1, 1, 2, generator=generator)
        with torch.no_grad():
            latents = layer_normalize(self.encoder(clip))
            normal = [
                (value - torch.tensor(which.mean)) / torch.tensor(which.std)
                for value, which in ((actions, NORMALIZATION.actions), (states, NORMALIZATION.states))
            ]
            forecast = layer_normalize(self.predictor(latents, *normal))
        assert model.trained
        torch.testing.assert_close(model.encode(clip), latents, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.predict(latents, actions, states), forecast, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("with_encoder", [True, False])
def test_a_node_runs_what_was_trained(tmp_path: Path, with_encoder: bool) -> None:
    written = Written(tmp_path, with_encoder=with_encoder)
    config = resolve(written.values())
    assert config.normalization == NORMALIZATION and config.convention_warnings == ()
    model = load_model(config)
    written.require_same(model)
    assert model.encoder_hash == written.hash == written.sidecar.encoder_hash
    engine = replace(config.engine, fast=True)
    loaded = load_written(written.path, written.file, written.config, NORMALIZATION, 1, engine)
    written.require_same(loaded)
    assert loaded.weights_hash == model.weights_hash


def test_python_loads_it_too(tmp_path: Path) -> None:
    written = Written(tmp_path, with_encoder=False)
    sizes = {name: SMALL[name] for name in written.sidecar.sizes if name in SMALL}
    model = vjepa_ros.load(
        "tiny_random",
        checkpoint=written.encoder_path, predictor_checkpoint=written.path, encoding="tubelet", context_steps=1,
        **{**sizes, "image_size": 32},
    )  # fmt: skip
    written.require_same(model)
    assert model.state_model.change == "delta"


@pytest.mark.parametrize("with_encoder", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {"actions.reduction": "pick"},
        {"actions.phase": "first"},
        {"encoding": "clip"},
        {"frame_rate": 5.0},
        {"context_steps": 2},
        {"joint_names": JOINTS[::-1]},
        {"states.source": "commands"},
        {"preprocessing": "droid"},
    ],
)
def test_a_node_refuses_another_convention(tmp_path: Path, with_encoder: bool, changes: dict[str, Any]) -> None:
    written = Written(tmp_path, with_encoder=with_encoder)
    (name,) = changes
    with pytest.raises(ConfigError, match="the weights were trained with") as caught:
        resolve(written.values(**changes))
    assert caught.value.parameter == name


def test_the_sidecar_says_everything(tmp_path: Path) -> None:
    said = Written(tmp_path, with_encoder=False).sidecar
    assert said == Sidecar.of_checkpoint(tmp_path / "model.safetensors")
    assert set(said.convention) == set(CONVENTION)
    expected = {"encoding": "tubelet", "frame_rate": 10.0, "actions.reduction": "difference", "context_steps": 1}
    assert {name: said.convention[name] for name in expected} == expected
    assert said.normalization["actions.mean"] == [0.1, -0.2] and said.normalization["states.std"] == [3.0, 1.0]


def test_a_context_of_all_steps_is_not_said_and_a_shorter_one_is(tmp_path: Path) -> None:
    config = resolve({**SMALL, "context_steps": 0})
    assert made_for(config, NORMALIZATION, 4).convention["context_steps"] == 0
    assert made_for(config, NORMALIZATION, 3).convention["context_steps"] == 3


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    written = Written(tmp_path, with_encoder=False)
    write_encoder(written.encoder_path, fresh_encoder(written.config.model, 5), written.config)
    with pytest.raises(ConfigError, match="was trained with the encoder"):
        load_model(resolve(written.values()))


def test_an_encoder_of_a_file_for_another_predictor_still_encodes(tmp_path: Path) -> None:
    """Its sidecar is about a predictor that is not read; its own sizes must fit, and its weights be those it says."""
    written = Written(tmp_path, with_encoder=True, is_own=True)
    other = resolve({**SMALL, "predictor_dim": 36, "predictor_heads": 3, "actions.reduction": "pick"})
    model = encoding_model(EncoderFile.at(written.path), other, other.engine)
    assert model.encoder_hash == written.hash
    larger = resolve({**SMALL, "encoder_dim": 24})
    with pytest.raises(CheckpointError, match="encoder_dim 12, but the configuration says 24"):
        encoding_model(EncoderFile.at(written.path), larger, larger.engine)
    content = bytearray(written.path.read_bytes())
    content[-1] ^= 1  # of the predictor, which comes last
    written.path.write_bytes(content)
    assert encoding_model(EncoderFile.at(written.path), other, other.engine).encoder_hash == written.hash
    with pytest.raises(ConfigError, match="not the one that"):
        load_model(resolve(written.values()))
