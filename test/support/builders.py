"""Small real parts for tests: configurations, frames, windows, and a run of a whole message list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.pose import PoseConfig
from vjepa_ros.config.stream import SignalConfig, StreamConfig
from vjepa_ros.geometry import Vector
from vjepa_ros.stream.actions import Steps
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.future import Future
from vjepa_ros.stream.joint_signal import Part
from vjepa_ros.stream.window import Window
from vjepa_ros.stream.window_stream import WindowStream

MS = 1_000_000
PERIOD_MS = 50.0  # of frames, where nothing else is said
NAMES = ("joint_a", "joint_b")


def signal_config(prefix: str = "actions", names: tuple[str, ...] = NAMES, **changes: Any) -> SignalConfig:
    """Positions of the named joints, held, as they are; changes by name."""
    values: dict[str, Any] = {
        "field": "position", "alignment": "hold", "timeout_s": 0.5, "on_missing": "skip",
        "scale": (1.0,) * len(names), "offset": (0.0,) * len(names),
    }  # fmt: skip
    return SignalConfig(prefix=prefix, joint_names=names, **{**values, **changes})


def pose_config(**changes: Any) -> PoseConfig:
    """No poses but those that joint_names names; changes by name."""
    values: dict[str, Any] = {
        "source": "names", "actions": "measured", "tip_link": "", "base_link": "", "gripper_joint": "",
        "gripper_open": 0.0, "gripper_closed": 1.0,
    }  # fmt: skip
    return PoseConfig(**{**values, **changes})


def stream_config(**changes: Any) -> StreamConfig:
    """Strategy A on 16 frames, two joints; changes by name, timeout_s, on_missing and alignment for both signals."""
    shared = {name: changes.pop(name) for name in ("timeout_s", "on_missing", "alignment") if name in changes}
    values: dict[str, Any] = {
        "num_frames": 16, "stride": 2, "phase": "first", "hop": 2, "frame_rate_hz": 0.0, "max_gap_s": 1.0,
        "jump_back_s": 1.0, "max_wait_s": 0.2, "command_type": "JointState", "reduction": "pick", "tail": "hold",
        "state_type": "JointState", "state_source": "joint_states", "commands": signal_config("actions", **shared),
        "states": signal_config("states", **shared), "pose": pose_config(),
        "horizon": 1,
    }  # fmt: skip
    return StreamConfig(**{**values, **changes})


def frame(stamp_ns: int) -> Frame:
    """A frame whose image carries its stamp, so that a mix-up shows."""
    return Frame(stamp_ns, "camera", np.full((3, 1, 1), stamp_ns / MS, np.float32))


def vector(number: float) -> Vector:
    """Two joint values that tell which message they came from."""
    return np.array([number, -number])


def every(period_ms: float, count: int, kind: str = "frame", start_ms: float = 0.0) -> list[tuple[Any, ...]]:
    """Messages of one kind at an even pace; the number of a command or state is its place in the list."""
    stamps_ns = [round((start_ms + index * period_ms) * MS) for index in range(count)]
    if kind == "frame":
        return [(kind, stamp_ns) for stamp_ns in stamps_ns]
    return [(kind, stamp_ns, vector(index)) for index, stamp_ns in enumerate(stamps_ns)]


def joints(count: int, period_ms: float = PERIOD_MS, start_ms: float = 0.0) -> list[tuple[Any, ...]]:
    """As many commands as states, at the same stamps."""
    return [m for kind in ("command", "state") for m in every(period_ms, count, kind, start_ms)]


def numbers(window: Window) -> list[float]:
    """The numbers of the commands that became the window's actions; each state has its command's number."""
    np.testing.assert_array_equal(window.actions.values, window.states.values)
    np.testing.assert_array_equal(window.actions.values[:, 1], -window.actions.values[:, 0])
    return [float(number) for number in window.actions.values[:, 0]]


def firsts_ms(windows: list[Window]) -> list[int]:
    """The stamps of the windows' first frames, in ms."""
    return [window.frames[0].stamp_ns // MS for window in windows]


def feed(stream: WindowStream, messages: Iterable[tuple[Any, ...]]) -> list[Window]:
    """Put ("frame", stamp) and ("command" | "state" | "measured", stamp, value) messages in, in this order.

    A joint whose values are NaN is not in the message.
    """
    add = {"command": stream.add_command, "state": stream.add_state, "measured": stream.add_measured}
    add["trajectory"] = stream.add_command
    windows = []
    for kind, stamp_ns, *value in messages:
        if kind == "frame":
            windows += stream.add_frame(stamp_ns, partial(frame, stamp_ns))
        else:
            windows += add[kind](stamp_ns, named(*value, is_trajectory=kind == "trajectory"))
    return windows


def named(value: Vector, *, is_trajectory: bool = False) -> Vector | Part:
    """The values of the joints that are there, as a decoder gives them."""
    joints = value[:, 1:] if is_trajectory else value
    there = ~np.isnan(np.atleast_2d(joints)[0])
    if there.all():
        return value
    which = np.flatnonzero(there)
    return Part(value[:, [0, *(which + 1)]] if is_trajectory else value[which], which, len(there))


def oracle_arguments(config: StreamConfig) -> dict[str, Any]:
    """The oracle's keyword arguments for a configuration."""
    return {
        "num_frames": config.num_frames, "stride": config.stride, "phase": config.phase_frames, "hop": config.hop,
        "frame_rate": config.frame_rate_hz, "max_gap_ns": round(config.max_gap_s * 1e9),
        "jump_back_ns": round(config.jump_back_s * 1e9), "max_wait_ns": round(config.max_wait_s * 1e9),
        "timeout_ns": round(config.commands.timeout_s * 1e9), "on_missing": config.commands.on_missing,
        "state_timeout_ns": round(config.states.timeout_s * 1e9), "state_on_missing": config.states.on_missing,
        "alignment": config.commands.alignment, "state_alignment": config.states.alignment,
        "reduction": config.reduction, "tail": config.tail, "trajectory": config.command_type == "JointTrajectory",
        "state_source": config.state_source, "dims": (config.commands.dim, config.states.dim),
        "horizon": config.horizon,
    }  # fmt: skip


def assert_same(windows: list[Window], expected: list[dict[str, Any]]) -> None:
    """Windows of the stream equal those of the oracle, value by value; images are compared elsewhere."""
    assert [w.epoch for w in windows] == [e["epoch"] for e in expected]
    assert [[f.stamp_ns for f in w.frames] for w in windows] == [e["frame_stamps"] for e in expected]
    for window, want in zip(windows, expected, strict=True):
        assert list(window.step_stamps_ns) == want["step_stamps"]
        # Rotations are multiplied in another order there; all else is the same arithmetic.
        np.testing.assert_allclose(window.actions.values, want["actions"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(window.states.values, want["states"], rtol=0, atol=1e-12)
        ahead = window.future
        assert list(ahead.steps_ns) == want.get("future_step_stamps", [])
        assert list(ahead.sources) == want.get("future_sources", [])
        wanted = want.get("future_actions", np.zeros((0, window.actions.values.shape[1])))
        assert (ahead.values.shape, ahead.values.dtype) == (np.shape(wanted), np.asarray(wanted).dtype)
        np.testing.assert_allclose(ahead.values, wanted, rtol=0, atol=1e-9)


def assert_own_images(windows: list[Window]) -> None:
    """Each frame made by :func:`frame` still has the image of its own stamp."""
    for window in windows:
        shown = [frame.image[0, 0, 0] for frame in window.frames]
        np.testing.assert_array_equal(shown, np.array([f.stamp_ns / MS for f in window.frames], np.float32))


def model_window(
    frames: int = 0, actions: int = 0, states: int = 0, nan_frame: int | None = None, ahead: int = 0
) -> Window:
    """A window that fits the preset tiny_random and seven joints; the numbers are the seeds of its contents.

    With ``ahead`` future actions, all of them held.
    """
    stamps_ns = tuple(index * 50 * MS for index in range(16))
    images = np.random.default_rng(frames).normal(size=(16, 3, 64, 64)).astype(np.float32)
    if nan_frame is not None:
        images[nan_frame] = np.nan
    step_stamps_ns = stamps_ns[::2]
    signals = []
    for seed, before_ns in ((actions, 3), (10 + states, 5)):  # each message came a little before its step
        values = np.random.default_rng(100 + seed).normal(size=(8, 7))
        signals.append(Steps(values, tuple(stamp - before_ns for stamp in step_stamps_ns), missing=0, usable=True))
    shots = tuple(Frame(stamp_ns, "camera", image) for stamp_ns, image in zip(stamps_ns, images, strict=True))
    future_values = np.random.default_rng(1000 + actions).normal(size=(ahead, 7))
    future_steps_ns = tuple((16 + 2 * step) * 50 * MS for step in range(ahead))
    return Window(
        0, 0, shots, step_stamps_ns, *signals, late=5, future=Future(future_values, future_steps_ns, ("held",) * ahead)
    )


def clip_of(frames: Sequence[Frame]) -> NDArray[np.float32]:
    """Frames as one video, (1, 3, n, H, W) float32."""
    return np.stack([frame.image for frame in frames], axis=1)[None]
