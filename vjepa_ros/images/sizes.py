"""The refusals that every kind of image has in common: too large, damaged. It knows no format."""

from __future__ import annotations

from vjepa_ros.config.limits import ImageLimits
from vjepa_ros.errors import InputError


def require_pixels(width: int, height: int, limits: ImageLimits) -> None:
    """Refuse sides that give no picture, or more of one than is taken.

    Raises:
        InputError: ``empty_image`` or ``image_too_large``.
    """
    if width < 1 or height < 1:
        raise InputError("empty_image", f"{width}x{height} px")
    if width * height > limits.max_pixels:
        raise InputError(
            "image_too_large",
            f"{width}x{height} px, but at most {limits.max_pixels} px are taken (images.max_pixels): lower the "
            "camera's resolution, or raise the limit",
        )


def require_bytes(count: int, most: int, parameter: str) -> None:
    """Refuse more bytes than are taken.

    Raises:
        InputError: ``image_too_large``.
    """
    if count > most:
        raise InputError("image_too_large", f"{count} bytes, but at most {most} are taken ({parameter})")


def damaged(what: str) -> InputError:
    """The refusal of a file that cannot be decoded."""
    return InputError("undecodable_image", what)
