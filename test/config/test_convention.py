"""Weights that were trained with another convention than the configuration's are refused, or run with a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vjepa_ros
from vjepa_ros.commands.convert import main as convert
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.config.sidecar import CONVENTION
from vjepa_ros.errors import ConfigError

DATA = Path(__file__).parents[1] / "data" / "reference"
JOINTS = [f"joint{index}" for index in range(7)]
TRAINED = [
    "context_steps=3", "frame_rate=4.0", "actions.phase=last", f"joint_names={json.dumps(JOINTS)}",
    "actions.mean=[1,2,3,4,5,6,7]",
]  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted weights whose sidecar says what they were trained with."""
    out = tmp_path_factory.mktemp("weights") / "trained.safetensors"
    preset = out.with_suffix(".yaml")
    lines = (
        DATA / "small_ac.yaml"
    ).read_text() + "frame_rate: 0.0\nhop: 2\nactions.reduction: pick\nactions.phase: first\n"
    seen: dict[str, str] = {line.split(":")[0]: line for line in lines.splitlines() if ":" in line}
    preset.write_text("\n".join(seen.values()) + "\n")
    assert convert([str(DATA / "small_ac.pt"), str(out), "--preset", str(preset), "--set", *TRAINED]) == 0
    return out


def configured(weights: Path, **changes: Any) -> NodeConfig:
    values = {
        "preset": str(weights.with_suffix(".yaml")), "checkpoint": str(weights), "joint_names": JOINTS,
        "frame_rate": 4.0, "actions.phase": "last", "context_steps": 3,
    }  # fmt: skip
    return resolve({**values, **changes})


def test_the_same_convention_is_accepted_and_the_normalisation_taken_over(weights: Path) -> None:
    config = configured(weights)
    assert config.convention_warnings == ()
    assert config.normalization.actions.mean == (1, 2, 3, 4, 5, 6, 7)
    assert config.normalization.states.mean == (0,) * 7
    assert configured(weights, **{"actions.mean": [9.0] * 7}).normalization.actions.mean == (9,) * 7, (
        "who sets it knows better"
    )


def test_a_rollout_advances_states_as_the_weights_were_trained(weights: Path) -> None:
    wm = vjepa_ros.load(str(weights.with_suffix(".yaml")), checkpoint=str(weights), context_steps=3)
    assert wm.state_model.change == "target"
    assert wm.normalization.actions.mean == (1, 2, 3, 4, 5, 6, 7)
    assert wm.normalization.states.mean == (0,) * 7


@pytest.mark.parametrize(
    ("name", "value", "trained"),
    [
        ("context_steps", 4, "3"),
        ("encoding", "frame_repeat", "'clip'"),
        ("preprocessing", "eval", "'square'"),
        ("frame_rate", 5.0, "4.0"),
        ("actions.phase", "first", "'last'"),
        ("actions.reduction", "difference", "'pick'"),
        ("actions.alignment", "linear", "'hold'"),
        ("joint_names", JOINTS[::-1], repr(JOINTS)),
        ("states.source", "none", "'joint_states'"),
        ("states.alignment", "nearest", "'hold'"),
        ("state_names", JOINTS[::-1], repr(JOINTS)),
    ],
)
def test_another_convention_is_refused_with_both_sides_or_run_with_a_warning(
    weights: Path, name: str, value: Any, trained: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        configured(weights, **{name: value})
    assert refused.value.parameter == name
    assert f"trained with {trained}, the configuration says {value!r}" in refused.value.reason
    assert "override_convention: true" in refused.value.reason
    warnings = configured(weights, **{name: value, "override_convention": True}).convention_warnings
    assert len(warnings) == (2 if name == "joint_names" else 1), "the states are read from the same joints"
    assert warnings[0] == f"{name}: the weights were trained with {trained}, the configuration says {value!r}"


def test_every_difference_is_named(weights: Path) -> None:
    with pytest.raises(ConfigError, match="frame_rate.*; actions.phase: .*'last'.*'first'"):
        configured(weights, **{"frame_rate": 0.0, "actions.phase": "first"})


def test_a_broken_sidecar_is_named(weights: Path, tmp_path: Path) -> None:
    broken = tmp_path / "weights.safetensors"
    broken.write_bytes(weights.read_bytes())
    broken.with_suffix(".json").write_text("{")
    with pytest.raises(ConfigError, match="checkpoint: .*cannot be read as a sidecar"):
        configured(weights, checkpoint=str(broken))


def test_every_part_of_the_convention_is_tried_here() -> None:
    marks = test_another_convention_is_refused_with_both_sides_or_run_with_a_warning.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in marks[0].args[1]} | {"actions.tail"} == set(CONVENTION)


def test_the_other_way_round_too_and_what_the_tail_was(tmp_path: Path) -> None:
    out = tmp_path / "sums.safetensors"
    preset = tmp_path / "sums.yaml"
    streams = "frame_rate: 4.0\nhop: 2\nactions.reduction: sum\nactions.phase: first\nactions.tail: zero\n"
    lines = [line for line in (DATA / "small_ac.yaml").read_text().splitlines() if not line.startswith("actions.")]
    preset.write_text("\n".join(lines) + "\n" + streams)
    assert convert([str(DATA / "small_ac.pt"), str(out), "--preset", str(preset)]) == 0
    same = {"preset": str(preset), "checkpoint": str(out), "joint_names": JOINTS}
    assert resolve(same).convention_warnings == ()
    for name, value in (("actions.tail", "hold"), ("actions.phase", "last")):
        with pytest.raises(ConfigError) as refused:
            resolve({**same, name: value})
        assert refused.value.parameter == name


def test_names_written_out_are_the_names_left_out(weights: Path) -> None:
    assert configured(weights, state_names=JOINTS).convention_warnings == ()


def test_a_home_folder_is_understood(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(weights.parent))
    assert configured(weights, checkpoint=f"~/{weights.name}").normalization.actions.mean == (1, 2, 3, 4, 5, 6, 7)
    with pytest.raises(ConfigError, match="actions.phase"):
        configured(weights, checkpoint=f"~/{weights.name}", **{"actions.phase": "first"})


@pytest.mark.parametrize("value", [["a"], 3, None, [float("nan")], [True]])
def test_a_normalisation_that_is_none_is_named(weights: Path, tmp_path: Path, value: Any) -> None:
    copy = tmp_path / "weights.safetensors"
    copy.write_bytes(weights.read_bytes())
    content = json.loads(weights.with_suffix(".json").read_text())
    content["normalization"]["states.std"] = value
    copy.with_suffix(".json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="normalization.states.std is not a list of finite numbers"):
        configured(weights, checkpoint=str(copy))
