"""The tables of a fleet are trained on as their recordings are: the same runs, and the latents that are there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import fleets, trainings

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import BagError, ConfigError
from vjepa_ros.fleet import running
from vjepa_ros.fleet.store import Store
from vjepa_ros.training import fleet_tables, stages
from vjepa_ros.training.data import prepare
from vjepa_ros.training.latents import latents_key
from vjepa_ros.training.plan import Plan
from vjepa_ros.training.runs import Dataset

ENCODINGS: dict[str, dict[str, Any]] = {"clip": {}, "tubelet": {"encoding": "tubelet"}}


def model_of(values: dict[str, Any]) -> WorldModel:
    sizes = {name: value for name, value in {**trainings.SMALL, **values}.items() if name != "hop"}
    return vjepa_ros.load("tiny_random", fast=False, **sizes)


def fleet(folder: Path, values: dict[str, Any], **options: Any) -> Path:
    """Of two recordings, which lie in ``bags``."""
    if not (folder / "bags").exists():
        fleets.recordings(folder / "bags")
    out = folder / "fleet"
    running.run(fleets.plan(out, folder / "bags", values={"hop": 2, **values}, **options))
    return out


def datasets(asked: Plan, model: WorldModel) -> tuple[Any, tuple[Dataset, Dataset]]:
    with stages.entered(asked.folder, asked.out) as folder:
        data = prepare(asked, folder)
        return data, data.datasets(model, model.encoder_hash, folder)


@pytest.mark.parametrize("name", ENCODINGS)
def test_runs_and_latents_are_those_of_the_recordings(tmp_path: Path, name: str) -> None:
    values, model = ENCODINGS[name], model_of(ENCODINGS[name])
    out = fleet(tmp_path, values)
    for where in ("tables", "bags_too"):
        (tmp_path / where).mkdir()
    asked = fleet_tables.expanded(Plan([out], {}, tmp_path / "tables" / "model.safetensors"))
    bags = [tmp_path / "bags" / bag for bag in ("bag0", "bag1")]
    own = trainings.plan(tmp_path / "bags_too", bags, {**trainings.SMALL, **values})
    (data, tables), (other, recordings) = datasets(asked, model), datasets(own, model)
    assert len(data.material.runs) == len(other.material.runs) == 3, "one has a gap"
    for run, same in zip(data.material.runs, other.material.runs, strict=True):
        assert (run.recording, run.first_row) == (same.recording, same.first_row)
        for field in ("stamps_ns", "actions", "states"):
            np.testing.assert_array_equal(getattr(run, field), getattr(same, field))
    assert [row.path for row in data.survey.recordings] == [str(bag) for bag in bags]
    assert data.survey.windows == other.survey.windows and data.survey.moving == other.survey.moving
    for mine, theirs in zip(tables, recordings, strict=True):
        assert mine.rows.shape == theirs.rows.shape
        difference = (mine.rows.float() - theirs.rows.float()).abs()
        print(name, float(difference.max()), float(difference.mean()))
        torch.testing.assert_close(mine.rows.float(), theirs.rows.float(), rtol=2**-7, atol=1e-3)  # one of bfloat16
    assert data.clips is None
    keys = {latents_key(one.material, model.config, model.encoder_hash, model.dtype) for one in (data, other)}
    assert len(keys) == 2, "what was read from tables is not taken for what was read from recordings"


def test_what_the_tables_do_not_fit_is_refused(tmp_path: Path) -> None:
    out = fleet(tmp_path, {"encoding": "tubelet"})
    with pytest.raises(ConfigError, match="^bags: .*is a folder of vjepa_fleet: train on one such folder, or on bags"):
        fleet_tables.expanded(Plan([out, tmp_path / "bags" / "bag0"], {}, tmp_path / "model.safetensors"))
    for values, parameter in (({"frame_rate": 5.0}, "frame_rate"), ({"image_size": [32, 32]}, "image_size")):
        asked = fleet_tables.expanded(Plan([out], values, tmp_path / "model.safetensors"))
        with pytest.raises(ConfigError, match="is not what the tables were made with") as raised:
            trainings.prepared(asked)
        assert raised.value.parameter == parameter
    asked = fleet_tables.expanded(Plan([out], {}, tmp_path / "model.safetensors"))
    with stages.entered(asked.folder, asked.out) as folder:
        data = prepare(asked, folder)
        with pytest.raises(ConfigError, match=r"has an encoder with the hash other, and the tables have latents of"):
            data.datasets(model_of({"encoding": "tubelet"}), "other", folder)
        with pytest.raises(ConfigError, match="needs frames"):
            data.frames(folder)


def test_tables_with_too_little_in_them_are_refused(tmp_path: Path) -> None:
    for options, values, said in (
        ({"kept_steps": 1}, {"encoding": "tubelet"}, "has 1 steps of each window's context, and training needs 4"),
        ({}, {"hop": 4}, "hop: was 4 when the tables were made"),
    ):
        out = fleet(tmp_path, values, force=True, **options)  # type: ignore[arg-type]
        with pytest.raises((BagError, ConfigError), match=said):
            trainings.prepared(fleet_tables.expanded(Plan([out], {}, tmp_path / "model.safetensors")))


def test_a_recording_is_held_back_by_the_place_where_it_lay(tmp_path: Path) -> None:
    out, bag = fleet(tmp_path, {}), tmp_path / "bags" / "bag0"
    asked = fleet_tables.expanded(Plan([out], {}, tmp_path / "model.safetensors", hold_back=[bag]))
    names = Store(out).names()
    assert [path.name for path in asked.hold_back] == [f"recording={names[0]}"]
    assert json.loads((asked.hold_back[0] / "_report.json").read_text())["recording"] == str(bag)


def test_a_content_is_trained_on_once(tmp_path: Path) -> None:
    out, said = fleet(tmp_path, {}), []
    shutil.copytree(tmp_path / "bags" / "bag1", tmp_path / "bags" / "copy")
    fleet(tmp_path, {})
    asked = fleet_tables.expanded(Plan([out], {}, tmp_path / "model.safetensors"), said.append)
    names = [path.name.partition("=")[2].rpartition("-")[0] for path in asked.bags]
    assert names == ["bag0", "bag1"] and len(Store(out).names()) == 3
    assert said == ["1 recordings have the same in them as another one, and are left out"]
    held = [tmp_path / "bags" / "copy"]
    asked = fleet_tables.expanded(Plan([out], {}, tmp_path / "model.safetensors", hold_back=held), said.append)
    assert [path.name.partition("=")[2].rpartition("-")[0] for path in asked.bags] == ["bag0", "copy"]
    assert list(asked.hold_back) == [asked.bags[1]] and len(asked.recordings) == 2
