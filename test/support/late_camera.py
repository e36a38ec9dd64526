"""A simulated recording whose camera is late: its stamps say a known time more than when the pictures were taken.

Its commands come as often as the joints are measured, as of a controller that is told where to be one step later: those
of ``vjepa_simulate`` come once a step, and whatever is less than a step off reads the same command.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from support import bags
from vjepa_ros.simulation import recording
from vjepa_ros.simulation.plan import FRAME_HZ, STEP_FRAMES, Plan, World

LATE_NS = 100 * bags.MS
WORLD, EPISODES = World(seed=902, frames=24, variation="fixed"), 5
OFFSETS_S = (-0.3, -0.2, -0.1, 0.0, 0.1)
GRID: dict[str, Any] = {"points": 5, "windows": 16}
"""The recording, and the scan of it, that docs/probe.md shows."""

STEP_NS = STEP_FRAMES * bags.S // FRAME_HZ
_CAMERA, _MEASURED, _COMMANDS = "/image", "/joint_states", "/joint_commands"


def write(folder: Path, late_ns: int = LATE_NS, world: World = WORLD, episodes: int = EPISODES) -> Path:
    """Simulate, and write what a late camera would have recorded.

    Args:
        folder: where the recording as it should be, and this one, are made.
        late_ns: how late.
        world, episodes: of the simulation.

    Returns:
        The bag.
    """
    right = folder / "right"
    recording.record(Plan(right, world, episodes))
    found: list[bags.Message] = []
    with AnyReader([right], default_typestore=bags.TYPES) as reader:
        for connection, received_ns, raw in reader.messages():
            topic, data = connection.topic, reader.deserialize(raw, connection.msgtype)
            message = bags.Message(received_ns, topic, connection.msgtype, received_ns, data)
            if topic == _CAMERA:
                message = message._replace(received_ns=received_ns + late_ns, stamp_ns=received_ns + late_ns)
            elif topic == _MEASURED:
                at_ns = received_ns - STEP_NS
                found.append(bags.Message(at_ns, _COMMANDS, connection.msgtype, at_ns, deepcopy(data)))
            if topic != _COMMANDS:
                found.append(message)
    return bags.write(folder / "late", found)
