"""What of a camera image is looked at. It knows no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vjepa_ros.config.checks import require
from vjepa_ros.errors import brief

RotationDeg = Literal[0, 90, 180, 270]
Flip = Literal["none", "horizontal", "vertical"]
ROTATIONS_DEG: tuple[int, ...] = get_args(RotationDeg)
FLIPS: tuple[str, ...] = get_args(Flip)


@dataclass(frozen=True)
class ViewConfig:
    """What of a camera image is looked at, and how it is turned, before the model's own preprocessing: in this order.

    Attributes:
        roi: the region of interest (x, y, width, height) in px of the camera's image; empty for the whole.
        rotation_deg: quarter turns, clockwise.
        flip: ``none``; ``horizontal`` swaps left and right, ``vertical`` top and bottom, of the turned image.

    Raises:
        ConfigError: where a value makes no sense; it names the parameter.
    """

    roi: tuple[int, ...]
    rotation_deg: RotationDeg
    flip: Flip

    def __post_init__(self) -> None:
        require(
            not self.roi or (len(self.roi) == 4 and min(self.roi[:2]) >= 0 and min(self.roi[2:]) >= 1),
            "view.roi", f"must be [x, y, width, height] in px with no side below 1, not {brief(list(self.roi))}",
        )  # fmt: skip
        require(
            self.rotation_deg in ROTATIONS_DEG,
            "view.rotation_deg", f"{brief(self.rotation_deg)} is not one of {', '.join(map(str, ROTATIONS_DEG))}",
        )  # fmt: skip
        require(self.flip in FLIPS, "view.flip", f"{brief(self.flip)} is not one of {', '.join(FLIPS)}")
