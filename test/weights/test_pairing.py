"""A predictor of its own file beside an encoder's: what is taken of which, and which two belong together."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.checkpoint_files import ENCODER_PREFIX, read, refusal, saved, saved_safetensors, small_content
from support.conversions import run, written_preset
from support.pairs import read_pair, trained_predictor, written_encoder, written_predictor
from support.reference import SMALL_CHECKPOINT, small_config

import vjepa_ros
from vjepa_ros.config.sidecar import Sidecar, sidecar_path
from vjepa_ros.errors import CheckpointError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.weights.checkpoint import encoder_hash
from vjepa_ros.weights.values import part_hash


@pytest.fixture
def predictor(tmp_path: Path) -> Path:
    return written_predictor(tmp_path)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Encoder and predictor of the small checkpoint in one converted file with its sidecar."""
    path = tmp_path / "whole.safetensors"
    assert run(SMALL_CHECKPOINT, path, "--preset", written_preset(tmp_path)) == 0
    return path


def refused(encoder: str | Path, predictor: str | Path, **options: Any) -> tuple[str, str]:
    """(parameter that names the file at fault, the sentence without the file's name)."""
    with pytest.raises(CheckpointError) as error:
        read_pair(encoder, predictor, **options)
    message = str(error.value)
    assert "\n" not in message and len(message) < 1_000
    at_fault = {"checkpoint": encoder, "predictor_checkpoint": predictor}[error.value.parameter]
    assert message.startswith(f"{at_fault}: "), message
    return error.value.parameter, message.removeprefix(f"{at_fault}: ")


# --- What is taken of which ------------------------------------------------------------------------------------------


def test_the_encoder_of_the_one_and_the_predictor_of_the_other(predictor):
    weights, whole = read_pair(SMALL_CHECKPOINT, predictor), read(SMALL_CHECKPOINT)
    assert all(torch.equal(weights.encoder[name], tensor) for name, tensor in whole.encoder.items())
    trained = trained_predictor()
    assert weights.predictor.keys() == trained.keys()
    assert all(torch.equal(weights.predictor[name], tensor) for name, tensor in trained.items())
    assert weights.trained and weights.notice == "" and weights.checkpoint_key == "target_encoder"
    assert weights.hashes == {"encoder": whole.hashes["encoder"], "predictor": part_hash(trained)}
    assert weights.hash() != whole.hash()


def test_that_a_predictor_is_not_used_is_said(tmp_path, predictor):
    assert read_pair(SMALL_CHECKPOINT, predictor).notes == (
        f"{SMALL_CHECKPOINT}: its own predictor is not used, but that of `predictor_checkpoint`",
    )
    assert read_pair(written_encoder(tmp_path / "encoder.safetensors"), predictor).notes == ()


def test_what_is_loaded_computes_with_both(tmp_path, predictor):
    preset = written_preset(tmp_path)
    joined = saved_safetensors(
        tmp_path / "joined.safetensors",
        {"encoder": read(SMALL_CHECKPOINT).encoder, "predictor": trained_predictor()},
    )
    one = vjepa_ros.load(preset, checkpoint=joined)
    two = vjepa_ros.load(preset, checkpoint=SMALL_CHECKPOINT, predictor_checkpoint=predictor)
    assert (two.weights_hash, two.encoder_hash, two.predictor_hash) == (
        one.weights_hash, read(SMALL_CHECKPOINT).hashes["encoder"], part_hash(trained_predictor())
    )  # fmt: skip
    clip, joints = torch.randn(1, 3, 16, 64, 64), torch.randn(1, 8, 7)
    context = one.encode(clip)
    assert torch.equal(two.encode(clip), context)
    assert torch.equal(two.predict(context, joints, joints), one.predict(context, joints, joints))
    own = vjepa_ros.load(preset, checkpoint=SMALL_CHECKPOINT)
    assert not torch.equal(own.predict(context, joints, joints), one.predict(context, joints, joints))


def test_progress_counts_both_files(predictor):
    told: list[tuple[int, int]] = []
    weights = read_pair(SMALL_CHECKPOINT, predictor, on_bytes=lambda *count: told.append(count))
    total = sum(tensor.nbytes for part in (weights.encoder, weights.predictor) for tensor in part.values())
    done = [count[0] for count in told]
    assert len(told) > 10 and done == sorted(done) and told[-1] == (total, total)


# --- The hash of an encoder ------------------------------------------------------------------------------------------


def as_pt(tmp_path: Path, key: str, prefix: str) -> Path:
    content = small_content()["target_encoder"]
    tensors = {prefix + name.removeprefix(ENCODER_PREFIX): tensor for name, tensor in content.items()}
    tensors[f"{prefix}pos_embed"] = torch.ones(1, 128, 64)
    strided = f"{prefix}blocks.0.mlp.fc1.weight"
    tensors[strided] = tensors[strided].t().contiguous().t()
    return saved(tmp_path, {key: tensors, "epoch": 3})


