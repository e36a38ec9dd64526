"""A contact sheet: a picture, and the windows that look like it, each with its likeness, recording and time.

The frame of a window comes from the video of the dataset, where one was written, or else out of its recording, read
once more without a model. Pixels in and out; it knows no latents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros import files
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.errors import VjepaError
from vjepa_ros.fleet import places
from vjepa_ros.fleet.frames import picture
from vjepa_ros.fleet.plan import FIND_TOOL
from vjepa_ros.fleet.search import Match
from vjepa_ros.fleet.store import VIDEO, Store
from vjepa_ros.images.bridge import decode
from vjepa_ros.recordings.feed import Feed, open_source
from vjepa_ros.recordings.reading import Say
from vjepa_ros.units import S_TO_NS

_TILE_PX, _GAP_PX, _LINE_PX, _LINES = 192, 8, 15, 3
_COLUMNS = 4
_INK, _PAPER, _MARK = (40, 40, 40), 255, (220, 40, 40)
_NAME_CHARACTERS = 27

Frames = dict[tuple[str, int, int], NDArray[np.uint8]]
"""(H, W, 3) RGB, by name of the recording, epoch and number of the window."""
_Part = tuple[float, float, float, float]  # left, top, width, height, as shares of a picture


def frames_of(matches: Sequence[Match], store: Store, config: NodeConfig, say: Say) -> Frames:
    """The newest step's frame of each window; without those that cannot be had, of which it is said why."""
    found: Frames = {}
    for name in dict.fromkeys(one.name for one in matches):
        own = [one for one in matches if one.name == name]
        try:
            found |= _of_video(store.folder(name) / VIDEO, own) or _of_recording(own, store, config)
        except (VjepaError, OSError) as error:
            say(f"{name}: no pictures of it: {error}")
    return found


def _of_video(path: Path, own: Sequence[Match]) -> Frames:
    if not path.is_file():
        return {}
    from vjepa_ros.recordings.lerobot_video import Video  # here, because only this needs PyAV

    video = Video(path)
    try:
        found: Frames = {}
        for one in sorted(own, key=lambda match: match.row):
            rgb = video.frame(float(one.row), 0.5, 0.0, math.inf)
            if rgb is not None:
                found[one.name, one.epoch, one.number] = rgb
        return found
    finally:
        video.close()


def _of_recording(own: Sequence[Match], store: Store, config: NodeConfig) -> Frames:
    wanted = {(one.epoch, one.number) for one in own}
    found: Frames = {}
    with ExitStack() as stack:
        path = stack.enter_context(places.brought(own[0].recording))
        silent: Say = lambda sentence: None  # noqa: E731
        made = store.manifest()
        urdf = None if made["urdf_file"] is None else Path(made["urdf_file"])
        source = open_source([path], config, made["topics"], urdf, silent, stack)
        feed = Feed(source, decode, silent)
        for recorded in source.recording.messages(source.chosen.all):
            for window in feed.take(recorded):
                if (window.epoch, window.number) in wanted:
                    at = window.step_stamps_ns[-1]
                    frame = next((one for one in window.frames if one.stamp_ns == at), window.frames[-1])
                    found[own[0].name, window.epoch, window.number] = picture(frame.image)
            if len(found) == len(wanted):
                break
    return found


def draw(
    image: NDArray[np.uint8], patch: _Part | None, matches: Sequence[Match], frames: Frames, grid: tuple[int, int]
) -> NDArray[np.uint8]:
    """The sheet.

    Args:
        image: (H, W, 3) RGB, what the encoder sees of what was looked for.
        patch: the part of it that was looked for, which is marked: left, top, width and height, as shares.
        matches: what was found, in order.
        frames: of :func:`frames_of`; a window without one is grey.
        grid: H' and W', of tokens; the one that is most like a part is marked.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    tiles, (rows, cols) = [_tile(_fitted(image, patch), ["looked for"])], grid
    for one in matches:
        pixels = frames.get((one.name, one.epoch, one.number), np.full_like(image, 200))
        part = None if one.token is None else (one.token[1] / cols, one.token[0] / rows, 1 / cols, 1 / rows)
        words = [f"{one.likeness:.4f}", _cut(one.name), f"{one.stamp_ns / S_TO_NS:.3f} s"]
        tiles.append(_tile(_fitted(pixels, part), words))
    blank = np.full_like(tiles[0], _PAPER)
    tiles += [blank] * (-len(tiles) % _COLUMNS)
    lines = [np.concatenate(tiles[at : at + _COLUMNS], axis=1) for at in range(0, len(tiles), _COLUMNS)]
    return np.concatenate(lines)


def _fitted(pixels: NDArray[np.uint8], part: _Part | None) -> NDArray[np.uint8]:
    """In the middle of a tile, as large as fits, with a part of it marked."""
    height, width = pixels.shape[:2]
    scale = _TILE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(
        cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST), np.uint8
    )
    if part is not None:
        x, y, across, down = part
        corners = [(round(u * size[0]), round(v * size[1])) for u, v in ((x, y), (x + across, y + down))]
        cv2.rectangle(small, corners[0], corners[1], _MARK, 2)
    tile = np.full((_TILE_PX, _TILE_PX, 3), _PAPER, np.uint8)
    top, left = (_TILE_PX - size[1]) // 2, (_TILE_PX - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile


def _tile(pixels: NDArray[np.uint8], words: Sequence[str]) -> NDArray[np.uint8]:
    tile = np.full((_TILE_PX + _LINES * _LINE_PX + 2 * _GAP_PX, _TILE_PX + 2 * _GAP_PX, 3), _PAPER, np.uint8)
    tile[_GAP_PX : _GAP_PX + _TILE_PX, _GAP_PX : _GAP_PX + _TILE_PX] = pixels
    for number, text in enumerate(words, start=1):
        at = (_GAP_PX, _GAP_PX + _TILE_PX + number * _LINE_PX - 2)
        cv2.putText(tile, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, _INK, 1, cv2.LINE_AA)
    return tile


def _cut(name: str) -> str:
    plain = name.encode("ascii", "replace").decode()
    return plain if len(plain) <= _NAME_CHARACTERS else plain[: _NAME_CHARACTERS - 2] + ".."


def write(sheet: NDArray[np.uint8], path: Path, *, force: bool) -> None:
    """Write a sheet as a PNG file, whole or not at all.

    Raises:
        OutputError: where something lies there, and is not to be replaced.
        OSError: where the disk is full or fails; it names the file.
    """
    content = cv2.imencode(".png", sheet[..., ::-1])[1].tobytes()
    with files.whole([path], tool=FIND_TOOL, force=force) as new, files.naming(new[path]):
        new[path].write_bytes(content)
