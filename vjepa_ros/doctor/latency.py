"""How long a window will take: the model that the parameters name is loaded, and some windows go through it.

Of several cameras one window each goes through it at once, as in the node where they are ready together. They have
the sizes of real ones and zeros in them. It knows no ROS, and times by a monotonic clock.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.devices import release_memory
from vjepa_ros.doctor.line import Line, ok, warning, wrong
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.forecast.forecaster import Forecaster, load_model, together
from vjepa_ros.stream.actions import Steps
from vjepa_ros.stream.align import Source
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.future import Future
from vjepa_ros.stream.window import Window
from vjepa_ros.units import S_TO_NS

Compute = Callable[[Sequence[Window]], object]
"""Computes windows of all cameras, the first one's first."""

_ENOUGH, _ENOUGH_S = 5, 3.0  # calls that are timed at most, and for how long
_PERIOD_S = 0.1  # between frames where every frame is taken: for stamps alone


def latency_line(config: NodeConfig, load: Callable[[NodeConfig], Compute] | None = None) -> Line:
    """What is to be said.

    Args:
        config: what the parameters say.
        load: gives what computes a window of each camera; the node's own way without one.
    """
    try:
        loaded_s, times_ms = _loaded_and_timed(config, load or _load)
    except ConfigError as error:
        return wrong("latency", f"the model cannot be loaded: {error}", f"see the parameter {error.parameter}")
    except EngineError as error:
        return wrong("latency", f"the model fails at its first windows: {error}", "see device, dtype and the memory")
    finally:
        release_memory()
    median_ms, worst_ms = statistics.median(times_ms), max(times_ms)
    cameras = len(config.camera.each)
    what = "a window takes" if cameras == 1 else f"a window of each of {cameras} cameras, in one call, takes"
    found = f"{what} {median_ms:.1f} ms (longest of {len(times_ms)}: {worst_ms:.1f} ms)"
    found += f" after {loaded_s:.1f} s of loading"
    stream = config.stream
    values = {"median_ms": round(median_ms, 3), "max_ms": round(worst_ms, 3), "load_s": round(loaded_s, 3)}
    values["cameras"] = cameras
    if not stream.frame_rate_hz:
        return ok("latency", f"{found}; how often windows come is the camera's affair (frame_rate: 0)", **values)
    period_ms = stream.hop / stream.frame_rate_hz * 1e3
    values["period_ms"] = round(period_ms, 3)
    ends = "one ends every" if cameras == 1 else "one of each ends every"
    if median_ms <= period_ms:
        return ok("latency", f"{found}; {ends} {period_ms:.1f} ms", **values)
    share = f"about 1 of {median_ms / period_ms:.1f} is computed"
    if config.worker.lossless:
        share = "with queue: all they pile up and hold up the callbacks"
    slower = f"{found}, but {ends} {period_ms:.1f} ms: {share}"
    remedy = (
        "raise hop or lower frame_rate as far as the model's convention lets you, or take a GPU or a smaller preset"
    )
    return warning("latency", slower, remedy, **values)


def _loaded_and_timed(config: NodeConfig, load: Callable[[NodeConfig], Compute]) -> tuple[float, list[float]]:
    """Seconds of loading, milliseconds of calls; nothing of the model is left behind."""
    began_s = time.monotonic()
    compute = load(config)
    loaded_s = time.monotonic() - began_s
    return loaded_s, list(_timed(config, compute))


def _load(config: NodeConfig) -> Compute:
    model = load_model(config)
    forecasters = [Forecaster(model, config) for _ in config.camera.each]
    return lambda windows: together(list(zip(forecasters, windows, strict=True)))


def _timed(config: NodeConfig, compute: Compute) -> Iterator[float]:
    """Milliseconds of each call; the first of all is not counted."""
    end_s = None
    for number in range(_ENOUGH + 1):
        windows = [blank_window(config, number) for _ in config.camera.each]
        began_s = time.monotonic()
        compute(windows)
        now_s = time.monotonic()
        if number:
            yield (now_s - began_s) * 1e3
        if end_s is None:
            end_s = now_s + _ENOUGH_S
        if number and now_s > end_s:
            return


def blank_window(config: NodeConfig, number: int) -> Window:
    """A window of the configured sizes, with zeros in it; so many hops after the first.

    Args:
        config: what the parameters say.
        number: of the window.
    """
    stream, sizes = config.stream, config.model
    period_ns = round(S_TO_NS * (1 / stream.frame_rate_hz if stream.frame_rate_hz else _PERIOD_S))
    image = np.zeros((3, *sizes.image_size), np.float32)
    first = number * stream.hop
    frames = tuple(Frame((first + index) * period_ns, "", image) for index in range(stream.num_frames))
    steps_ns = tuple(frames[index].stamp_ns for index in stream.step_frames)
    actions = Steps(np.zeros((stream.steps, sizes.action_dim)), steps_ns, 0, True)
    states = Steps(np.zeros((stream.steps, sizes.state_dim)), steps_ns, 0, True)
    ahead = stream.horizon - 1
    later_ns = tuple(steps_ns[-1] + (step + 1) * stream.stride * period_ns for step in range(ahead))
    held: Source = "held"
    future = Future(np.zeros((ahead, sizes.action_dim)), later_ns, (held,) * ahead)
    origin = np.zeros(sizes.action_dim) if stream.has_origin else None
    return Window(0, number, frames, steps_ns, actions, states, 0, future, origin)
