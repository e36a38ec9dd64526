"""What goes with the latents says what is true, and its id stands for its contents."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from support.builders import model_window

import vjepa_ros
from vjepa_ros import latents
from vjepa_ros.config.node import resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.forecast.info import latent_info, window_info

JOINTS = [f"joint{number}" for number in range(7)]
SMALL: dict[str, Any] = {"encoder_depth": 1, "predictor_depth": 1}


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return vjepa_ros.load("tiny_random", **SMALL)


def info_of(model: WorldModel | None = None, **values: Any) -> dict[str, Any]:
    """The info of a model that was loaded as the parameters say, unless one is given."""
    config = resolve({"joint_names": JOINTS, **SMALL, **values})
    if model is None:
        m = config.model
        overrides: dict[str, Any] = {
            "encoding": m.encoding,
            "preprocessing": m.preprocessing,
            "num_frames": m.num_frames,
        }
        model = vjepa_ros.load("tiny_random", seed=config.weights.seed, image_size=m.image_size, **SMALL, **overrides)
    return latent_info(config, model)


def test_it_says_what_a_planner_needs(model: WorldModel) -> None:
    info = info_of(model, frame_rate=4.0, **{"latents.dtype": "16FC1"})
    assert info["grid"] == [8, 4, 4]
    assert (info["dim"], info["steps"], info["published"], info["dtype"]) == (128, 1, "forecast", "16FC1")
    assert (info["model"], info["trained"], info["checkpoint"]) == ("tiny_random", False, "")
    assert "UNTRAINED" in info["notice"]
    assert info["weights_hash"] == model.weights_hash
    assert info["model_dtype"] == "float32"
    assert info["vjepa_ros"] == vjepa_ros.__version__
    assert (info["encoding"], info["preprocessing"], info["phase"]) == ("clip", "square", "first")
    assert (info["image_size"], info["patch_size"], info["tubelet_size"]) == ([64, 64], 16, 2)
    assert info["joint_names"] == info["state_names"] == JOINTS
    assert (info["num_frames"], info["hop"], info["step_frames"]) == (16, 2, 2)
    assert (info["frame_rate_hz"], info["step_period_s"]) == (4.0, 0.5)
    assert info["forecast_frames"] == [[16, 17]]  # the tubelet after the window
    assert latents.read_info(SimpleNamespace(data=json.dumps(info))) == info


def test_with_every_frame_taken_the_step_period_is_the_cameras(model: WorldModel) -> None:
    assert info_of(model)["step_period_s"] is None


def test_all_steps_are_announced(model: WorldModel) -> None:
    info = info_of(model, **{"latents.steps": "all"})
    assert (info["steps"], info["published"]) == (8, "all")


@pytest.mark.parametrize(
    ("values", "steps", "frames", "offsets_s"),
    [
        ({}, 3, [[16, 17], [18, 19], [20, 21]], [0.5, 1.0, 1.5]),
        ({"latents.steps": "all"}, 10, [[16, 17], [18, 19], [20, 21]], [0.5, 1.0, 1.5]),
        ({"encoding": "frame_repeat", "hop": 1}, 3, [[16, 16], [17, 17], [18, 18]], [0.25, 0.5, 0.75]),
        ({"frame_rate": 0.0}, 3, [[16, 17], [18, 19], [20, 21]], None),
    ],
)
def test_every_forecast_is_announced(
    values: dict[str, Any], steps: int, frames: list[list[int]], offsets_s: list[float] | None
) -> None:
    info = info_of(**{"frame_rate": 4.0, "latents.horizon": 3, **values})
    assert (info["horizon"], info["steps"]) == (3, steps)
    assert info["forecast_frames"] == frames
    assert info["forecast_offsets_s"] == offsets_s


def test_the_id_is_that_of_the_contents() -> None:
    first, second = info_of(), info_of()
    assert first == second
    assert len(first["info_id"]) == 16
    assert int(first["info_id"], 16) > 0


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("seed", 1, "weights_hash"),
        ("frame_rate", 4.0, "frame_rate_hz"),
        ("hop", 4, "hop"),
        ("num_frames", 8, "num_frames"),
        ("image_size", [32, 64], "grid"),
        ("preprocessing", "eval", "preprocessing"),
        ("actions.phase", "last", "phase"),
        ("joint_names", JOINTS[::-1], "joint_names"),
        ("state_names", [f"other{number}" for number in range(7)], "state_names"),
        ("latents.steps", "all", "steps"),
        ("latents.dtype", "16FC1", "dtype"),
        ("latents.horizon", 2, "horizon"),
        ("actions.reduction", "mean", "reduction"),
        ("actions.alignment", "linear", "alignment"),
        ("states.source", "none", "state_source"),
        ("actions.std", [2.0] * 7, "action_std"),
        ("time.offset_s.image", 0.1, "time_offsets_s"),
    ],
)
def test_the_id_changes_with_whatever_changes(name: str, value: Any, key: str) -> None:
    before, after = info_of(), info_of(**{name: value})
    assert before[key] != after[key]
    assert before["info_id"] != after["info_id"]


def test_the_path_of_the_weights_is_not_part_of_the_id() -> None:
    here, there = info_of(), info_of(checkpoint="/some/file.pt")
    assert (here["checkpoint"], there["checkpoint"]) == ("", "/some/file.pt")
    assert here["info_id"] == there["info_id"]


def test_a_window_says_what_it_was_made_of(model: WorldModel) -> None:
    window = model_window()
    values = window_info("0123456789abcdef", window, 12.34567, ("/arm/targets", "none"))
    assert values["info_id"] == "0123456789abcdef"
    assert (values["epoch"], values["window"], values["held"], values["late"]) == (0, 0, 0, 5)
    assert values["compute_ms"] == 12.346
    assert (values["action_source"], values["state_source"]) == ("/arm/targets", "none")
    assert values["frame_stamps"] == [index * 50_000_000 for index in range(16)]
    assert values["step_stamps"] == values["frame_stamps"][::2]
    assert values["action_stamps"] == [stamp - 3 for stamp in values["step_stamps"]]
    assert values["state_stamps"] == [stamp - 5 for stamp in values["step_stamps"]]
    assert values["future_actions"] == values["future_step_stamps"] == values["future_sources"] == []
    pairs = latents.window_values(values)
    keyed = [SimpleNamespace(key=key, value=value) for key, value in pairs.items()]
    read = latents.read_window_info(SimpleNamespace(status=[SimpleNamespace(values=keyed)]))
    assert read == values
    assert read["actions"] == window.actions.values.tolist()  # to the last bit
    assert read["states"] == window.states.values.tolist()


def test_a_window_says_what_its_further_forecasts_were_made_of() -> None:
    window = model_window(ahead=2)
    values = window_info("0123456789abcdef", window, 0.0, ("", ""))
    assert values["future_actions"] == window.future.values.tolist()
    assert values["future_step_stamps"] == [16 * 50_000_000, 18 * 50_000_000]
    assert values["future_sources"] == ["held", "held"]
    json.dumps(values)