def test_the_same_encoder_in_any_file_is_the_same(tmp_path, predictor, whole):
    files = [Path(SMALL_CHECKPOINT), whole, written_encoder(tmp_path / "encoder.safetensors")]
    expected = read(SMALL_CHECKPOINT).hashes["encoder"]
    with torch.device("meta"):
        module = Encoder(small_config())
    for file in files:
        assert encoder_hash(file, module) == expected and read_pair(file, predictor).trained
    for key, prefix in (("encoder", ""), ("ema_encoder", "module.backbone."), ("target_encoder", "module.module.")):
        file = as_pt(tmp_path, key, prefix)
        assert encoder_hash(file, module) == expected and read_pair(file, predictor).checkpoint_key == key
    assert expected == part_hash(read(SMALL_CHECKPOINT).encoder)


def test_other_weights_and_another_dtype_are_another_encoder(tmp_path, predictor):
    known = read(SMALL_CHECKPOINT).hashes["encoder"]
    with torch.device("meta"):
        module = Encoder(small_config())
    for name, changes in (("other", {"scale": 1.0001}), ("cast", {"dtype": torch.bfloat16})):
        file = written_encoder(tmp_path / f"{name}.safetensors", **changes)
        assert refused(file, predictor) == (
            "predictor_checkpoint",
            f"was trained with the encoder {known[:16]}, but that of {file} is {encoder_hash(file, module)[:16]}; name "
            "the file of its own encoder as `checkpoint`, in the dtype that it was trained with",
        )


def test_the_dtype_that_the_model_runs_in_is_no_other_encoder(tmp_path, predictor):
    wm = vjepa_ros.load(
        written_preset(tmp_path), checkpoint=SMALL_CHECKPOINT, predictor_checkpoint=predictor, dtype="bfloat16"
    )
    assert wm.trained and wm.encoder_hash == read(SMALL_CHECKPOINT).hashes["encoder"]


def test_an_encoder_that_is_damaged_is_not_called_another_one(predictor, whole):
    content = load_file(whole)
    content["encoder.norm.bias"] = content["encoder.norm.bias"] + 1
    saved_safetensors(whole, {"encoder": {k[8:]: v for k, v in content.items() if k.startswith("encoder.")}})
    parameter, reason = refused(whole, predictor)
    assert parameter == "checkpoint" and reason.endswith("was written for, or are damaged")


# --- What does not say with which encoder it was trained -------------------------------------------------------------


def test_without_a_sidecar_nobody_knows(tmp_path, predictor):
    sidecar_path(predictor).unlink()
    says = "does not say which encoder it was trained with: "
    what = "whose sidecar has its `encoder_hash`; vjepa_convert writes both, with `predictor_only`"
    assert refused(SMALL_CHECKPOINT, predictor) == (
        "predictor_checkpoint", f"{says}there is no {sidecar_path(predictor)}, {what}"
    )  # fmt: skip
    alone = saved(tmp_path, {"predictor": small_content()["predictor"]})
    for file in (alone, SMALL_CHECKPOINT):
        assert refused(SMALL_CHECKPOINT, file)[1] == f"{says}it is no .safetensors, {what}"


def test_a_file_of_both_says_it_by_its_own_encoder(tmp_path, whole):
    weights = read_pair(SMALL_CHECKPOINT, whole)
    assert weights.hash() == read(whole).hash()
    other = written_encoder(tmp_path / "other.safetensors", scale=2.0)
    assert refused(other, whole)[1].startswith("was trained with the encoder ")


def test_a_sidecar_of_a_predictor_alone_must_name_its_encoder(predictor):
    path = sidecar_path(predictor)
    written = json.loads(path.read_text())
    assert Sidecar.read(path).encoder_hash == written["parts"]["predictor"]["encoder_hash"]
    for value, reason in (
        (..., "parts has no encoder"),
        ("abc", "parts.predictor.encoder_hash is not a hash, but 'abc'"),
        (None, "parts.predictor.encoder_hash is not a hash, but None"),
    ):
        parts = json.loads(json.dumps(written["parts"]))
        if value is ...:
            del parts["predictor"]["encoder_hash"]
        else:
            parts["predictor"]["encoder_hash"] = value
        path.write_text(json.dumps({**written, "parts": parts}))
        with pytest.raises(CheckpointError) as error:
            Sidecar.read(path)
        assert str(error.value) == f"{path}: {reason}"


def test_a_sidecar_of_both_names_it_once(whole):
    path = sidecar_path(whole)
    content = json.loads(path.read_text())
    content["parts"]["predictor"]["encoder_hash"] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"parts\.predictor\.encoder_hash is not known"):
        Sidecar.read(path)


# --- Files that are none, or other ones ------------------------------------------------------------------------------


def test_parts_in_the_wrong_place_are_told_where_they_belong(tmp_path, predictor):
    encoder = written_encoder(tmp_path / "encoder.safetensors")
    assert refusal(predictor) == (
        "has no names that begin with encoder.; it is a predictor: name it as `predictor_checkpoint`, and its "
        "encoder's file as `checkpoint`"
    )
    assert refused(SMALL_CHECKPOINT, encoder) == (
        "predictor_checkpoint", "has no names that begin with predictor.; it is an encoder: name it as `checkpoint`"
    )  # fmt: skip
    only = saved(tmp_path, {"encoder": small_content()["encoder"]})
    assert refused(SMALL_CHECKPOINT, only)[1] == (
        "has no predictor; it has encoder; it is an encoder: name it as `checkpoint`"
    )


