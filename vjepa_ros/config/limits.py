"""What one message may cost: the parameters ``images.*`` and ``messages.*``. Numbers only.

Whoever has no parameters at hand takes the table's defaults from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from vjepa_ros.config.parts import part
from vjepa_ros.config.table import BY_NAME


@dataclass(frozen=True)
class ImageLimits:
    """Of one image; more is refused before anything is decoded.

    Attributes:
        max_pixels: of any image; decoded they take three bytes each.
        max_bytes: the data of a raw image.
        max_file_bytes: the file of a compressed image.
        max_scans: passes over the picture of a JPEG; a progressive one has about ten.
        max_segments: segments of a JPEG or chunks of a PNG, bytes of filling included.
    """

    max_pixels: int
    max_bytes: int
    max_file_bytes: int
    max_scans: int
    max_segments: int


@dataclass(frozen=True)
class MessageLimits:
    """Of one message of joints, poses or descriptions, and of what is kept of them.

    Attributes:
        max_joints: names in a message.
        max_name_length: of a joint or a frame, in characters.
        max_points: points of a trajectory.
        max_stream_bytes: kept of one stream, with what each value takes besides its numbers.
        max_description_length: of a robot description, in characters.
    """

    max_joints: int
    max_name_length: int
    max_points: int
    max_stream_bytes: int
    max_description_length: int


_DEFAULTS = {name: row.default for name, row in BY_NAME.items()}
IMAGES = part(ImageLimits, _DEFAULTS, "images.")
MESSAGES = part(MessageLimits, _DEFAULTS, "messages.")
