"""Sidecars: what they say, what is refused in them, and what they refuse."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoint_files import read, refusal, saved_safetensors
from support.reference import SMALL_CHECKPOINT, small_config

from vjepa_ros.config.model import PARAMETER_OF
from vjepa_ros.config.presets import MODEL_PARAMETERS
from vjepa_ros.config.sidecar import CONVENTION, JOINT_NORMALIZATION, SIZES, Sidecar, sidecar_path
from vjepa_ros.errors import CheckpointError
from vjepa_ros.weights.values import part_hash

A, B = "0123456789abcdef", "fedcba9876543210"
Parts = dict[str, dict[str, torch.Tensor]]
FIELD_OF = {parameter: field for field, parameter in PARAMETER_OF.items()}


def small_parts(scale: float = 1.0) -> Parts:
    weights = read(SMALL_CHECKPOINT)
    parts = {"encoder": weights.encoder, "predictor": weights.predictor}
    return {part: {name: tensor * scale for name, tensor in tensors.items()} for part, tensors in parts.items()}


def sidecar_of(parts: Parts, source: str = A) -> Sidecar:
    config = small_config()
    return Sidecar(
        vjepa_ros="0.1.0",
        preset="small_ac.yaml",
        sizes={
            name: list(value) if isinstance(value := getattr(config, FIELD_OF.get(name, name)), tuple) else value
            for name in SIZES
        },
        convention={"context_steps": 3, "encoding": "clip", "preprocessing": "square", "frame_rate": 4.0,
                    "actions.reduction": "pick", "actions.phase": "first", "actions.alignment": "hold",
                    "actions.tail": "hold", "joint_names": [], "states.source": "joint_states",
                    "states.alignment": "hold", "state_names": []},
        normalization={"pixel_mean": [0.485, 0.456, 0.406], "pixel_std": [0.229, 0.224, 0.225],
                       **dict.fromkeys(JOINT_NORMALIZATION, [])},
        dtype="float32",
        source={"file": "small_ac.pt", "key": "target_encoder", "hash": source},
        parts={part: {"hash": part_hash(tensors), "source": source} for part, tensors in parts.items()},
    )  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Weights with their sidecar."""
    parts = small_parts()
    path = saved_safetensors(tmp_path / "weights.safetensors", parts)
    sidecar_of(parts).write(sidecar_path(path))
    return path


def changed(path: Path, *keys: str, to: Any) -> None:
    """Change one value of a sidecar; to ... takes it out."""
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    if to is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    path.write_text(json.dumps(content))


def test_the_first_sidecars_did_not_say_how_many_steps_of_context(pair):
    changed(sidecar_path(pair), "convention", "context_steps", to=...)
    assert Sidecar.read(sidecar_path(pair)).convention["context_steps"] == 0


def test_nor_what_family_the_encoder_is_of(pair):
    for name in ("encoder_family", "latents.levels"):
        changed(sidecar_path(pair), "sizes", name, to=...)
    sizes = Sidecar.read(sidecar_path(pair)).sizes
    assert (sizes["encoder_family"], sizes["latents.levels"]) == ("vjepa2", "last")
    assert read(pair).trained
    changed(sidecar_path(pair), "sizes", "encoder_family", to="vjepa2_1")
    assert refusal(pair) == "was made for encoder_family 'vjepa2_1', but the configuration says vjepa2"
    changed(sidecar_path(pair), "sizes", "latents.levels", to=4)
    with pytest.raises(CheckpointError, match="sizes.latents.levels is not a text, but 4"):
        Sidecar.read(sidecar_path(pair))


def test_every_parameter_of_the_model_is_a_size_or_a_convention():
    assert {PARAMETER_OF.get(name, name) for name in MODEL_PARAMETERS} <= set(SIZES) | set(CONVENTION)
    assert not set(SIZES) & set(CONVENTION)
    assert {"image_size", "encoder_heads", "mlp_ratio", "action_dim"} < set(SIZES)


def test_what_is_written_is_read_again(tmp_path):
    written = sidecar_of(small_parts())
    written.write(tmp_path / "weights.json")
    assert Sidecar.read(tmp_path / "weights.json") == written
    assert json.loads((tmp_path / "weights.json").read_text()) == {
        "format": "vjepa_ros sidecar 1", **dataclasses.asdict(written)
    }  # fmt: skip


def test_weights_with_their_sidecar_and_without_any(pair):
    assert read(pair).hash() == read(SMALL_CHECKPOINT).hash()
    sidecar_path(pair).unlink()
    assert read(pair).hash() == read(SMALL_CHECKPOINT).hash()


def test_other_sizes_are_refused_with_both_sides(pair):
    """Heads show in no shape: without the sidecar, this is plausible nonsense."""
    assert refusal(pair, predictor_heads=4) == "was made for predictor_heads 2, but the configuration says 4"
    assert refusal(pair, image_size=(32, 64), num_frames=8) == (
        "was made for image_size [64, 64], but the configuration says [32, 64]; "
        "for num_frames 16, but the configuration says 8"
    )
    sidecar_path(pair).unlink()
    assert read(pair, predictor_heads=4).trained


