"""Configurations that make no sense are refused, each by the name of the parameter at fault."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from support.builders import signal_config, stream_config

from vjepa_ros.config.checks import require
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.errors import ConfigError, VjepaError
from vjepa_ros.units import to_ns

MODEL = ModelConfig(
    preset="test", image_size=(32, 48), patch_size=16, tubelet_size=2, num_frames=16, encoder_dim=64, encoder_depth=2,
    encoder_heads=2, mlp_ratio=4.0, predictor_dim=48, predictor_depth=2, predictor_heads=3, action_dim=7, state_dim=7,
    encoding="clip", preprocessing="square",
)  # fmt: skip
STREAM = stream_config(frame_rate_hz=4.0, max_gap_s=0.625)
NAN, INF = float("nan"), float("inf")
POSE = signal_config(names=tuple("xyzabcg"))

WHOLE_NUMBERS = [
    "patch_size", "tubelet_size", "num_frames", "encoder_dim", "encoder_depth", "encoder_heads", "predictor_dim",
    "predictor_depth", "predictor_heads", "action_dim", "state_dim",
]  # fmt: skip


def refused(config: Any, **changes: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        replace(config, **changes)
    return caught.value


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
@pytest.mark.parametrize("value", [0, -1, 2.0, "2", None])
def test_sizes_are_whole_numbers_of_at_least_one(name: str, value: Any) -> None:
    error = refused(MODEL, **{name: value})
    assert error.parameter == name
    assert repr(value) in error.reason


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"mlp_ratio": 0}, "mlp_ratio"),
        ({"mlp_ratio": -1.0}, "mlp_ratio"),
        ({"mlp_ratio": NAN}, "mlp_ratio"),
        ({"mlp_ratio": INF}, "mlp_ratio"),
        ({"mlp_ratio": "4"}, "mlp_ratio"),
        ({"image_size": (32,)}, "image_size"),
        ({"image_size": (32, 32, 3)}, "image_size"),
        ({"image_size": (32, 0)}, "image_size"),
        ({"image_size": (32.0, 32.0)}, "image_size"),
        ({"image_size": (32, 40)}, "image_size"),  # not whole patches
        ({"image_size": (40, 32)}, "image_size"),
        ({"num_frames": 15}, "num_frames"),  # not whole tubelets
        ({"encoder_heads": 3}, "encoder_heads"),
        ({"predictor_heads": 5}, "predictor_heads"),
        ({"context_steps": -1}, "context_steps"),
        ({"context_steps": 1.5}, "context_steps"),
        ({"encoder_heads": 16}, "encoder_heads"),  # 4 channels a head: no pair left for each axis
        ({"predictor_dim": 21}, "predictor_heads"),  # 7 channels a head cannot be turned in pairs
        ({"encoding": "video"}, "encoding"),
        ({"preprocessing": "crop"}, "preprocessing"),
    ],
)
def test_models_that_make_no_sense(changes: dict[str, Any], parameter: str) -> None:
    assert refused(MODEL, **changes).parameter == parameter


@pytest.mark.parametrize(("encoding", "stride", "steps"), [("clip", 2, 8), ("tubelet", 2, 8), ("frame_repeat", 1, 16)])
def test_steps_of_each_encoding(encoding: Any, stride: int, steps: int) -> None:
    config = replace(MODEL, encoding=encoding)
    assert (config.stride, config.steps) == (stride, steps)


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"phase": "middle"}, "actions.phase"),
        ({"hop": 0}, "hop"),
        ({"hop": -2}, "hop"),
        ({"hop": 3}, "hop"),  # half a step
        ({"frame_rate_hz": -1.0}, "frame_rate"),
        ({"frame_rate_hz": NAN}, "frame_rate"),
        ({"frame_rate_hz": INF}, "frame_rate"),
        ({"max_gap_s": 0.0}, "window.max_gap_s"),
        ({"max_gap_s": 0.2}, "window.max_gap_s"),  # shorter than the 0.25 s between samples
        ({"max_gap_s": NAN}, "window.max_gap_s"),
        ({"max_gap_s": INF}, "window.max_gap_s"),
        ({"jump_back_s": 0.0}, "time.jump_back_s"),
        ({"jump_back_s": INF}, "time.jump_back_s"),
        ({"max_wait_s": -0.1}, "actions.max_wait_s"),
        ({"max_wait_s": NAN}, "actions.max_wait_s"),
        ({"max_wait_s": INF}, "actions.max_wait_s"),
        ({"command_type": "JointJog"}, "actions.type"),
        ({"reduction": "median"}, "actions.reduction"),
        ({"tail": "guess"}, "actions.tail"),
        ({"state_source": "memory"}, "states.source"),
        # combinations
        ({"reduction": "mean", "stride": 1}, "actions.reduction"),
        ({"reduction": "sum", "command_type": "JointTrajectory"}, "actions.reduction"),
        ({"reduction": "sum", "commands": signal_config(alignment="linear")}, "actions.alignment"),
        ({"reduction": "sum", "commands": signal_config(on_missing="hold")}, "actions.on_missing"),
        ({"reduction": "sum", "commands": signal_config(offset=(0.1, 0.0))}, "actions.offset"),
        ({"reduction": "pose_delta"}, "actions.reduction"),  # two joints are no pose
        ({"reduction": "pose_delta", "commands": POSE, "states": POSE, "tail": "trajectory"}, "actions.tail"),
        ({"reduction": "pose_delta", "commands": replace(POSE, alignment="linear")}, "actions.alignment"),
        ({"reduction": "pose_delta", "commands": replace(POSE, scale=(2.0,) * 7)}, "actions.scale"),
        ({"reduction": "sum", "num_frames": 2}, "actions.tail"),
        ({"tail": "zero"}, "actions.tail"),
        ({"tail": "trajectory", "command_type": "JointTrajectory"}, "actions.tail"),
        (
            {"command_type": "Float64MultiArray", "commands": signal_config(field="effort")},
            "actions.field",
        ),
        ({"state_source": "commands", "reduction": "sum"}, "states.source"),
        ({"state_source": "commands", "states": signal_config(names=("a",))}, "states.source"),
    ],
)
def test_streams_that_make_no_sense(changes: dict[str, Any], parameter: str) -> None:
    assert refused(STREAM, **changes).parameter == parameter


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"timeout_s": -1.0}, "timeout_s"),
        ({"timeout_s": INF}, "timeout_s"),
        ({"on_missing": "wait"}, "on_missing"),
        ({"on_missing": ""}, "on_missing"),
        ({"field": "torque"}, "field"),
        ({"alignment": "cubic"}, "alignment"),
        ({"scale": (1.0,)}, "scale"),
        ({"scale": (1.0, NAN)}, "scale"),
        ({"offset": (0.0, 0.0, 0.0)}, "offset"),
        ({"offset": (INF, 0.0)}, "offset"),
    ],
)
@pytest.mark.parametrize("prefix", ["actions", "states"])
def test_signals_that_make_no_sense(prefix: str, changes: dict[str, Any], parameter: str) -> None:
    assert refused(signal_config(prefix), **changes).parameter == f"{prefix}.{parameter}"


@pytest.mark.parametrize(
    "changes", [{"frame_rate_hz": 0.0, "max_gap_s": 0.001}, {"max_wait_s": 0.0}, {"max_gap_s": 0.25}, {"hop": 20}]
)
def test_limits_that_are_allowed(changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        assert getattr(replace(STREAM, **changes), name) == value


@pytest.mark.parametrize(
    ("stride", "phase", "frames"),
    [
        (2, "first", [0, 2, 4, 6, 8, 10, 12, 14]),
        (2, "last", [1, 3, 5, 7, 9, 11, 13, 15]),
        (4, "first", [0, 4, 8, 12]),
        (4, "last", [3, 7, 11, 15]),
        (1, "last", list(range(16))),
    ],
)
def test_frames_at_which_steps_are_read(stride: int, phase: Any, frames: list[int]) -> None:
    config = replace(STREAM, stride=stride, phase=phase, hop=4)
    assert list(config.step_frames) == frames
    assert config.steps == len(frames)


def test_seconds_are_rounded_to_nanoseconds() -> None:
    assert to_ns(0.1) == 100_000_000
    assert to_ns(2.5 / 30) == 83_333_333
    assert to_ns(0.29) == 290_000_000  # 0.29 * 1e9 is a little less in floats


def test_a_refusal_names_the_parameter_and_the_reason() -> None:
    require(True, "hop", "is fine")
    with pytest.raises(ConfigError) as caught:
        require(False, "hop", "is too high")
    assert str(caught.value) == "hop: is too high"
    assert (caught.value.parameter, caught.value.reason) == ("hop", "is too high")
    assert isinstance(caught.value, VjepaError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("config", "name"), [(MODEL, "patch_size"), (STREAM, "hop"), (STREAM.commands, "timeout_s")])
def test_configurations_do_not_change(config: Any, name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(config, name, 1)
