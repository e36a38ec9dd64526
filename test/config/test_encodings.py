"""An encoding is one row: what is asked of it, and a made-up one through all that depends on it."""

from __future__ import annotations

import pytest

from vjepa_ros.config.encodings import ENCODINGS, Encoding
from vjepa_ros.config.node import resolve
from vjepa_ros.config.presets import model_config
from vjepa_ros.errors import ConfigError


@pytest.mark.parametrize(
    ("encoding", "stride", "steps", "at_once"), [("clip", 2, 8, 16), ("tubelet", 2, 8, 2), ("frame_repeat", 1, 16, 1)]
)
def test_what_an_encoding_says(encoding: str, stride: int, steps: int, at_once: int) -> None:
    config = model_config("tiny", encoding=encoding)
    assert (config.stride, config.steps, config.frames_at_once) == (stride, steps, at_once)
    assert config.way.is_whole == (encoding == "clip"), "the others see nothing of what comes later"


def test_one_row_more(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"joint_names": list("abcdefg"), "encoding": "still"}
    with pytest.raises(ConfigError, match="encoding: 'still' is not one of clip, tubelet, frame_repeat"):
        resolve(values)
    monkeypatch.setitem(ENCODINGS, "still", Encoding("still", is_whole=True, repeats_frames=True))
    config = resolve(values)
    assert (config.model.stride, config.model.steps, config.model.frames_at_once) == (1, 16, 16)
    assert (config.stream.stride, config.stream.steps) == (1, 16)
