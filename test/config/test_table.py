"""The table of parameters: complete, its defaults valid, and every bad value refused by name."""

from __future__ import annotations

import array
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from support.configurations import JOINTS, preset_file, refused

from vjepa_ros.config.model import PARAMETER_OF, ModelConfig
from vjepa_ros.config.node import resolve
from vjepa_ros.config.parameter import UNSET, Parameter
from vjepa_ros.config.parts import CandidatesConfig, EngineConfig, LatentsConfig, WeightsConfig, WorkerConfig
from vjepa_ros.config.presets import load_preset, preset_names
from vjepa_ros.config.table import BY_NAME, TABLE, check, effective
from vjepa_ros.errors import ConfigError

NAN, INF = float("nan"), float("inf")


# -- the table


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_row_says_what_it_is(row: Parameter) -> None:
    assert row.description[0].isupper()
    assert row.description.endswith(".")
    assert "  " not in row.description
    if row.minimum is not None and row.maximum is not None:
        assert row.minimum < row.maximum
    assert not row.choices or row.kind in ("str", "int")
    if row.name.endswith("_s"):
        assert row.unit == "s"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_default_is_valid(row: Parameter) -> None:
    check(row.name, row.declared_default)
    if not row.from_preset:
        assert row.is_set(row.default)
    else:
        assert row.declared_default == UNSET[row.kind]
        assert not row.is_set(row.declared_default)
        assert not row.is_set(None)
        assert row.fallback is not None or all(row.name in load_preset(name) for name in preset_names())
        if row.fallback is not None:
            check(row.name, row.fallback)


def test_names_are_unique_and_the_whole_model_is_there() -> None:
    assert len(BY_NAME) == len(TABLE)
    assert {PARAMETER_OF.get(field.name, field.name) for field in fields(ModelConfig)} <= set(BY_NAME)


@pytest.mark.parametrize("name", preset_names())
def test_presets_hold_known_parameters_of_the_right_type(name: str) -> None:
    for parameter, value in load_preset(name).items():
        check(parameter, value)
        assert BY_NAME[parameter].from_preset
        assert BY_NAME[parameter].is_set(value)


# -- single values


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("no_such_thing", 1, "no such parameter"),
        ("hops", 2, "no such parameter"),
        ("actions", {}, "no such parameter"),
        ("hop", 2.0, "must be int"),
        ("hop", "2", "must be int"),
        ("hop", True, "must be int"),
        ("hop", None, "must be int"),
        ("hop", [2], "must be int"),
        ("frame_rate", "4", "must be float"),
        ("frame_rate", False, "must be float"),
        ("preset", 1, "must be str"),
        ("latents.publish_context", 1, "must be bool"),
        ("latents.publish_context", "true", "must be bool"),
        ("joint_names", "panda_joint1", "must be str[]"),
        ("joint_names", [1, 2], "must be str[]"),
        ("image_size", 64, "must be int[]"),
        ("image_size", [64, 64.5], "must be int[]"),
        ("seed", -1, "less than 0"),
        ("queue_size", 0, "less than 1 windows"),
        ("max_failures", 0, "less than 1"),
        ("time.jump_back_s", 0.0, "less than 0.001 s"),
        ("actions.max_wait_s", -0.1, "less than 0.0 s"),
        ("frame_rate", 1000.5, "more than 1000.0 Hz"),
        ("frame_rate", NAN, "finite number, not nan"),
        ("actions.timeout_s", NAN, "finite number, not nan"),
        ("window.max_gap_s", INF, "finite number, not inf"),
        ("frame_rate", -INF, "finite number, not -inf"),
        ("mlp_ratio", NAN, "finite number, not nan"),
        ("dtype", "int8", "'int8' is not one of auto, float32, bfloat16, float16"),
        ("queue", "", "'' is not one of latest, all"),
        ("encoding", "video", "'video' is not one of clip, tubelet, frame_repeat, frame"),
        ("actions.phase", "First", "is not one of first, last"),
        ("actions.on_missing", "wait", "is not one of skip, hold, zero"),
        ("latents.dtype", "float32", "is not one of 32FC1, 16FC1"),
        ("image_transport", "theora", "is not one of raw, compressed"),
    ],
)
def test_bad_values_are_refused_by_name(name: str, value: Any, said: str) -> None:
    error = refused({name: value})
    assert error.parameter == name
    assert said in error.reason
    with pytest.raises(ConfigError):
        check(name, value)


# -- all together


def test_defaults_and_preset() -> None:
    config = resolve({"joint_names": JOINTS})
    preset = load_preset("tiny_random")
    for field in fields(ModelConfig):
        if field.name != "preset":
            value = getattr(config.model, field.name)
            silent = {"context_steps": 0, "encoder_family": "vjepa2", "latent_levels": "last"}
            assert (list(value) if isinstance(value, tuple) else value) == {**silent, **preset}[field.name]
    assert config.model.preset == "tiny_random"
    stream = config.stream
    assert (stream.num_frames, stream.stride, stream.phase, stream.hop) == (16, 2, "first", 2)
    assert (stream.frame_rate_hz, stream.max_gap_s, stream.jump_back_s, stream.max_wait_s) == (0.0, 1.0, 1.0, 0.2)
    assert replace(stream.commands, prefix="states") == stream.states
    assert stream.commands.joint_names == tuple(JOINTS)
    assert (stream.commands.timeout_s, stream.commands.on_missing) == (1.0, "skip")
    assert config.weights == WeightsConfig("", False, 0, None, "", None)
    assert config.engine == EngineConfig("auto", "auto", 0, True, True)
    assert (config.worker.lossless, config.worker.queue_size, config.worker.max_failures) == (False, 64, 3)
    assert config.latents == LatentsConfig("forecast", "32FC1", False) and config.latents.forecast_only
    assert dict(config.parameters) == effective({"joint_names": JOINTS})


