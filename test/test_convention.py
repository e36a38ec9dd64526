"""Weights that were trained with another convention than the configuration's are refused, or run with a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vjepa_ros
from vjepa_ros.convert import main as convert
from vjepa_ros.errors import ConfigError
from vjepa_ros.node_config import NodeConfig, resolve

DATA = Path(__file__).parent / "data" / "reference"
JOINTS = [f"joint{index}" for index in range(7)]
TRAINED = ["frame_rate=4.0", "actions.phase=last", f"joint_names={json.dumps(JOINTS)}", "actions.mean=[1,2,3,4,5,6,7]"]


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
        "frame_rate": 4.0, "actions.phase": "last",
    }  # fmt: skip
    return resolve({**values, **changes})


def test_the_same_convention_is_accepted_and_the_normalisation_taken_over(weights: Path) -> None:
    config = configured(weights)
    assert config.convention_warnings == ()
    assert config.actions.mean == (1, 2, 3, 4, 5, 6, 7)
    assert config.states.mean == (0,) * 7
    assert configured(weights, **{"actions.mean": [9.0] * 7}).actions.mean == (9,) * 7, "who sets it knows better"


def test_a_rollout_advances_states_as_the_weights_were_trained(weights: Path) -> None:
    wm = vjepa_ros.load(str(weights.with_suffix(".yaml")), checkpoint=str(weights))
    assert wm.state_model.kind == "target"
    assert wm.state_model.actions.mean == (1, 2, 3, 4, 5, 6, 7)
    assert wm.state_model.states.mean == (0,) * 7


@pytest.mark.parametrize(
    ("name", "value", "trained"),
    [
        ("encoding", "frame_repeat", "'clip'"),
        ("preprocessing", "eval", "'square'"),
        ("frame_rate", 5.0, "4.0"),
        ("actions.phase", "first", "'last'"),
        ("actions.reduction", "difference", "'pick'"),
        ("actions.alignment", "linear", "'hold'"),
        ("joint_names", JOINTS[::-1], repr(JOINTS)),
        ("states.source", "none", "'joint_states'"),
        ("states.alignment", "nearest", "'hold'"),
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
    (warning,) = configured(weights, **{name: value, "override_convention": True}).convention_warnings
    assert warning == f"{name}: the weights were trained with {trained}, the configuration says {value!r}"


def test_every_difference_is_named(weights: Path) -> None:
    with pytest.raises(ConfigError, match="frame_rate.*; actions.phase: .*'last'.*'first'"):
        configured(weights, **{"frame_rate": 0.0, "actions.phase": "first"})


def test_a_broken_sidecar_is_named(weights: Path, tmp_path: Path) -> None:
    broken = tmp_path / "weights.safetensors"
    broken.write_bytes(weights.read_bytes())
    broken.with_suffix(".json").write_text("{")
    with pytest.raises(ConfigError, match="checkpoint: .*cannot be read as a sidecar"):
        configured(weights, checkpoint=str(broken))