def test_weights_that_are_missing_or_too_many(predictor):
    content = {name.removeprefix("predictor."): tensor for name, tensor in load_file(predictor).items()}
    less = {name: tensor for name, tensor in content.items() if name != "predictor_norm.bias"}
    saved_safetensors(predictor, {"predictor": less})
    assert refused(SMALL_CHECKPOINT, predictor)[1] == "predictor lacks predictor_norm.bias"
    saved_safetensors(predictor, {"predictor": {**content, "colour": torch.ones(1)}})
    assert refused(SMALL_CHECKPOINT, predictor)[1] == "predictor has colour, which this model does not"
    saved_safetensors(predictor, {"predictor": {**content, "predictor_norm.bias": torch.ones(1)}})
    assert "predictor_norm.bias has shape (1,), but" in refused(SMALL_CHECKPOINT, predictor)[1]


def test_other_sizes_are_refused_by_the_predictors_sidecar(predictor):
    heads = small_config(predictor_heads=4)  # which show in no shape
    assert refused(SMALL_CHECKPOINT, predictor, config=heads) == (
        "predictor_checkpoint", "was made for predictor_heads 2, but the configuration says 4"
    )  # fmt: skip


def test_the_encoders_sidecar_is_asked_about_its_encoder_only(tmp_path, predictor, whole):
    content = json.loads(sidecar_path(whole).read_text())
    content["sizes"] |= {"predictor_depth": 9, "action_dim": 3, "num_frames": 8, "image_size": [32, 32]}
    content["convention"] |= {"actions.reduction": "sum", "encoding": "frame_repeat", "preprocessing": "eval"}
    sidecar_path(whole).write_text(json.dumps(content))
    assert read_pair(whole, predictor).notes[1:] == (
        "encoding: the encoder's sidecar says 'frame_repeat', and the predictor was trained with 'clip', which counts",
        "preprocessing: the encoder's sidecar says 'eval', and the predictor was trained with 'square', which counts",
    )
    content["sizes"]["encoder_heads"] = 2
    sidecar_path(whole).write_text(json.dumps(content))
    assert refused(whole, predictor) == (
        "checkpoint", "was made for encoder_heads 2, but the configuration says 1"
    )  # fmt: skip


def test_weights_that_the_sidecar_was_not_written_for(predictor):
    data = bytearray(predictor.read_bytes())
    data[-1] ^= 1
    predictor.write_bytes(data)
    assert refused(SMALL_CHECKPOINT, predictor)[1] == (
        f"these are not the weights that {sidecar_path(predictor)} was written for, or are damaged"
    )


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_truncated(tmp_path, predictor, kept):
    os.truncate(predictor, int(predictor.stat().st_size * kept))
    parameter, reason = refused(SMALL_CHECKPOINT, predictor)
    assert parameter == "predictor_checkpoint"
    assert reason.startswith("is a truncated or damaged safetensors file (")


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "lost.safetensors").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.safetensors").symlink_to(tmp_path / "loop.safetensors")
    for name, reason in (
        ("none", "there is no such file"),
        ("pipe", "is a pipe, a socket or a device, not a file"),
        ("folder", "is a folder, not a file"),
        ("lost", "there is no such file"),
        ("loop", "cannot be read (Too many levels of symbolic links)"),
    ):
        assert refused(SMALL_CHECKPOINT, tmp_path / f"{name}.safetensors") == ("predictor_checkpoint", reason)


def test_links_lead_to_both_files_or_to_none(tmp_path, predictor):
    link = tmp_path / "links" / "mine.safetensors"
    link.parent.mkdir()
    link.symlink_to(predictor)
    assert f"there is no {sidecar_path(link)}" in refused(SMALL_CHECKPOINT, link)[1]
    sidecar_path(link).symlink_to(sidecar_path(predictor))
    assert read_pair(SMALL_CHECKPOINT, link).hash() == read_pair(SMALL_CHECKPOINT, predictor).hash()


@pytest.mark.parametrize("changes", ["checkpoint", "predictor_checkpoint"])
@pytest.mark.parametrize("at", ["the start", "the end"])
def test_a_file_that_changes_while_the_two_are_read_is_refused(tmp_path, predictor, changes, at):
    encoder = written_encoder(tmp_path / "encoder.safetensors")
    path, calls = {"checkpoint": encoder, "predictor_checkpoint": predictor}[changes], 0

    def on_bytes(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1 if at == "the start" else done == total:
            with path.open("r+b") as file:
                file.seek(path.stat().st_size // 2)
                file.write(b"\x3c" * 1000)

    wanted = (changes, "was changed while it was read: load it again once it is whole")
    assert refused(encoder, predictor, on_bytes=on_bytes) == wanted
