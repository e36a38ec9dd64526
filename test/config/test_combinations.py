"""Parameters that make sense one by one, and not together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.configurations import JOINTS, preset_file, refused

from vjepa_ros.config.node import resolve

NOT_ROLLED_OUT: list[tuple[dict[str, Any], str, str]] = [
    ({"state_names": JOINTS[::-1]}, "state_names", "a rollout advances the state by the commands"),
    ({"states.field": "velocity"}, "states.field", "position commands say nothing about velocity"),
    ({"state_names": ["a", "b"], "state_dim": 2}, "state_names", "a rollout advances the state by the commands"),
    (
        {"actions.reduction": "pose_delta", "states.source": "commands"}, "states.source",
        "commands as states are a step behind pose differences",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "parameter", "said"),
    [
        ({"joint_names": []}, "joint_names", "names 0 joints, but action_dim is 7"),
        ({"joint_names": JOINTS[:6]}, "joint_names", "names 6 joints, but action_dim is 7"),
        ({"joint_names": [*JOINTS[:6], JOINTS[0]]}, "joint_names", "a joint twice"),
        ({"action_dim": 6}, "joint_names", "names 7 joints, but action_dim is 6"),
        ({"state_dim": 8}, "joint_names", "names 7 joints, but state_dim is 8"),
        ({"state_names": JOINTS[:3]}, "state_names", "names 3 joints, but state_dim is 7"),
        ({"state_names": ["a", "a"], "state_dim": 2}, "state_names", "a joint twice"),
        ({"hop": 3}, "hop", "not a positive multiple of the 2 frames"),
        ({"hop": -2}, "hop", "less than 0"),
        ({"frame_rate": -4.0}, "frame_rate", "-4.0"),
        ({"frame_rate": 4.0, "window.max_gap_s": 0.1}, "window.max_gap_s", "shorter than a sampling period"),
        ({"image_size": [64, 65]}, "image_size", "multiple of patch_size 16"),
        ({"image_size": [64]}, "image_size", "[64]"),
        ({"num_frames": 15}, "num_frames", "15 frames"),
        ({"encoder_heads": 5}, "encoder_heads", "do not divide"),
        ({"mlp_ratio": -2.0}, "mlp_ratio", "-2.0"),
        ({"latents.horizon": 0}, "latents.horizon", "less than 1"),
        # what cannot be rolled out is refused where it is asked for, and only there: see below
        *((values | {"latents.horizon": 2}, parameter, said) for values, parameter, said in NOT_ROLLED_OUT),
        ({"preset": "huge"}, "preset", "'huge' is not one of"),
        ({"preset": "no_such_file.yaml"}, "preset", "no file"),
    ],
)
def test_combinations_that_make_no_sense(values: dict[str, Any], parameter: str, said: str) -> None:
    error = refused(values)
    assert error.parameter == parameter
    assert said in error.reason


@pytest.mark.parametrize(("values", "parameter", "said"), NOT_ROLLED_OUT)
def test_without_a_state_model_there_is_one_forecast(values: dict[str, Any], parameter: str, said: str) -> None:
    config = resolve({"joint_names": JOINTS, **values})
    assert config.state_change is None and config.no_state_change is not None
    assert config.no_state_change.parameter == parameter
    assert "or set latents.horizon: 1" in refused(values | {"latents.horizon": 2}).reason


def test_the_horizon_and_its_state_model() -> None:
    config = resolve({"joint_names": JOINTS, "latents.horizon": 4, "states.std": [2.0] * 7})
    assert config.stream.horizon == 4
    assert (config.state_change, config.no_state_change) == ("target", None)
    assert config.normalization.states.std == (2.0,) * 7


def test_states_may_be_fewer_than_actions() -> None:
    config = resolve({"joint_names": JOINTS, "state_names": ["a", "b"], "state_dim": 2})
    assert config.stream.states.joint_names == ("a", "b")
    assert (config.model.action_dim, config.model.state_dim) == (7, 2)


@pytest.mark.parametrize(
    ("changes", "parameter", "said"),
    [
        ({"hop": "two"}, "hop", "must be int"),
        ({"hops": 2}, "hops", "no such parameter"),
        ({"hop": [2]}, "hop", "must be int"),
        ({"frame_rate": 2000.0}, "frame_rate", "more than 1000"),
        ({"hop": None}, "hop", "neither set nor in the preset"),
        ({"encoder_dim": None}, "encoder_dim", "neither set nor in the preset"),
        ({"actions.timeout_s": 5.0}, "actions.timeout_s", "cannot be set by a preset"),  # it would be ignored
        ({"preset": "tiny_random"}, "preset", "cannot be set by a preset"),
    ],
)
def test_presets_that_make_no_sense(tmp_path: Path, changes: dict[str, Any], parameter: str, said: str) -> None:
    error = refused({"preset": preset_file(tmp_path, **changes)})
    assert error.parameter == parameter
    assert said in error.reason
