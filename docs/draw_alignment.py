"""Draws docs/alignment.png with the code that runs on the robot: python -m docs.draw_alignment (needs matplotlib).

A short recording goes through a ``WindowStream`` once per convention. Each command is a unit vector of its own, so that
an action says by itself which commands it was made of, and with which weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.pose import PoseConfig
from vjepa_ros.config.stream import SignalConfig, StreamConfig
from vjepa_ros.stream.actions import StepTimes
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.window_stream import WindowStream

PICTURE = Path(__file__).with_name("alignment.png")
MS = 1_000_000
T0_MS = 10_000
FRAMES_MS = (0, 103, 198, 301, 402, 499, 600, 704)
COMMANDS_MS = tuple(range(-230, 900, 62))
# (title, parameters)
CONVENTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("pick, phase first\n(the default)", {}),
    ("pick, phase last", {"phase": "last"}),
    ("mean", {"reduction": "mean"}),
    ("difference", {"reduction": "difference"}),
    ("sum, tail hold", {"reduction": "sum"}),
    ("sum, tail zero", {"reduction": "sum", "tail": "zero"}),
    ("pose_delta, tail zero", {"reduction": "pose_delta", "tail": "zero"}),
)


@dataclass(frozen=True)
class Drawn:
    """What one convention makes of the recording.

    Attributes:
        title: its name.
        times: the times of the window's steps.
        weights: (T', commands): how much of each command is in each action.
        has_tail: whether the last action's interval reaches beyond the window.
    """

    title: str
    times: StepTimes
    weights: NDArray[np.float64]
    has_tail: bool


def drawn(title: str, changes: dict[str, Any]) -> Drawn:
    """Run the recording under one convention."""
    count = len(COMMANDS_MS)
    is_pose = changes.get("reduction") == "pose_delta"
    config = _config(7 if is_pose else count, changes)
    stream, windows = WindowStream(config), []
    messages = [("command", stamp_ms, index) for index, stamp_ms in enumerate(COMMANDS_MS)]
    messages += [("frame", stamp_ms, 0) for stamp_ms in FRAMES_MS]
    for kind, stamp_ms, index in sorted(messages, key=lambda message: message[1]):
        stamp_ns = (T0_MS + stamp_ms) * MS
        if kind == "frame":
            frame = Frame(stamp_ns, "", np.zeros((3, 1, 1), np.float32))
            windows += stream.add_frame(stamp_ns, partial(_same, frame))
        else:
            # A pose has seven numbers only; the difference of two powers of two tells which ones they were.
            value = np.eye(7)[0] * 2.0**index if is_pose else np.eye(count)[index]
            windows += stream.add_command(stamp_ns, value)
    (window,) = windows
    actions = window.actions.values
    weights = np.array([_powers(row[0], count) for row in actions]) if is_pose else actions
    return Drawn(title, StepTimes.of(tuple(f.stamp_ns for f in window.frames), config), weights, config.reaches_ahead)


def _powers(difference: float, count: int) -> NDArray[np.float64]:
    """Weights of a difference 2**j - 2**i with i < j, or 0."""
    weights = np.zeros(count)
    for later in range(count):
        for earlier in range(later):
            if difference == 2.0**later - 2.0**earlier:
                weights[later], weights[earlier] = 1, -1
    return weights


def _same(frame: Frame) -> Frame:
    return frame


def _config(dim: int, changes: dict[str, Any]) -> StreamConfig:
    joints = tuple(f"joint_{index}" for index in range(dim))
    signal: dict[str, Any] = {
        "joint_names": joints, "field": "position", "alignment": "hold", "timeout_s": 1.0, "on_missing": "skip",
        "scale": (1.0,) * dim, "offset": (0.0,) * dim,
    }  # fmt: skip
    values: dict[str, Any] = {
        "num_frames": len(FRAMES_MS), "stride": 2, "phase": "first", "hop": len(FRAMES_MS), "frame_rate_hz": 0.0,
        "max_gap_s": 1.0, "jump_back_s": 1.0, "max_wait_s": 1.0, "command_type": "JointState", "reduction": "pick",
        "state_type": "JointState",
        "tail": "hold", "state_source": "none", "commands": SignalConfig(prefix="actions", **signal),
        "states": SignalConfig(prefix="states", **signal),
        "horizon": 1, "pose": PoseConfig("names", "measured", "", "", "", 0.0, 1.0),
    }  # fmt: skip
    return StreamConfig(**{**values, **changes})


BLUE, RED, GREY = "#1f5fa8", "#c23b22", "#8a8a8a"


def draw(path: Path = PICTURE) -> None:
    """Draw the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [drawn(title, changes) for title, changes in CONVENTIONS]
    figure, axes = pyplot.subplots(
        len(rows) + 1, 1, sharex=True, figsize=(11, 11), gridspec_kw={"hspace": 0.12}, constrained_layout=False
    )
    figure.subplots_adjust(left=0.15, right=0.985, top=0.965, bottom=0.055)
    _draw_frames(axes[0])
    for axis, row in zip(axes[1:], rows, strict=True):
        _draw_row(axis, row)
    for axis in axes:
        axis.set_yticks([])
        axis.set_xlim(min(COMMANDS_MS) - 20, max(COMMANDS_MS) + 40)
        for side in ("left", "right", "top", "bottom"):
            axis.spines[side].set_visible(False)
        axis.tick_params(axis="x", length=0)
        for stamp_ms in FRAMES_MS:
            axis.axvline(stamp_ms, color="#e4e4e4", linewidth=0.8, zorder=0)
    axes[-1].tick_params(axis="x", length=3)
    axes[-1].set_xlabel("stamp in ms")
    figure.savefig(path, dpi=90, metadata={"Software": None})
    pyplot.close(figure)


def _label(axis: Any, text: str) -> None:
    axis.text(-0.012, 0.5, text, transform=axis.transAxes, ha="right", va="center", fontsize=10)


def _draw_frames(axis: Any) -> None:
    """Eight frames, in four tubelets."""
    from matplotlib.patches import FancyBboxPatch

    axis.set_ylim(0, 1)
    _label(axis, "frames, in\ntubelets of two")
    for step, first in enumerate(range(0, len(FRAMES_MS), 2)):
        start, end = FRAMES_MS[first], FRAMES_MS[first + 1]
        box = FancyBboxPatch((start - 22, 0.2), end - start + 44, 0.5, boxstyle="round,pad=0,rounding_size=0.1",
                             mutation_aspect=0.01, facecolor="#f3ead2", edgecolor="#c9b77f")  # fmt: skip
        axis.add_patch(box)
        axis.text((start + end) / 2, 0.84, f"step {step}", ha="center", va="center", fontsize=9)
    for index, stamp_ms in enumerate(FRAMES_MS):
        axis.plot(stamp_ms, 0.45, marker="s", markersize=17, color="#fffdf6", markeredgecolor="#806a20")
        axis.text(stamp_ms, 0.44, str(index), ha="center", va="center", fontsize=9)


def _draw_row(axis: Any, row: Drawn) -> None:
    """Commands below, actions above over the time that they are in force, lines from the ones to the others."""
    axis.set_ylim(0, 1)
    _label(axis, row.title)
    in_ms = [stamp_ns / MS - T0_MS for stamp_ns in (*row.times.steps_ns, row.times.after_ns)]
    used = np.abs(row.weights).sum(axis=0) > 0
    for stamp_ms, is_used in zip(COMMANDS_MS, used, strict=True):
        axis.plot(stamp_ms, 0.12, marker="o", markersize=6 if is_used else 4,
                  color="black" if is_used else "white", markeredgecolor=GREY if not is_used else "black")  # fmt: skip
    for step, weights in enumerate(row.weights):
        start, end = in_ms[step], in_ms[step + 1]
        is_tail = row.has_tail and step == len(row.weights) - 1
        axis.fill_between([start + 4, end - 4], 0.68, 0.94, facecolor="#dbe7f5", edgecolor=BLUE, linewidth=1,
                          linestyle="--" if is_tail else "-", alpha=0.55 if is_tail else 1.0)  # fmt: skip
        name = f"action {step}" if weights.any() else f"action {step} = 0"
        axis.text((start + end) / 2, 0.805, name, ha="center", va="center", fontsize=9)
        for stamp_ms, weight in zip(COMMANDS_MS, weights, strict=True):
            if weight == 0:
                continue
            middle = (start + end) / 2
            axis.plot([stamp_ms, middle], [0.12, 0.68], color=BLUE if weight > 0 else RED, linewidth=1.3,
                      linestyle="-" if weight > 0 else (0, (4, 2)), zorder=1)  # fmt: skip
            if abs(weight) != 1:
                axis.text(stamp_ms + 0.5 * (middle - stamp_ms), 0.4, f"{weight:g}", fontsize=8, color=BLUE,
                          ha="center", va="center", backgroundcolor="white")  # fmt: skip
    marker_y = 0.68
    axis.plot(in_ms[:-1], [marker_y] * len(in_ms[:-1]), marker="v", markersize=6, color=BLUE, linestyle="none")


if __name__ == "__main__":
    draw()
