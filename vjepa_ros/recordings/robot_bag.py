"""What a robot would have published, written as a bag: camera, measured and commanded joints, its description.

It knows the messages of the node's inputs, not where their values come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.recordings.writing import BagWriter, header, new

_IMAGE, _JOINTS, _STRING = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState", "std_msgs/msg/String"


class RobotBag(BagWriter):
    """Writes what a robot publishes, on topics named like the node's inputs, as a bag that ``ros2 bag play`` plays.

    Args:
        folder: the bag, a folder that is not there yet.

    Raises:
        OSError: by every method, where the disk is full or fails; it names the bag.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, compressed=True)
        self._description = self.topic("/robot_description", _STRING, 1, latched=True)
        self._image = self.topic("/image", _IMAGE, 5)
        self._states = self.topic("/joint_states", _JOINTS, 1000)
        self._commands = self.topic("/joint_commands", _JOINTS, 1000)

    def description(self, text: str, at_ns: int) -> None:
        """Write the robot description, as published at a time."""
        self.write(self._description, at_ns, new(_STRING, data=text))

    def image(self, picture: NDArray[np.uint8], at_ns: int) -> None:
        """Write a picture, (h, w, 3) red, green, blue, stamped and received at a time."""
        height, width, _ = picture.shape
        data = np.ascontiguousarray(picture).reshape(-1)
        message = new(_IMAGE, header=header(at_ns, "camera"), height=height, width=width, encoding="rgb8",
                      is_bigendian=0, step=3 * width, data=data)  # fmt: skip
        self.write(self._image, at_ns, message)

    def joint_states(self, names: Sequence[str], positions: NDArray[np.float64], at_ns: int) -> None:
        """Write measured joints in rad and m, stamped and received at a time."""
        self.write(self._states, at_ns, _joints(names, positions, at_ns))

    def joint_commands(
        self, names: Sequence[str], positions: NDArray[np.float64], at_ns: int, received_ns: int
    ) -> None:
        """Write commanded joints in rad and m, stamped at a time and received at another one."""
        self.write(self._commands, received_ns, _joints(names, positions, at_ns))


def _joints(names: Sequence[str], positions: NDArray[np.float64], at_ns: int) -> Any:
    none = np.zeros(0)
    return new(_JOINTS, header=header(at_ns), name=list(names), position=np.ascontiguousarray(positions, np.float64),
               velocity=none, effort=none)  # fmt: skip
