"""A robot whose joints come in messages of their own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from support.builders import MS, signal_config, stream_config
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.stream.intake import Intake
from vjepa_ros.stream.window import Window

S = 1000 * MS

T0_NS = 1_700_000_000 * S

ARM, GRIPPER, OTHER_ARM = ("a1", "a2", "a3"), ("g",), ("b1", "b2", "b3")

NAMES = (*ARM, *GRIPPER)


def header(stamp_ns: int) -> Any:
    sec, nanosec = divmod(stamp_ns, S)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id="")


def joint_state(stamp_ns: int, **positions: float) -> Any:
    return SimpleNamespace(
        header=header(stamp_ns), name=list(positions), position=[*positions.values()], velocity=[], effort=[]
    )  # fmt: skip


def signal(prefix: str, **changes: Any) -> Any:
    return signal_config(prefix, NAMES, **changes)


class Robot:
    """An intake with what it reported and gave out; two steps a window, at its frames 0 and 2."""

    def __init__(self, **changes: Any) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.windows: list[Window] = []
        signals = {"commands": signal("actions"), "states": signal("states")}
        self.config = stream_config(**{"num_frames": 4, "hop": 4, **signals, **changes})
        self.intake = Intake(self.config, Preprocess("square", (2, 2)), lambda *said: self.told.append(said))

    def frame(self, at_ms: float) -> None:
        message = SimpleNamespace(
            header=header(T0_NS + round(at_ms * MS)), encoding="mono8", height=2, width=2, step=2, is_bigendian=0,
            data=bytes(4),
        )  # fmt: skip
        self.windows += self.intake.image("/image", message, 0)

    def command(self, at_ms: float, **positions: float) -> None:
        self.windows += self.intake.joint_command("/commands", joint_state(T0_NS + round(at_ms * MS), **positions), 0)

    def state(self, at_ms: float, **positions: float) -> None:
        self.windows += self.intake.joint_state("/states", joint_state(T0_NS + round(at_ms * MS), **positions), 0)

    def frames(self, count: int = 4, first: int = 0) -> None:
        for index in range(first, first + count):
            self.frame(100.0 * index)


def arm(number: float) -> dict[str, float]:
    return {name: number + index / 10 for index, name in enumerate(ARM)}
