"""A configuration is read once: each file that says something is opened a single time per configure."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import conversions
from support.pairs import written_predictor

from vjepa_ros.config.node import resolve
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.forecast.info import latent_info

_OPENED: list[str] = []
_LISTENS = False


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if _LISTENS and event == "open" and isinstance(arguments[0], (str, Path)):
        _OPENED.append(str(arguments[0]))


sys.addaudithook(_on_event)  # for good: there is no way to take it back, so it listens only when told to


@contextmanager
def opened() -> Iterator[Counter[str]]:
    """How often each file is opened inside of it."""
    global _LISTENS
    counts: Counter[str] = Counter()
    _OPENED.clear()
    _LISTENS = True
    try:
        yield counts
    finally:
        _LISTENS = False
        counts.update(_OPENED)


def test_preset_and_sidecar_are_read_once_per_configure(tmp_path: Path) -> None:
    preset, out = conversions.written_preset(tmp_path), tmp_path / "weights.safetensors"
    assert conversions.run(conversions.CHECKPOINT, out, "--preset", preset) == 0
    joints = [f"joint{index}" for index in range(7)]
    with opened() as counts:
        config = resolve({"preset": preset, "checkpoint": str(out), "joint_names": joints, "threads": 1})
        model = load_model(config)
        latent_info(config, model)
    assert counts[preset] == 1
    assert counts[str(out.with_suffix(".json"))] == 1
    assert counts[str(out)] >= 1, "what is counted is real"
    assert model.trained and config.weights.sidecar is not None


def test_each_of_two_weights_files_is_opened_once(tmp_path: Path) -> None:
    preset, encoder = conversions.written_preset(tmp_path), tmp_path / "encoder.safetensors"
    assert conversions.run(conversions.CHECKPOINT, encoder, "--preset", preset, "--encoder-only") == 0
    predictor = written_predictor(tmp_path)
    values = {"preset": preset, "checkpoint": str(encoder), "predictor_checkpoint": str(predictor), "threads": 1}
    with opened() as counts:
        config = resolve({**values, "joint_names": [f"joint{index}" for index in range(7)]})
        model = load_model(config)
        latent_info(config, model)
    files = [str(path) for file in (encoder, predictor) for path in (file, file.with_suffix(".json"))]
    assert {file: counts[file] for file in (preset, *files)} == dict.fromkeys((preset, *files), 1)
    assert model.trained and config.weights.predictor_sidecar is not None
