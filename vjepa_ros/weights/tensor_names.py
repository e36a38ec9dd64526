"""Names of tensors as training and compiling leave them, and what the model calls them: no two may come to one name.

It knows no files and no models.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from vjepa_ros.errors import CheckpointError, named

PREFIXES = ("module.", "backbone.", "_orig_mod.")
"""What training and compiling wrap around a model; names may begin with any of them, in any order and number."""

_WRAPPED = re.compile(rf"(?:{'|'.join(map(re.escape, PREFIXES))})*")
_Tensor = TypeVar("_Tensor")

Refusal = Callable[[str], CheckpointError]
"""Makes of what is wrong what is raised."""


def strip(name: str) -> str:
    """A name without what training wraps around it; in one pass, however often that is."""
    wrapped = _WRAPPED.match(name)
    return name[wrapped.end() :] if wrapped else name


def put(tensors: dict[str, _Tensor], name: str, tensor: _Tensor, stands_as: str, refusal: Refusal) -> None:
    """Put a tensor under the model's name for it, which must be free: which of two is meant, nobody knows.

    Args:
        tensors: those so far; this one is added.
        name, tensor: what it is called here, and it.
        stands_as: what it is called in the file.
        refusal: makes the exception of a sentence.

    Raises:
        CheckpointError: by ``refusal``, where the name is taken.
    """
    if name in tensors:
        raise refusal(f"has {named(name)} twice, the second time as {named(stands_as)}")
    tensors[name] = tensor
