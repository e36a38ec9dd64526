"""The converter and files of one part: a checkpoint is split into two, two are joined, and a pair stays a pair."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.conversions import CHECKPOINT, loaded, run, written_preset
from support.folders import FEW, Folder
from support.pairs import trained_predictor, written_encoder, written_predictor

import vjepa_ros
from vjepa_ros.config.node import resolve
from vjepa_ros.config.sidecar import Sidecar, sidecar_path
from vjepa_ros.conversion import Recorded, record
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.weights.values import part_hash


@pytest.fixture
def preset(tmp_path: Path) -> str:
    return written_preset(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for the output."""
    (tmp_path / "output").mkdir()
    return tmp_path / "output"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    capsys.readouterr()
    assert run(*arguments) == 1
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vjepa_convert: ")]
    return sentence.removeprefix("vjepa_convert: ")


def pair(encoder: Path, predictor: Path, preset: str, dtype: str = "float32") -> WorldModel:
    return vjepa_ros.load(preset, checkpoint=encoder, predictor_checkpoint=predictor, dtype=dtype, fast=False)


def outputs(model: WorldModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    clip = torch.randn(1, 3, 16, 64, 64, generator=generator)
    actions, states = torch.randn(2, 1, 8, 7, generator=generator)
    latents = model.encode(clip)
    return torch.cat([latents, model.predict(latents, actions, states)])


def test_a_checkpoint_is_split_and_joined_again(folder, preset, capsys):
    encoder, predictor, joined, whole = (folder / f"{name}.safetensors" for name in ("e", "p", "joined", "whole"))
    settings = ("--set", "actions.phase=last", "actions.std=[2,2,2,2,2,2,2]")
    assert run(CHECKPOINT, encoder, "--preset", preset, "--encoder-only") == 0
    assert run(CHECKPOINT, predictor, "--preset", preset, "--predictor-only", *settings) == 0
    assert ": 0.6 MB, predictor of small_ac.pt (target_encoder) in float32; loads" in capsys.readouterr().out
    assert all(name.startswith("predictor.") for name in load_file(predictor))
    source, two = loaded(CHECKPOINT, preset, fast=False), pair(encoder, predictor, preset)
    assert torch.equal(outputs(pair(encoder, predictor, preset)), outputs(pair(CHECKPOINT, predictor, preset)))
    assert two.weights_hash == source.weights_hash and two.trained
    assert two.normalization.actions.std == (2.0,) * 7

    # What is joined has the convention of the predictor, whatever the preset says.
    assert run(encoder, joined, "--preset", preset, "--predictor-checkpoint", predictor) == 0
    assert run(CHECKPOINT, whole, "--preset", preset, *settings) == 0
    assert joined.read_bytes() == whole.read_bytes()
    mine, wanted = (Sidecar.read(sidecar_path(path)) for path in (joined, whole))
    assert (mine.sizes, mine.convention, mine.normalization) == (wanted.sizes, wanted.convention, wanted.normalization)
    assert mine.convention["actions.phase"] == "last" and mine.parts == wanted.parts
    assert torch.equal(outputs(loaded(joined, preset, fast=False)), outputs(two))


def test_what_the_sidecar_of_a_predictor_says(folder, preset):
    out = folder / "p.safetensors"
    assert run(CHECKPOINT, out, "--preset", preset, "--predictor-only", "--dtype", "bfloat16") == 0
    sidecar, source = Sidecar.read(sidecar_path(out)), loaded(CHECKPOINT, preset)
    assert sidecar.parts.keys() == {"predictor"} and sidecar.dtype == "bfloat16"
    assert sidecar.encoder_hash == sidecar.parts["predictor"]["encoder_hash"] == source.encoder_hash
    stored = {name.removeprefix("predictor."): tensor for name, tensor in load_file(out).items()}
    assert sidecar.parts["predictor"]["hash"] == part_hash(stored)
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    two, one = pair(CHECKPOINT, out, preset, "bfloat16"), loaded(CHECKPOINT, preset, "bfloat16", fast=False)
    assert torch.equal(outputs(two), outputs(one))


def test_what_is_recorded_of_a_configuration_is_what_the_converter_records(preset):
    """Whoever trains has the parameters of a node, and writes the same sidecar."""
    joints = [f"joint{index}" for index in range(7)]
    config = resolve({"preset": preset, "joint_names": joints, "actions.phase": "last", "threads": 1})
    of_node = Recorded.of(config.model, config.parameters)
    assert of_node == record(preset, {"joint_names": joints, "actions.phase": "last"})
    assert of_node.made_for.convention["actions.phase"] == "last"


def test_another_encoder_is_not_joined(tmp_path, folder, preset, capsys):
    predictor, out = written_predictor(tmp_path), folder / "joined.safetensors"
    other = written_encoder(tmp_path / "other.safetensors", scale=2.0)
    said = refused(capsys, other, out, "--preset", preset, "--predictor-checkpoint", predictor)
    assert said.startswith(f"{predictor}: was trained with the encoder ")
    assert f"but that of {other} is " in said and "as CHECKPOINT" in said
    assert list(folder.iterdir()) == []


def test_a_predictor_of_its_own_pt_file_is_paired_by_ones_word(tmp_path, folder, preset, capsys):
    """What others publish: no sidecar, no encoder. Who knows which one it was says so once."""
    alone, out = tmp_path / "alone.pt", folder / "p.safetensors"
    torch.save({"predictor": trained_predictor(), "epoch": 3}, alone)
    says = refused(capsys, alone, out, "--preset", preset, "--predictor-only")
    assert says.startswith(f"{alone}: has no target_encoder or ema_encoder or encoder; it has predictor, epoch")
    said = refused(capsys, CHECKPOINT, out, "--preset", preset, "--predictor-checkpoint", alone)
    assert said.endswith("vjepa_convert writes both, with --predictor-only")
    assert run(alone, out, "--preset", preset, "--predictor-only", "--trained-with", CHECKPOINT) == 0
    model = pair(CHECKPOINT, out, preset)
    assert model.predictor_hash == part_hash(trained_predictor()) and model.trained
    assert Sidecar.read(sidecar_path(out)).source["file"] == "alone.pt"


def test_auto_is_told_by_the_encoder_that_it_was_trained_with(tmp_path, folder, capsys):
    """Its config.json lies beside that one, wherever the predictor does."""
    hub, alone, out = Folder(tmp_path / "hub").path, tmp_path / "alone.pt", folder / "p.safetensors"
    few = {**FEW, "image_size": [64, 64], "num_frames": 4}
    drawn = vjepa_ros.load("auto", checkpoint=hub, random_predictor=True, fast=False, **few)
    torch.save({"predictor": {n: p.detach() for n, p in drawn.predictor.named_parameters()}}, alone)
    settings = [f"{name}={value}" for name, value in few.items()]
    given = (alone, out, "--preset", "auto", "--predictor-only", "--set", *settings)
    assert "config.json" in refused(capsys, *given), "nothing lies beside the predictor"
    assert run(*given, "--trained-with", hub) == 0
    sidecar = Sidecar.read(sidecar_path(out))
    assert (sidecar.preset, sidecar.encoder_hash) == ("vitl", drawn.encoder_hash)


def test_ones_word_does_not_stand_against_a_sidecars(tmp_path, folder, preset, capsys):
    predictor, out = written_predictor(tmp_path), folder / "p.safetensors"
    other = written_encoder(tmp_path / "other.safetensors", scale=2.0)
    arguments = (predictor, out, "--preset", preset, "--predictor-only", "--trained-with")
    assert "was trained with the encoder" in refused(capsys, *arguments, other)
    assert run(*arguments, CHECKPOINT) == 0


def test_options_that_do_not_go_together(tmp_path, folder, preset, capsys):
    predictor, out = written_predictor(tmp_path), folder / "out.safetensors"
    for options in (
        ("--encoder-only", "--predictor-only"),
        ("--encoder-only", "--predictor-checkpoint", predictor),
        ("--predictor-only", "--predictor-checkpoint", predictor),
    ):
        with pytest.raises(SystemExit) as error:
            run(CHECKPOINT, out, "--preset", preset, *options)
        assert error.value.code == 2
    said = refused(capsys, CHECKPOINT, out, "--preset", preset, "--trained-with", CHECKPOINT)
    assert said == "--trained-with: says something of a predictor alone: it goes with --predictor-only"
    assert list(folder.iterdir()) == []


def test_no_input_is_ever_replaced(tmp_path, preset, capsys):
    predictor = written_predictor(tmp_path)
    before = predictor.read_bytes()
    for arguments in (
        (CHECKPOINT, predictor, "--predictor-checkpoint", predictor),
        (predictor, predictor, "--predictor-only", "--trained-with", CHECKPOINT),
    ):
        said = refused(capsys, *arguments, "--preset", preset, "--force")
        assert said == f"{predictor}: is the checkpoint itself; give the output another name"
    assert predictor.read_bytes() == before
