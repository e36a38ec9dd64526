"""vjepa_replay and vjepa_probe with an encoder and a predictor in files of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import bags, conversions, replays
from support.checkpoint_files import read, saved_safetensors
from support.pairs import trained_predictor, written_encoder, written_predictor

from vjepa_ros.commands import probe
from vjepa_ros.weights.values import part_hash

SAMPLE = bags.sample()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short recording (``bag``), a preset, an encoder, its predictor, another encoder, and both parts in one file."""
    folder = tmp_path_factory.mktemp("pair")
    end_ns = SAMPLE[0].received_ns + 5 * bags.S
    bags.write(folder / "bag", [message for message in SAMPLE if message.received_ns < end_ns])
    conversions.written_preset(folder)
    written_predictor(folder)
    encoder = read(written_encoder(folder / "encoder.safetensors"), predictor_seed=0).encoder
    written_encoder(folder / "other.safetensors", scale=2.0)
    saved_safetensors(folder / "joined.safetensors", {"encoder": encoder, "predictor": trained_predictor()})
    return folder


def settings(folder: Path, **files: str) -> list[str]:
    named = [f"{name}={folder / file}" for name, file in files.items()]
    return ["--set", f"preset={folder / 'mine.yaml'}", "frame_rate=4", *named]


def test_a_replay_of_two_files_is_that_of_one_with_both(folder: Path, tmp_path: Path) -> None:
    of_two = settings(folder, checkpoint="encoder.safetensors", predictor_checkpoint="predictor.safetensors")
    of_one = settings(folder, checkpoint="joined.safetensors")
    for name, given in (("two", of_two), ("one", of_one)):
        assert replays.run(folder / "bag", "-o", tmp_path / name, *given) == 0
    two, one = (replays.report(tmp_path / name) for name in ("two", "one"))
    assert two["counts"]["windows"] > 0 and two["sha256"] == one["sha256"]
    assert (two["encoder_hash"], two["predictor_hash"]) == (one["encoder_hash"], one["predictor_hash"])
    assert two["predictor_hash"] == part_hash(trained_predictor())
    assert two["encoder_hash"] == read(conversions.CHECKPOINT).hashes["encoder"]
    assert two["info_id"] == one["info_id"], "the same weights and the same convention, wherever they stand"
    assert two["parameters"]["predictor_checkpoint"] == str(folder / "predictor.safetensors")


def test_the_report_of_windows_alone_has_no_hashes(folder: Path, tmp_path: Path) -> None:
    of_two = settings(folder, checkpoint="encoder.safetensors", predictor_checkpoint="predictor.safetensors")
    assert replays.run(folder / "bag", "-o", tmp_path / "out", "--windows-only", *of_two) == 0
    report = replays.report(tmp_path / "out")
    assert report["encoder_hash"] is report["predictor_hash"] is None


def test_a_probe_takes_them_too(folder: Path, tmp_path: Path) -> None:
    given: list[Any] = ["--params", replays.PARAMS, *replays.ONE_THREAD, "--windows", 1, "--points", 3, "--no-picture"]
    of_two = settings(folder, checkpoint="encoder.safetensors", predictor_checkpoint="predictor.safetensors")
    assert probe.main([*map(str, (folder / "bag", "-o", tmp_path / "out", *given, *of_two))]) == 0
    info = json.loads((tmp_path / "out" / "probe.json").read_text(encoding="utf-8"))["latent_info"]
    assert info["trained"] and info["predictor_hash"] == part_hash(trained_predictor())


def test_another_encoder_is_refused_and_nothing_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = settings(folder, checkpoint="other.safetensors", predictor_checkpoint="predictor.safetensors")
    assert replays.run(folder / "bag", "-o", tmp_path / "out", *given) == 1
    sentence = capsys.readouterr().err.splitlines()[-1]
    predictor = folder / "predictor.safetensors"
    said = f"vjepa_replay: predictor_checkpoint: {predictor}: was trained with the encoder "
    assert sentence.startswith(said) and f"but that of {folder / 'other.safetensors'} is " in sentence
    assert list(tmp_path.iterdir()) == []
