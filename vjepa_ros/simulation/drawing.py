"""Pictures of the arm in a scene: its surface points, the nearest one in each pixel, a light and a soft shadow.

Joint positions in, uint8 pictures out, one after another: the same joints in the same scene give the same picture. No
renderer, no GL: numpy and OpenCV. It knows no time and no messages.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.geometry import Vector
from vjepa_ros.simulation.scenes import Scene
from vjepa_ros.simulation.surface import Floats, link_poses, surface

Picture = NDArray[np.uint8]

_FINE_PX = 200  # from here on the finer points are needed
_NEAR_M, _FAR_M = 0.2, 4.0  # of the depths that are told apart, by 0.06 mm
_TABLE_LOW, _TABLE_HIGH = np.array([-0.55, -0.95]), np.array([1.05, 0.95])  # m
_GRID_M, _LINE_M, _LINE_SHADE = 0.1, 0.004, 0.90  # of the lines on the table
_SHINE = 0.22  # how bright the arm's highlights are
_PENUMBRA = 0.016  # of the shadow, in parts of the picture
_SOFT = np.array([0.1, 0.8, 0.1])  # what takes the steps out of edges


class Painter:
    """Draws one scene.

    Args:
        scene: what is around the arm.
        size: px of the pictures, which are square.
    """

    def __init__(self, scene: Scene, size: int) -> None:
        self._scene = scene
        self._size = size
        # Small pictures are drawn at twice their size, so that edges have no steps.
        self._px = px = size * (2 if size < _FINE_PX else 1)
        self._surface = surface(px >= _FINE_PX)
        count, few = len(self._surface.colours), self._surface.parts[-1].last_few
        self._places, self._dots = (np.empty((count, 1, 3), np.float32) for _ in range(2))
        self._cast = np.empty((few, 1, 3), np.float32)
        self._facing = np.empty(count, np.float32)
        self._focal = scene.focal_px(px) / px  # pictures wide
        self._colours = self._surface.colours * (255 * scene.tint * scene.brightness).astype(np.float32)
        towards_eye = scene.eye - scene.target
        half = scene.light + towards_eye / np.sqrt(towards_eye @ towards_eye)
        self._half = half / np.sqrt(half @ half)
        self._onto_table = _onto_table(scene.light)
        self._background, is_table = _background(scene, px)
        self._darkness = is_table * np.float32(scene.shadow / 255)

    def draw(self, joints: Vector, fingers_m: float | None = None) -> Picture:
        """(7,) rad -> (size, size, 3) red, green, blue.

        Args:
            joints: of the arm.
            fingers_m: how far each finger is from the middle; open where it is not given.
        """
        poses = link_poses(joints) if fingers_m is None else link_poses(joints, fingers_m)
        picture = self._background * _thrice(self._light_behind(poses))
        self._put_arm(picture, poses)
        whole = cv2.medianBlur(cv2.convertScaleAbs(picture), 3)  # rounded, and cut at 255
        if self._px == self._size:
            return np.asarray(cv2.sepFilter2D(whole, -1, _SOFT, _SOFT), np.uint8)
        return np.asarray(cv2.resize(whole, (self._size, self._size), interpolation=cv2.INTER_AREA), np.uint8)

    def _light_behind(self, poses: Vector) -> Floats:
        """(px, px), how much of the light comes to what is behind the arm."""
        px = self._px // 2 if self._px < _FINE_PX else self._px // 4  # its edge is soft anyway
        view = self._scene.view
        flat = view[:, :3] @ self._onto_table
        for part, pose in zip(self._surface.parts, poses, strict=True):
            matrix = np.concatenate([flat @ pose[:3, :3], (flat @ pose[:3, 3] + view[:, 3])[:, None]], axis=1)
            cv2.transform(part.few, matrix, dst=self._cast[part.first_few : part.last_few])
        mask = np.zeros((px + 2) * (px + 2), np.uint8)
        mask[self._cells(self._cast[:, 0], px)] = 255
        inner = mask.reshape(px + 2, px + 2)[1:-1, 1:-1]
        closed = cv2.morphologyEx(inner, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        dark = cv2.GaussianBlur(closed.astype(np.float32), (0, 0), _PENUMBRA * px)
        whole = cv2.resize(dark, (self._px, self._px), interpolation=cv2.INTER_LINEAR)
        found: Floats = 1 - whole * self._darkness
        return found

    def _put_arm(self, picture: Floats, poses: Vector) -> None:
        """Put the points that look at the camera into the picture, the nearest one in each pixel."""
        scene, px = self._scene, self._px
        for part, pose in zip(self._surface.parts, poses, strict=True):
            rotation, place, view = pose[:3, :3], pose[:3, 3], scene.view[:, :3]
            matrix = np.concatenate([view @ rotation, (view @ place + scene.view[:, 3])[:, None]], axis=1)
            cv2.transform(part.points, matrix, dst=self._places[part.first : part.last])
            dots = self._dots[part.first : part.last]
            rows = np.stack([(scene.eye - place) @ rotation, scene.light @ rotation, self._half @ rotation])
            cv2.transform(part.normals, rows, dst=dots)
            np.subtract(dots[:, 0, 0], part.distances, out=self._facing[part.first : part.last])
        chosen = np.flatnonzero(self._facing > 0)
        places = self._places[:, 0].take(chosen, axis=0)
        nearness = (_FAR_M - np.clip(places[:, 2], _NEAR_M, _FAR_M)) * np.float32(65535 / (_FAR_M - _NEAR_M))
        order = np.argsort(nearness.astype(np.uint16), kind="stable")  # the far ones first
        rank = np.full((px + 2) * (px + 2), -1, np.int32)
        rank[self._cells(places, px, 0.5)[order]] = np.arange(len(order), dtype=np.int32)  # the last one stays
        # A point is as large as four pixels, and of several the nearest is seen: neighbours are no further apart.
        grid = rank.reshape(px + 2, px + 2)[:-1, :-1]
        grid = np.maximum(grid[:, 1:], grid[:, :-1])
        seen = np.ascontiguousarray(np.maximum(grid[1:], grid[:-1])).reshape(-1)
        drawn = np.flatnonzero(seen >= 0)
        picture.reshape(-1, 3)[drawn] = self._shaded(chosen[order]).take(seen[drawn], axis=0)

    def _shaded(self, points: Any) -> Floats:
        """(n,) numbers of points -> (n, 3) what they look like, 0 to 255."""
        dots = self._dots[:, 0].take(points, axis=0)
        light, half = dots[:, 1], np.maximum(dots[:, 2], 0)
        ambient = np.float32(self._scene.ambient)
        shade = ambient + (1 - ambient) * np.maximum(light, 0) + np.float32(0.06) * np.minimum(light, 0)
        eighth = ((half * half) ** 2) ** 2
        shine = np.float32(255 * _SHINE * self._scene.brightness) * (eighth * eighth * eighth)
        found: Floats = self._colours.take(points, axis=0) * _thrice(shade)[:, 0] + _thrice(shine)[:, 0]
        return found

    def _cells(self, places: Floats, px: int, shift: float = 0.0) -> Any:
        """(n, 3) in the camera's frame -> (n,) cells of a picture with a border, the last one for what is outside."""
        depth = places[:, 2]
        scale = np.float32(self._focal * px) / np.maximum(depth, np.float32(_NEAR_M))
        middle = np.float32(px / 2 + 1 - shift)
        column, row = (np.clip(places[:, axis] * scale + middle, -1, px + 1) for axis in (0, 1))
        inside = (column >= 0) & (column < px + 1) & (row >= 0) & (row < px + 1) & (depth > _NEAR_M)
        cells = row.astype(np.intp) * (px + 2) + column.astype(np.intp)
        return np.where(inside, cells, (px + 2) * (px + 2) - 1)


