"""What is around the arm: colours, light and the camera, from a seed. Numbers only; it draws nothing."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vjepa_ros.geometry import Vector

EYE, TARGET = np.array([1.40, 0.85, 0.85]), np.array([0.37, -0.03, 0.33])  # m
FIELD_DEG = 44.0
_LIGHT = np.array([0.30, 0.42, 0.86])  # towards it
_TABLE, _WALL, _FLOOR = np.array([0.69, 0.56, 0.43]), np.array([0.52, 0.60, 0.68]), np.array([0.30, 0.34, 0.40])


@dataclass(frozen=True)
class Scene:
    """What a camera sees around the arm.

    Attributes:
        eye, target: where the camera is, and what it looks at, in m from the base of the arm.
        field_deg: its angle of view, across and upright: pictures are square.
        light: (3,) unit vector towards the light.
        brightness: of everything, 1 as it is.
        ambient: the part of the light that comes from everywhere, 0 to 1.
        shadow: how dark the arm's shadow is, 0 to 1.
        table, wall, floor: (3,) red, green, blue, 0 to 1.
        tint: (3,) what the arm's own colours are multiplied by.
    """

    eye: Vector
    target: Vector
    field_deg: float
    light: Vector
    brightness: float
    ambient: float
    shadow: float
    table: Vector
    wall: Vector
    floor: Vector
    tint: Vector

    @cached_property
    def view(self) -> Vector:
        """(3, 4), from points of the world to x to the right, y down and z ahead, in m."""
        ahead = _unit(self.target - self.eye)
        right = _unit(np.array([ahead[1], -ahead[0], 0.0]))
        rows = np.stack([right, np.cross(ahead, right), ahead])
        return np.concatenate([rows, -(rows @ self.eye)[:, None]], axis=1)

    def focal_px(self, size: int) -> float:
        """The focal length of a picture so many px wide and high."""
        return float(size / 2 / np.tan(np.radians(self.field_deg / 2)))

    def pixel_of(self, place: Vector, size: int) -> tuple[float, float]:
        """(3,) m -> where a picture so many px wide and high has it: column and row, from its upper left corner."""
        x, y, ahead = self.view @ np.append(place, 1.0)
        scale = self.focal_px(size) / ahead
        return float(size / 2 + x * scale), float(size / 2 + y * scale)


def _unit(vector: Vector) -> Vector:
    found: Vector = vector / np.sqrt(vector @ vector)
    return found


FIXED = Scene(
    eye=EYE, target=TARGET, field_deg=FIELD_DEG, light=_unit(_LIGHT), brightness=1.0, ambient=0.42, shadow=0.55,
    table=_TABLE, wall=_WALL, floor=_FLOOR, tint=np.ones(3),
)  # fmt: skip
"""The scene that every other one is a variation of."""


def scene(variation: str, rng: np.random.Generator) -> Scene:
    """A scene.

    Args:
        variation: one of :data:`~vjepa_ros.simulation.plan.VARIATIONS`. ``fixed`` is always :data:`FIXED`; ``varied``
            has colours and a light of its own, and an eye up to 1 cm elsewhere; ``wide`` has any hue, an eye up to 4 cm
            elsewhere and a field up to 1 degree other.
        rng: what the variation comes from.
    """
    if variation == "fixed":
        return FIXED
    wide = variation == "wide"
    around = rng.uniform(-0.04 if wide else -0.01, 0.04 if wide else 0.01, 3)
    turned, lifted = rng.uniform(-0.6, 0.6, 2) if wide else rng.uniform(-0.35, 0.35, 2)
    c, s = np.cos(turned), np.sin(turned)
    light = _unit(
        np.array([c * _LIGHT[0] - s * _LIGHT[1], s * _LIGHT[0] + c * _LIGHT[1], _LIGHT[2] * (1 + lifted / 2)])
    )
    table, wall, floor = (_colour(rng, colour, wide) for colour in (_TABLE, _WALL, _FLOOR))
    return Scene(
        eye=EYE + around,
        target=TARGET,
        field_deg=FIELD_DEG + (rng.uniform(-1.0, 1.0) if wide else 0.0),
        light=light,
        brightness=rng.uniform(0.85, 1.12),
        ambient=rng.uniform(0.36, 0.48),
        shadow=rng.uniform(0.40, 0.65),
        table=table,
        wall=wall,
        floor=floor,
        tint=rng.uniform(0.85 if wide else 0.93, 1.0, 3),
    )


def _colour(rng: np.random.Generator, usual: Vector, wide: bool) -> Vector:
    """A colour near the usual one, or of any hue."""
    hue, saturation, value = colorsys.rgb_to_hsv(*usual)
    hue = rng.random() if wide else hue + rng.uniform(-0.08, 0.08)
    saturation = rng.uniform(0.05, 0.6) if wide else saturation * rng.uniform(0.6, 1.3)
    value *= rng.uniform(0.75, 1.2) if wide else rng.uniform(0.85, 1.12)
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, min(saturation, 1.0), min(value, 1.0)))
