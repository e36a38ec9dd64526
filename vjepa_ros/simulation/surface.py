"""The arm's surface: points with normals and colours in the frames of its links, and where these are.

The asset is made of Franka's meshes (assets/README.md). It knows no camera and no light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.geometry import Vector
from vjepa_ros.simulation import panda

_UNIT_M = 1e-4  # of the positions in the file
_FEW = 3  # every third of the coarser points
_FULL = 127  # a normal's length there
_TURNED = np.diag([-1.0, -1.0, 1.0, 1.0])  # the other finger is the same one, turned half about z

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """A link's surface.

    Attributes:
        points: (n, 1, 3) float32 in m, in the link's frame.
        normals: (n, 1, 3) float32.
        distances: (n,) float32, a point's normal times its place: the distance of its plane from the origin, in m.
        first, last: its points are these of all.
        few: (m, 1, 3) float32, some of the points, enough for a shadow.
        first_few, last_few: these are they of all such.
    """

    points: Floats
    normals: Floats
    distances: Floats
    first: int
    last: int
    few: Floats
    first_few: int
    last_few: int


@dataclass(frozen=True)
class Surface:
    """The arm.

    Attributes:
        parts: its links from base to fingers; the second finger comes last.
        colours: (points, 3) float32, 0 to 1.
    """

    parts: tuple[Part, ...]
    colours: Floats


@cache
def surface(fine: bool) -> Surface:
    """The arm's surface.

    Args:
        fine: with points some 3.7 mm apart, else 5.3 mm.
    """
    with np.load(panda.ASSETS / "panda.npz", allow_pickle=False) as file:
        stored: dict[str, Any] = {name: file[name] for name in file.files}
    parts: list[Part] = []
    colours: list[Floats] = []
    first = start = shadow = 0
    counts = stored["counts"]
    for coarse, more in [*counts, counts[-1]]:
        if len(parts) == len(counts):
            start -= coarse + more  # the last one once more: the other finger
        chosen = slice(start, start + coarse + (more if fine else 0))
        points = (stored["positions"][chosen] * np.float32(_UNIT_M)).astype(np.float32)
        normals = (stored["normals"][chosen] / np.float32(_FULL)).astype(np.float32)
        normals /= np.sqrt((normals**2).sum(axis=1, keepdims=True))
        last = first + len(points)
        distances = (points * normals).sum(axis=1)
        few = np.ascontiguousarray(points[:coarse:_FEW, None])
        parts.append(Part(points[:, None], normals[:, None], distances, first, last, few, shadow, shadow + len(few)))
        colours.append(stored["palette"][stored["colours"][chosen]] / np.float32(255))
        first, start, shadow = last, start + coarse + more, shadow + len(few)
    return Surface(tuple(parts), np.concatenate(colours).astype(np.float32))


def link_poses(joints: Vector, fingers_m: Vector | float = panda.OPEN_M) -> Vector:
    """Where the parts are.

    Args:
        joints: (..., 7) in rad.
        fingers_m: (...,) how far each finger is from the middle, in m.

    Returns:
        (..., 11, 4, 4), in the order of :attr:`Surface.parts`.
    """
    arm = panda.kinematics("panda_hand").frames(joints)  # (..., 8, 4, 4): links 1 to 7, the hand
    fingers = np.broadcast_to(fingers_m, joints.shape[:-1])
    found = np.empty((*joints.shape[:-1], 11, 4, 4))
    found[..., 0, :, :] = np.eye(4)
    found[..., 1:9, :, :] = arm
    for number, name in ((9, "panda_leftfinger"), (10, "panda_rightfinger")):
        found[..., number, :, :] = _finger(arm[..., -1, :, :], name, fingers)
    found[..., 10, :, :] = found[..., 10, :, :] @ _TURNED
    return found


def _finger(hand: Vector, link: str, fingers: Vector) -> Vector:
    return hand @ panda.finger(link).frames(fingers[..., None])[..., -1, :, :]
