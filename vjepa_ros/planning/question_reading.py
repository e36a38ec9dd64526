"""Questions as they come in messages: candidates, and the tag by which whoever asks knows the answer again.

A question is untrusted input: nothing is computed, and no memory taken, before its layout and size have been checked.
It reads any object with the fields of a std_msgs/Float32MultiArray, and imports no ROS.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.parts import CandidatesConfig
from vjepa_ros.errors import InputError

LABELS = ("candidate", "step", "joint")
MAX_TAG = 16  # numbers before the candidates


def read_tag(message: Any) -> tuple[float, ...]:
    """The asker's own numbers, which come back with the answer: those before ``data_offset``. Empty without any."""
    offset = int(message.layout.data_offset)
    tag = tuple(map(float, message.data[: min(offset, MAX_TAG)]))
    return tag if len(tag) == offset and all(map(math.isfinite, tag)) else ()


def read_candidates(message: Any, action_dim: int, limits: CandidatesConfig) -> NDArray[np.float64]:
    """The candidates of a std_msgs/Float32MultiArray.

    Args:
        message: dims labelled candidate, step, joint, row-major; ``data_offset`` numbers before them are the tag.
            Strides are those of an array without gaps (K*H*A, H*A, A), or 0 where nobody filled them in.
        action_dim: A.
        limits: the largest K and H.

    Returns:
        (K, H, A), K sequences of H actions in the units of the commands as they are read: what ``window_info`` calls
        actions. The first action acts at the last observed step.

    Raises:
        InputError: ``bad_layout``, ``too_large`` or ``bad_values``.
    """
    dims, offset, count = message.layout.dim, int(message.layout.data_offset), len(message.data)
    labels = tuple(dim.label[:20] for dim in dims[: len(LABELS) + 1])  # cut for the message that says what is wrong
    if labels != LABELS:
        raise InputError("bad_layout", f"{len(dims)} dims labelled {labels}; candidates have {LABELS}")
    sizes = candidates, steps, joints = tuple(int(dim.size) for dim in dims)
    if joints != action_dim or min(sizes) < 1:
        raise InputError("bad_layout", f"sizes {sizes}; K candidates of H steps are (K, H, {action_dim})")
    if candidates > limits.max_count or steps > limits.max_horizon:
        raise InputError(
            "too_large", f"{candidates} candidates of {steps} steps; candidates.max_count is {limits.max_count}, "
            f"candidates.max_horizon {limits.max_horizon}",
        )  # fmt: skip
    strides, dense = tuple(int(dim.stride) for dim in dims), (candidates * steps * joints, steps * joints, joints)
    if any(stride not in (0, wanted) for stride, wanted in zip(strides, dense, strict=True)):
        raise InputError("bad_layout", f"strides {strides}; sizes {sizes} without gaps have {dense}")
    if offset > MAX_TAG or count != offset + dense[0]:
        raise InputError(
            "bad_layout",
            f"{count} numbers, data_offset {offset}; needed are {dense[0]} after at most {MAX_TAG} others",
        )
    values = np.array(message.data, np.float64)  # a copy: the message is the middleware's
    if not np.isfinite(values).all():
        raise InputError("bad_values", f"{np.count_nonzero(~np.isfinite(values))} of {count} numbers are not finite")
    return values[offset:].reshape(sizes)