def compressed(picture: Picture, form: str, quality: int) -> bytes:
    """A picture as a file.

    Args:
        picture: (h, w, 3) red, green, blue.
        form: ``png``, which keeps every pixel as it is, or ``jpeg``.
        quality: of a JPEG, 1 to 100.
    """
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1] if form == "png" else [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, file = cv2.imencode(f".{form}", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise RuntimeError(f"OpenCV has no encoder for {form}")
    return file.tobytes()


def _thrice(values: Floats) -> Floats:
    """(h, w) or (h,) -> (h, w or 1, 3), the same for red, green and blue."""
    return np.asarray(cv2.cvtColor(values, cv2.COLOR_GRAY2RGB), np.float32)


def _onto_table(light: Vector) -> Vector:
    """(3, 3), what moves points along the light onto z = 0."""
    found = np.eye(3)
    found[:, 2] -= light / light[2]
    return found


def _background(scene: Scene, px: int) -> tuple[Floats, Floats]:
    """(px, px, 3) the scene without arm and shadow, 0 to 255; (px, px) where the table is."""
    middle = (np.arange(px) + 0.5 - px / 2) / scene.focal_px(px)
    x, y = np.meshgrid(middle, middle)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ scene.view[:, :3]  # (px, px, 3) in the world
    down = np.minimum(rays[..., 2], -1e-6)
    ground = scene.eye[:2] + rays[..., :2] * (-scene.eye[2] / down)[..., None]
    is_table = ((ground > _TABLE_LOW) & (ground < _TABLE_HIGH)).all(axis=-1) & (rays[..., 2] < -1e-3)
    # Beyond the table a floor that fades into the wall.
    height = np.clip(0.5 - np.arange(px)[:, None] / px, -0.5, 0.5)
    fade = np.clip(0.55 + 1.1 * height, 0, 1)[..., None]
    beyond = scene.floor * (1 - fade) + scene.wall * fade
    glow = 1.08 - 0.22 * np.minimum(((ground - [0.35, 0.0]) ** 2).sum(axis=-1), 2.0)
    off_line = np.abs((ground + _GRID_M / 2) % _GRID_M - _GRID_M / 2).min(axis=-1)
    lines = np.where(off_line < _LINE_M / 2, _LINE_SHADE, 1.0)
    table = scene.table * (glow * lines)[..., None]
    found = np.where(is_table[..., None], table, np.broadcast_to(beyond, table.shape)) * scene.brightness
    soft = cv2.GaussianBlur(found.astype(np.float32), (3, 3), 0)
    return np.asarray(soft * np.float32(255), np.float32), is_table.astype(np.float32)
