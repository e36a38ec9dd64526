"""Fills ROS messages from plain values; nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import String

from vjepa_ros import latents
from vjepa_ros.stream.window import Window


def latents_message(array: NDArray[Any], window: Window) -> Image:
    """Latents (steps, H', W', D) as an image, stamped like the window's newest frame."""
    message: Image = latents.write(Image(), latents.Latents(array, window.stamp_ns, window.frames[-1].frame_id))
    return message


def info_message(info: Mapping[str, Any]) -> String:
    """``latent_info`` as JSON."""
    return String(data=json.dumps(info))


def window_message(values: Mapping[str, Any], image: Image, name: str) -> DiagnosticArray:
    """``window_info`` under the same header as the latents it belongs to."""
    message = DiagnosticArray()
    message.header = image.header
    message.status = [status_message(name, DiagnosticStatus.OK, "", latents.window_values(values))]
    return message


def status_message(name: str, level: bytes, text: str, values: Mapping[str, Any]) -> DiagnosticStatus:
    """One diagnostic status; every value becomes text."""
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=text, hardware_id="vjepa_ros", values=pairs)


def diagnostics_message(stamp: Time, statuses: list[DiagnosticStatus]) -> DiagnosticArray:
    """A diagnostic array."""
    message = DiagnosticArray(status=statuses)
    message.header.stamp = stamp
    return message
