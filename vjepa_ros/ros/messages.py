"""Fills ROS messages from plain values; nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float32, Float32MultiArray, MultiArrayDimension, String

from vjepa_ros import latents
from vjepa_ros.documents import to_json
from vjepa_ros.units import S_TO_NS, set_stamp


def latents_message(of: latents.Latents) -> Image:
    """Latents (steps, H', W', D) as an image, stamped like the window's newest frame."""
    message: Image = latents.write(Image(), of)
    return message


def info_message(info: Mapping[str, Any]) -> String:
    """``latent_info`` as JSON."""
    return String(data=to_json(info))


def window_message(values: Mapping[str, Any], of: latents.Latents, name: str) -> DiagnosticArray:
    """``window_info`` under the same header as the latents it belongs to."""
    message = DiagnosticArray()
    _head(message, of.stamp_ns, of.frame_id)
    message.status = [status_message(name, DiagnosticStatus.OK, "", latents.window_values(values))]
    return message


def number_message(value: float) -> Float32:
    """A number."""
    return Float32(data=value)


def answer_message(values: Mapping[str, Any], stamp_ns: int, frame_id: str, name: str) -> DiagnosticArray:
    """``candidate_info``: what became of a question."""
    message = DiagnosticArray()
    set_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    level, text = DiagnosticStatus.OK, ""
    if not values["answered"]:
        level, text = DiagnosticStatus.WARN, f"{values['reason']}: {values['detail']}"
    message.status = [status_message(name, level, text, latents.window_values(values))]
    return message


def energies_message(energies: NDArray[np.float32], tag: Sequence[float]) -> Float32MultiArray:
    """Energies (K, H) after the tag of their question."""
    message = Float32MultiArray()
    sizes, strides = energies.shape, (energies.size, energies.shape[1])
    message.layout.dim = [
        MultiArrayDimension(label=label, size=size, stride=stride)
        for label, size, stride in zip(("candidate", "step"), sizes, strides, strict=True)
    ]
    message.layout.data_offset = len(tag)
    message.data.frombytes(np.concatenate([np.asarray(tag, np.float32), energies.ravel()]).tobytes())
    return message


def picture_message(picture: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Image:
    """A picture (h, w, 3), red, green, blue."""
    height, width, channels = picture.shape
    message = Image(height=height, width=width, encoding="rgb8", step=width * channels)
    _head(message, stamp_ns, frame_id)
    message.data.frombytes(picture.tobytes())
    return message


def file_message(file: bytes, form: str, stamp_ns: int, frame_id: str) -> CompressedImage:
    """A picture as a file, named as image_transport names those of rgb8 images."""
    message = CompressedImage(format=f"rgb8; {form} compressed bgr8")
    _head(message, stamp_ns, frame_id)
    message.data.frombytes(file)
    return message


def joints_message(names: Sequence[str], positions: NDArray[np.float64], stamp_ns: int) -> JointState:
    """Positions of joints in rad and m."""
    message = JointState(name=list(names), position=positions.tolist())
    _head(message, stamp_ns, "")
    return message


def _head(message: Any, stamp_ns: int, frame_id: str) -> None:
    set_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id


def status_message(
    name: str, level: bytes, text: str, values: Mapping[str, Any], hardware_id: str = "vjepa_ros"
) -> DiagnosticStatus:
    """One diagnostic status; every value becomes text."""
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=text, hardware_id=hardware_id, values=pairs)


def message_stamp_ns(message: Any) -> int | None:
    """The stamp in a message's header; None where it has none, or an empty one."""
    header = getattr(message, "header", None)
    if header is None:
        return None
    stamp_ns = int(header.stamp.sec) * S_TO_NS + int(header.stamp.nanosec)
    return stamp_ns or None


def diagnostics_message(stamp: Time, statuses: list[DiagnosticStatus]) -> DiagnosticArray:
    """A diagnostic array."""
    message = DiagnosticArray(status=statuses)
    message.header.stamp = stamp
    return message
