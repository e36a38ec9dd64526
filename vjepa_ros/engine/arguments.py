"""What callers of the world model hand in, as arrays and tensors: whatever can be taken for one, or one sentence.

It knows no shapes but those of images; whoever computes checks its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.config.view import ViewConfig
from vjepa_ros.errors import ShapeError, brief

Values = Tensor | NDArray[np.floating] | Sequence[Any]
"""Numbers: a tensor, an array, or lists of them inside of each other."""

Image = NDArray[np.uint8] | Any
"""(h, w, 3) uint8 RGB: an array, or whatever numpy makes one of, as of an image of PIL in mode RGB."""

# Numbers of numpy that torch has no type for, at least in some of its versions.
_TAKEN: dict[str, type] = {
    "float128": np.float64, "longdouble": np.float64, "uint16": np.int64, "uint32": np.int64, "uint64": np.int64,
}  # fmt: skip


def as_tensor(value: Any, name: str) -> Tensor:
    """The value as a tensor; numpy arrays are copied, since they may be read-only views of a message.

    Args:
        value: numbers.
        name: of the argument, for the message.

    Raises:
        ShapeError: for what is no numbers, or lists of unequal lengths.
    """
    if isinstance(value, Tensor):
        tensor = value
    else:
        if isinstance(value, (list, tuple)):  # numpy does not look into lists of tensors
            value = _without_tensors(value)
        array = _array(value, name)
        if array.dtype.kind not in "fiu":
            raise ShapeError(f"{name} must be numbers in an array, a tensor or lists, not {_what(value, array)}")
        dtype = _TAKEN.get(array.dtype.name, array.dtype.newbyteorder("="))
        tensor = torch.from_numpy(array.astype(dtype, order="C"))  # a copy, forward through memory as torch wants it
    if tensor.device.type == "meta":
        raise ShapeError(f"{name} must be numbers, not a tensor without any (on the device meta)")
    if tensor.layout != torch.strided or tensor.is_complex() or tensor.dtype == torch.bool or tensor.is_quantized:
        raise ShapeError(f"{name} must be dense real numbers, not {tensor.dtype}, {tensor.layout}")
    return tensor.detach()


def as_image(value: Any, name: str) -> NDArray[np.uint8]:
    """The value as an (h, w, 3) uint8 array.

    Args:
        value: an image.
        name: of the argument, for the message.

    Raises:
        ShapeError: for anything else, with what to do about it.
    """
    array = _array(value, name)
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8 and array.size:
        return array
    advice = ""
    mode = getattr(value, "mode", None)
    if isinstance(mode, str) and array.ndim in (2, 3):
        advice = f": this is an image of mode {brief(mode)}, use .convert('RGB')"
    elif array.dtype.kind == "f":
        advice = ": levels from 0 to 1 must be multiplied by 255 and rounded first"
    elif array.ndim == 3 and array.shape[0] == 3:
        advice = ": the colours come last here"
    raise ShapeError(f"{name} must be (h, w, 3) uint8 RGB and not empty, not {_what(value, array)}{advice}")


def as_frames(value: Any) -> list[NDArray[np.uint8]]:
    """The value as images, one after another.

    Args:
        value: (N, h, w, 3) uint8 RGB, or N images, see :func:`as_image`.

    Raises:
        ShapeError: for anything else, or no image at all.
    """
    if isinstance(value, (list, tuple)):
        frames: Sequence[Any] = value
    else:
        array = _array(value, "frames")
        if array.ndim != 4:
            raise ShapeError(f"frames must be (N, h, w, 3) uint8 or a list of images, not {_what(value, array)}")
        frames = list(array)
    if not frames:
        raise ShapeError("frames must be (N, h, w, 3) uint8 with N of at least 1, not none at all")
    return [as_image(frame, f"frame {index}") for index, frame in enumerate(frames)]


def require_view(view: Any) -> None:
    """Refuse what is no view.

    Raises:
        ShapeError: saying what it is.
    """
    if view is not None and not isinstance(view, ViewConfig):
        raise ShapeError(f"view must be a ViewConfig or None, not {_kind(view)}")


def _array(value: Any, name: str) -> NDArray[Any]:
    if value is None or isinstance(value, (str, bytes, dict)):
        raise ShapeError(f"{name} must be an array or what can be made one, not {_kind(value)}")
    try:
        return np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
    except Exception as error:  # lists of unequal lengths, and whatever others' conversions raise
        raise ShapeError(f"{name} cannot be made an array: {brief(str(error))}") from error


def _without_tensors(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().double().numpy() if value.dtype == torch.bfloat16 else value.detach().cpu().numpy()
    return [_without_tensors(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _what(value: Any, array: NDArray[Any]) -> str:
    return f"{_kind(value)} of shape {array.shape} and {array.dtype}"


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
