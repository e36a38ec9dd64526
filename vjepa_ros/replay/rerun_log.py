"""A replay as a recording for the viewer Rerun. Windows in, a file out. Needs rerun-sdk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vjepa_ros.errors import ConfigError
from vjepa_ros.images.preprocess import pixels
from vjepa_ros.pictures.colours import Colours, Picture
from vjepa_ros.pictures.encoded import photograph
from vjepa_ros.pictures.heat import Heat
from vjepa_ros.replay.plan import TOOL
from vjepa_ros.replay.written import Written

CAMERA, OBSERVED, FORECAST, WHERE = "camera", "latents/observed", "latents/forecast", "error/where"
"""Pictures, by their paths in the viewer."""
ERRORS, LATENCY = "error", "latency"
"""Curves are below these: ``error/forecast``, ``error/no_change``; ``latency/encode`` and so on, in ms."""


class Log:
    """Takes windows in; each is logged at the stamp of its newest frame, and at the time of its last message.

    Args:
        file: where to.

    Raises:
        ConfigError: where rerun-sdk is not installed.
    """

    def __init__(self, file: Path) -> None:
        try:
            import rerun
            import rerun.blueprint
        except ImportError as error:
            raise ConfigError(
                "rrd", f"needs the package rerun-sdk ({error}): pip install 'vjepa_ros[rerun]'"
            ) from error
        self._rerun = rerun
        self._file = file
        self._stream = rerun.RecordingStream(TOOL)
        self._colours, self._heat = Colours(), Heat()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stream.disconnect()  # does nothing to one that is closed

    def open(self) -> None:
        """Open the file, and make the folder around it.

        Raises:
            OSError: where it cannot be written; it names the file.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._naming():
            self._stream.save(str(self._file), default_blueprint=_arrangement(self._rerun.blueprint))

    def add(self, written: Written) -> None:
        """Take in a window."""
        window, stream, rerun = written.window, self._stream, self._rerun
        stream.set_time("stamp", timestamp=np.datetime64(window.stamp_ns, "ns"))
        stream.set_time("recorded", timestamp=np.datetime64(written.received_ns, "ns"))
        frame = pixels(window.frames[-1].image)
        self._picture(CAMERA, frame)
        for name, values in (("action", window.actions.values), ("state", window.states.values)):
            if values.shape[1]:
                stream.log(name, rerun.Scalars(values[-1]))
        outcome, compared = written.outcome, written.compared
        if outcome is None:
            return
        steps = np.concatenate([outcome.forecast.observed()[None], outcome.forecasts[:1]])
        for name, colours in zip((OBSERVED, FORECAST), self._colours(steps), strict=True):
            stream.log(name, rerun.Image(colours))
        for stage, took_ms in {**outcome.forecast.stages_ms, "whole": outcome.compute_ms}.items():
            stream.log(f"{LATENCY}/{stage}", rerun.Scalars(took_ms))
        if written.error is not None and compared is not None:
            stream.log(f"{ERRORS}/forecast", rerun.Scalars(written.error.error))
            stream.log(f"{ERRORS}/no_change", rerun.Scalars(written.error.no_change))
            self._picture(WHERE, self._heat(frame, compared.by_place))

    def _picture(self, name: str, picture: Picture) -> None:
        file = self._rerun.EncodedImage(contents=photograph(picture), media_type="image/jpeg")
        self._stream.log(name, file)

    def close(self) -> None:
        """End the file.

        Raises:
            OSError: where it could not be written; it names the file.
        """
        with self._naming():
            self._stream.flush()
        self._stream.disconnect()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """What rerun says of a file in words alone, as an error of that file."""
        try:
            yield
        except RuntimeError as error:
            raise OSError(errno.EIO, f"rerun could not write it ({error})", str(self._file)) from error


def _arrangement(blueprint: Any) -> Any:
    """Pictures above, curves below."""
    shown = ((CAMERA, "camera"), (OBSERVED, "latents"), (FORECAST, "forecast of the next step"), (WHERE, "where wrong"))
    curves = (([f"{ERRORS}/forecast", f"{ERRORS}/no_change"], "prediction error"), ([f"{LATENCY}/**"], "latency, ms"))
    actions = (["action"], "action"), (["state"], "state")
    return blueprint.Blueprint(
        blueprint.Vertical(
            blueprint.Horizontal(*(blueprint.Spatial2DView(origin=path, name=name) for path, name in shown)),
            blueprint.Horizontal(
                *(blueprint.TimeSeriesView(contents=paths, name=name) for paths, name in (*curves, *actions))
            ),
        )
    )