def test_a_ratio_may_be_written_with_fewer_digits(pair):
    changed(sidecar_path(pair), "sizes", "mlp_ratio", to=4.0000001)
    assert read(pair).trained
    changed(sidecar_path(pair), "sizes", "mlp_ratio", to=4.001)
    assert refusal(pair) == "was made for mlp_ratio 4.001, but the configuration says 4"


def test_a_part_of_another_checkpoint_is_refused(pair):
    own, other = small_parts(), small_parts(scale=2.0)
    for part in ("encoder", "predictor"):
        saved_safetensors(pair, {**own, part: other[part]})
        assert refusal(pair) == (
            f"its {part} is not the one that {sidecar_path(pair)} was written for, or is damaged; an encoder and a "
            "predictor that were not trained together do not understand each other"
        )
    saved_safetensors(pair, other)
    assert refusal(pair) == f"these are not the weights that {sidecar_path(pair)} was written for, or are damaged"


def test_sidecars_merged_along_with_their_weights_are_refused(pair):
    """Encoder of one file with the predictor of another, and the sidecar made to fit: its sources still differ."""
    merged = {**small_parts(), "predictor": small_parts(scale=2.0)["predictor"]}
    saved_safetensors(pair, merged)
    of_one, of_other = sidecar_of(merged, A), sidecar_of(merged, B)
    parts = {"encoder": of_one.parts["encoder"], "predictor": of_other.parts["predictor"]}
    dataclasses.replace(of_one, parts=parts).write(sidecar_path(pair))
    with pytest.raises(CheckpointError) as error:
        read(pair)
    assert str(error.value) == (
        f"{sidecar_path(pair)}: the parts come from different checkpoints (encoder from {A}, predictor from {B})"
    )
    assert (
        read(pair, predictor_seed=0).hashes["encoder"] == of_one.parts["encoder"]["hash"]
    )  # the encoder alone is fine


def test_a_single_flipped_bit_is_noticed(pair):
    data = bytearray(pair.read_bytes())
    data[-1] ^= 1
    pair.write_bytes(data)
    assert "is not the one that" in refusal(pair)


@pytest.mark.parametrize(
    "content, reason",
    [
        ("{", "cannot be read as a sidecar ("),
        (b"\xff\xfe\x00", "cannot be read as a sidecar ("),
        ("[1]", "is not a sidecar that this version reads (format None, not 'vjepa_ros sidecar 1'); where it is "
         "something else, call one of the two files otherwise"),
        ('{"format": "vjepa_ros sidecar 9"}', "is not a sidecar that this version reads (format 'vjepa_ros sidecar 9'"),
    ],
)  # fmt: skip
def test_files_that_are_no_sidecars(pair, content, reason):
    sidecar_path(pair).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refused_sidecar(pair).startswith(reason)


@pytest.mark.parametrize(
    "keys, value, reason",
    [
        (["preset"], ..., "preset is missing"),
        (["author"], "me", "author is not known"),
        (["preset"], 3, "preset is not a text"),
        (["sizes"], [1], "sizes is not an object"),
        (["sizes", "encoder_heads"], ..., "sizes.encoder_heads is missing"),
        (["sizes", "colour"], 3, "sizes.colour is not known"),
        (["sizes", "encoder_heads"], "two", "sizes.encoder_heads is not a number or a list of them, but 'two'"),
        (["sizes", "image_size"], [], "sizes.image_size is not a number or a list of them, but []"),
        (["convention", "actions.phase"], ..., "convention.actions.phase is missing"),
        (["convention", "rate"], 4, "convention.rate is not known"),
        (["normalization", "actions.std"], ..., "normalization.actions.std is missing"),
        (["source", "key"], ..., "source.key is missing"),
        (["source", "hash"], "abc", "source.hash is not a hash, but 'abc'"),
        (["parts", "encoder"], ..., "parts has no encoder"),
        (["parts", "decoder"], {}, "parts has encoder, predictor, decoder"),
        (["parts", "encoder"], "abc", "parts.encoder is not an object"),
        (["parts", "predictor", "hash"], ..., "parts.predictor.hash is missing"),
        (["parts", "predictor", "hash"], A, f"parts.predictor.hash is not a hash, but '{A}'"),
        (["parts", "encoder", "source"], None, "parts.encoder.source is not a hash, but None"),
    ],
)
def test_every_fault_of_a_sidecar_is_named(pair, keys, value, reason):
    changed(sidecar_path(pair), *keys, to=value)
    assert refused_sidecar(pair) == reason


def refused_sidecar(pair: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        read(pair)
    prefix = f"{sidecar_path(pair)}: "
    assert str(error.value).startswith(prefix)
    return str(error.value).removeprefix(prefix)
