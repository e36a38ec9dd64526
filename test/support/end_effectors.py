"""What an end effector is made of, as messages: recorded joints, a description, poses; and an intake for them."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from support import panda, recorded
from vjepa_ros.config.node import resolve
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.stream.intake import Intake
from vjepa_ros.stream.window import Window

DESCRIPTION = "/robot_description"
POSE = "/end_effector_pose"


def intake_of(**changes: Any) -> tuple[Intake, list[tuple[str, str, str]]]:
    """An intake of the preset, and what it reports."""
    config = resolve({**panda.PRESET, **{name.replace("__", "."): value for name, value in changes.items()}})
    told: list[tuple[str, str, str]] = []
    preprocess = Preprocess(config.model.preprocessing, config.model.image_size)
    return Intake(config.stream, preprocess, lambda *said: told.append(said)), told


def feed(intake: Intake, messages: Iterable[tuple[str, Any]]) -> list[Window]:
    take = {
        DESCRIPTION: intake.robot_description, recorded.CAMERA: intake.compressed_image,
        recorded.STATES: intake.joint_state, recorded.COMMANDS: intake.joint_command, POSE: intake.end_effector_pose,
    }  # fmt: skip
    return [window for topic, message in messages for window in take[topic](topic, message, 0)]


def text(content: str = panda.URDF) -> Any:
    return SimpleNamespace(data=content)


def header(stamp_ns: int, frame_id: str = "") -> Any:
    return SimpleNamespace(stamp=SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id=frame_id)


def joints(stamp_ns: int = 10**9, **positions: float) -> Any:
    return SimpleNamespace(header=header(stamp_ns), name=list(positions), position=list(positions.values()))


def arm(*positions: float) -> dict[str, float]:
    return dict(zip(recorded.JOINTS, positions or (0.0,) * 7, strict=True))


def pose(
    position: Iterable[float] = (1.0, 2.0, 3.0),
    quaternion: Iterable[float] = (0.0, 0.0, 0.0, 1.0),
    stamp_ns: int = 10**9,
    frame_id: str = "panda_link0",
) -> Any:
    (x, y, z), (a, b, c, w) = position, quaternion
    placed = SimpleNamespace(position=SimpleNamespace(x=x, y=y, z=z), orientation=SimpleNamespace(x=a, y=b, z=c, w=w))
    return SimpleNamespace(header=header(stamp_ns, frame_id), pose=placed)


JOINTS = [(topic, message) for topic, message in recorded.messages() if topic in (recorded.STATES, recorded.COMMANDS)]
CAMERA = [(topic, message) for topic, message in recorded.messages() if topic == recorded.CAMERA]
MESSAGES = [(topic, m) for topic, m in recorded.messages() if topic in {t for t, _ in [*JOINTS, *CAMERA]}]
