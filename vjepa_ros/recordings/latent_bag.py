"""What the node would publish, written as a bag that ``ros2 bag play`` plays. No ROS graph.

It knows the messages of the node's topics, not where their values come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_ros import latents
from vjepa_ros.recordings.writing import BagWriter, header, new

_IMAGE, _STRING = "sensor_msgs/msg/Image", "std_msgs/msg/String"
_DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"


class LatentBag(BagWriter):
    """Writes what the node would have published, under its name, as a bag that ``ros2 bag play`` plays.

    Args:
        folder: the bag, a folder that is not there yet.
        node_name: full name of the node, such as ``/vjepa_predictor``.
        context: whether there are context latents too.

    Raises:
        OSError: by every method, where the disk is full or fails; it names the bag.
    """

    def __init__(self, folder: Path, node_name: str, *, context: bool) -> None:
        super().__init__(folder)
        self._name = node_name
        self._info = self.topic(f"{node_name}/latent_info", _STRING, 1, latched=True)
        self._window = self.topic(f"{node_name}/window_info", _DIAGNOSTICS, 10)
        self._predicted = self.topic(f"{node_name}/predicted_latents", _IMAGE, 2)
        self._context = self.topic(f"{node_name}/context_latents", _IMAGE, 2) if context else None

    def info(self, text: str, at_ns: int) -> None:
        """Write ``latent_info``, JSON, as published at a time."""
        self.write(self._info, at_ns, new(_STRING, data=text))

    def window(
        self,
        values: Mapping[str, str],
        predicted: latents.Latents,
        context: latents.Latents | None,
        at_ns: int,
    ) -> None:
        """Write ``window_info`` and the latents of a window, as published at a time."""
        image = _image(predicted)
        pairs = [new("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in values.items()]
        status = new(
            "diagnostic_msgs/msg/DiagnosticStatus",
            level=0, name=self._name, message="", hardware_id="vjepa_ros", values=pairs,
        )  # fmt: skip
        self.write(self._window, at_ns, new(_DIAGNOSTICS, header=image.header, status=[status]))
        self.write(self._predicted, at_ns, image)
        if context is not None and self._context is not None:
            self.write(self._context, at_ns, _image(context))


def _image(of: latents.Latents) -> Any:
    empty = new(
        _IMAGE, header=header(), height=0, width=0, encoding="", is_bigendian=0, step=0, data=np.zeros(0, np.uint8)
    )
    message = latents.write(empty, of)
    message.data = np.frombuffer(message.data, np.uint8)  # rosbags takes nothing else
    return message
