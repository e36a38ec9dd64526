"""An encoding is one row: what is asked of it, and a made-up one through all that depends on it."""

from __future__ import annotations

import pytest

from vjepa_ros.config.encodings import ENCODINGS, Encoding
from vjepa_ros.config.node import resolve
from vjepa_ros.config.presets import model_config
from vjepa_ros.errors import ConfigError


@pytest.mark.parametrize(
    ("encoding", "stride", "steps", "at_once"),
    [("clip", 2, 8, 16), ("tubelet", 2, 8, 2), ("frame_repeat", 1, 16, 1), ("frame", 1, 16, 1)],
)
def test_what_an_encoding_says(encoding: str, stride: int, steps: int, at_once: int) -> None:
    config = model_config("tiny_random", encoding=encoding, encoder_family="vjepa2_1")
    assert (config.stride, config.steps, config.frames_at_once) == (stride, steps, at_once)
    assert config.way.is_whole == (encoding == "clip"), "the others see nothing of what comes later"


def test_frame_needs_a_tokenizer_of_images() -> None:
    values = {"joint_names": list("abcdefg"), "encoding": "frame"}
    with pytest.raises(ConfigError, match="encoding: frame needs an encoder with a tokenizer for single images"):
        resolve(values)
    assert resolve({**values, "preset": "vjepa2_1_vitb"}).model.steps == 16


def test_only_encoders_of_levels_have_all_of_them() -> None:
    values = {"joint_names": list("abcdefg"), "latents.levels": "all"}
    with pytest.raises(ConfigError, match="latents.levels: all needs an encoder of several levels, as those of"):
        resolve(values)
    assert resolve({**values, "preset": "vjepa2_1_vitb"}).model.latent_dim == 4 * 768
    with pytest.raises(ConfigError, match="encoder_depth: 3 layers; an encoder of vjepa2_1 has 4 levels"):
        resolve({**values, "preset": "vjepa2_1_vitb", "encoder_depth": 3})


def test_one_row_more(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"joint_names": list("abcdefg"), "encoding": "still"}
    with pytest.raises(ConfigError, match="encoding: 'still' is not one of clip, tubelet, frame_repeat, frame"):
        resolve(values)
    monkeypatch.setitem(ENCODINGS, "still", Encoding("still", is_whole=True, repeats_frames=True))
    config = resolve(values)
    assert (config.model.stride, config.model.steps, config.model.frames_at_once) == (1, 16, 16)
    assert (config.stream.stride, config.stream.steps) == (1, 16)