def test_every_value_reaches_its_place() -> None:
    other = [f"other{number}" for number in range(7)]
    config = resolve({
        "joint_names": JOINTS, "state_names": other, "checkpoint": "/a/file.pt", "device": "cuda:1",
        "dtype": "bfloat16", "seed": 5, "threads": 3, "image_transport": "compressed", "frame_rate": 4.0, "hop": 4,
        "window.max_gap_s": 0.5, "time.jump_back_s": 2.0, "actions.phase": "last", "actions.max_wait_s": 0.3,
        "actions.timeout_s": 0.4, "actions.on_missing": "hold", "states.timeout_s": 0.6, "states.on_missing": "zero",
        "queue": "all", "queue_size": 7, "max_failures": 9, "latents.steps": "all", "latents.dtype": "16FC1",
        "latents.publish_context": True, "candidates.max_age_s": 0.7, "candidates.max_count": 11,
        "candidates.max_horizon": 12, "candidates.batch_size": 13, "candidates.queue_size": 14,
    })  # fmt: skip
    stream = config.stream
    assert (stream.frame_rate_hz, stream.hop, stream.max_gap_s, stream.jump_back_s) == (4.0, 4, 0.5, 2.0)
    assert (stream.phase, stream.max_wait_s) == ("last", 0.3)
    assert (stream.commands.timeout_s, stream.commands.on_missing) == (0.4, "hold")
    assert (stream.states.timeout_s, stream.states.on_missing) == (0.6, "zero")
    assert (stream.commands.joint_names, stream.states.joint_names) == (tuple(JOINTS), tuple(other))
    assert config.weights == WeightsConfig("/a/file.pt", False, 5, None)
    assert config.engine == EngineConfig("cuda:1", "bfloat16", 3, True, True)
    assert config.camera.transport == "compressed"
    assert config.worker == WorkerConfig("all", 7, 9) and config.worker.lossless
    assert config.latents == LatentsConfig("all", "16FC1", True) and not config.latents.forecast_only
    assert config.candidates == CandidatesConfig(0.7, 11, 12, 13, 14)


def test_what_the_user_sets_wins_over_the_preset() -> None:
    base = resolve({"joint_names": JOINTS})
    values = {"encoder_depth": 2, "image_size": [32, 48], "mlp_ratio": 2.0, "encoding": "frame_repeat", "hop": 3}
    changed = resolve({"joint_names": JOINTS, **values})
    model = replace(base.model, encoder_depth=2, image_size=(32, 48), mlp_ratio=2.0, encoding="frame_repeat")
    assert changed.model == model
    assert (changed.stream.stride, changed.stream.hop) == (1, 3)


def test_unset_values_take_the_presets() -> None:
    unset = {row.name: row.declared_default for row in TABLE if row.from_preset}
    assert resolve({**unset, "joint_names": JOINTS}) == resolve({"joint_names": JOINTS})
    assert resolve({**unset, "preset": "tiny"}) == resolve({"preset": "tiny"})


def test_zero_can_be_said_where_it_means_something(tmp_path: Path) -> None:
    preset = preset_file(tmp_path, frame_rate=10.0)
    assert resolve({"joint_names": JOINTS, "preset": preset}).stream.frame_rate_hz == 10.0
    assert resolve({"joint_names": JOINTS, "preset": preset, "frame_rate": 0.0}).stream.frame_rate_hz == 0.0


@pytest.mark.parametrize(
    ("values", "max_gap_s"),
    [({}, 1.0), ({"frame_rate": 4.0}, 0.625), ({"frame_rate": 4.0, "window.max_gap_s": 0.3}, 0.3),
     ({"window.max_gap_s": 0.3}, 0.3)],
)  # fmt: skip
def test_the_largest_gap_follows_the_frame_rate(values: dict[str, Any], max_gap_s: float) -> None:
    assert resolve({"joint_names": JOINTS, **values}).stream.max_gap_s == max_gap_s


def test_whole_numbers_do_for_floats() -> None:
    config = resolve({"joint_names": JOINTS, "frame_rate": 4, "actions.timeout_s": 2, "mlp_ratio": 4})
    assert config.stream.frame_rate_hz == 4
    assert config.stream.max_gap_s == 0.625
    assert config.stream.commands.timeout_s == 2


def test_arrays_do_for_lists() -> None:
    config = resolve({"joint_names": tuple(JOINTS), "image_size": array.array("q", [32, 48])})
    assert config.model.image_size == (32, 48)


def test_a_preset_may_give_a_square_by_one_number(tmp_path: Path) -> None:
    assert effective({"preset": preset_file(tmp_path, image_size=32)})["image_size"] == [32, 32]


def test_the_reference_models_file_is_a_preset_once_the_streams_parameters_are_set() -> None:
    path = Path(__file__).parents[1] / "data" / "reference" / "small_ac.yaml"
    streams = {"frame_rate": 4.0, "hop": 2, "actions.reduction": "pick", "actions.phase": "first"}
    config = resolve({"joint_names": JOINTS, "preset": str(path), **streams})
    assert (config.model.image_size, config.model.encoder_dim) == ((256, 256), 64)


def test_effective_values_are_complete_and_plain() -> None:
    values = effective({"joint_names": tuple(JOINTS), "hop": 4})
    assert set(values) == set(BY_NAME)
    assert values["joint_names"] == JOINTS
    assert values["hop"] == 4
    assert values["image_size"] == [64, 64]
    assert values["queue"] == "latest"
    assert all(
        BY_NAME[name].is_set(value) or value == BY_NAME[name].fallback or value == [] for name, value in values.items()
    )
