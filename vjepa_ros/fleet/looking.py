"""What is looked for in a fleet, with the defaults. Nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjepa_ros.config.checks import is_finite, require
from vjepa_ros.errors import brief

MOST = 1000


@dataclass(frozen=True)
class Looking:
    """A picture, and where to look for it.

    Attributes:
        fleet: folder of a fleet.
        image: a PNG or JPEG file, as the camera would give it.
        out: the contact sheet to make, a PNG file; None for none.
        patch: a part of what the encoder sees of the picture, to look for that alone: left, top, width and height, as
            shares from 0 to 1; None for all of it.
        count: how many windows.
        apart_s: two windows of one recording are at least so far apart.
        values: parameters of who computes: ``device``, ``threads``.
        force: replace the sheet if it is there.
    """

    fleet: Path
    image: Path
    out: Path | None = None
    patch: tuple[float, float, float, float] | None = None
    count: int = 12
    apart_s: float = 2.0
    values: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ConfigError: naming the field.
        """
        require(1 <= self.count <= MOST, "count", f"must be from 1 to {MOST}, not {brief(self.count)}")
        require(is_finite(self.apart_s) and self.apart_s >= 0, "apart_s", "must not be negative")
        require(self.out is None or self.out.suffix == ".png", "out", "must end in .png")
        if self.patch is not None:
            left, top, width, height = self.patch
            inside = all(map(is_finite, self.patch)) and min(left, top) >= 0 and width > 0 and height > 0
            require(
                inside and left + width <= 1 and top + height <= 1, "patch",
                f"is left, top, width and height as shares of the picture, from 0 to 1, not {brief(self.patch)}",
            )  # fmt: skip
