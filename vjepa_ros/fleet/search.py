"""The windows of a fleet that look most like a picture, or like a part of one, to the encoder that made them.

A picture is a window in which nothing moves. Its tokens' mean is compared with that of each window's newest step, by
the cosine; a part of it with every token. Tables are read from end to end, a batch at a time, and faiss compares:
exact, and no index to keep. It knows tables and the encoder, and draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros import files
from vjepa_ros.config.checks import require
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.documents import Unreadable, open_regular
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import BagError, ConfigError, InputError, OutputError, place
from vjepa_ros.fleet.looking import Looking
from vjepa_ros.fleet.store import TABLE, Store
from vjepa_ros.fleet.table import Table
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.images.compressed import decode_compressed
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.recordings.reading import Progress
from vjepa_ros.units import S_TO_NS

_ROWS = 64  # of a table at once
_SPARE = 50  # neighbours that are kept for each that is asked for: most of them are of the same moment
_FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}


@dataclass(frozen=True)
class Match:
    """A window that was found.

    Attributes:
        likeness: cosine, 1 for the same.
        name, recording: of the recording: as the fleet calls it, and where it lies.
        row: of its table.
        epoch, number, stamp_ns: of the window; the stamp is that of its newest frame.
        token: row and column of the token that is most like the part; None where a whole picture was looked for.
    """

    likeness: float
    name: str
    recording: str
    row: int
    epoch: int
    number: int
    stamp_ns: int
    token: tuple[int, int] | None


def configuration(store: Store, looking: Looking) -> NodeConfig:
    """The parameters that the fleet was made with, computed where it is asked for now."""
    values = {**store.manifest()["parameters"], "threads": 0, **looking.values}
    return resolve(values)


def find(
    looking: Looking, config: NodeConfig, progress: Progress = lambda what, done, total: None
) -> tuple[list[Match], NDArray[np.uint8]]:
    """Look for a picture.

    Args:
        looking: for what, and where.
        config: of :func:`configuration`.
        progress: is told how far it has come.

    Returns:
        The windows, the most alike first, and the picture, (h, w, 3) uint8 RGB.

    Raises:
        BagError: for a table that is damaged, or has no context.
        ConfigError: naming a field that makes no sense, or weights that are not there.
        OutputError: where there is nothing to look at, where something lies at the sheet's place, or the weights are
            others than the fleet was made with.
        EngineError: where the model fails.
    """
    if looking.out is not None:
        files.require_free(looking.out, force=looking.force)
    store = Store(looking.fleet)
    names = [name for name in store.names() if (store.folder(name) / TABLE).is_file()]
    if not names:
        raise OutputError(f"{place(looking.fleet)}: has no recording with a window in it")
    image = _read(looking.image, config)
    model = load_model(config)
    if model.encoder_hash != store.manifest().get("encoder_hash", model.encoder_hash):
        raise OutputError(f"{place(looking.fleet)}: its latents are of another encoder than its parameters name now")
    wanted = _wanted(image, looking, config, model)
    found: list[Match] = []
    for number, name in enumerate(names, start=1):
        for matches in _batches(store, name, wanted, looking):
            found = sorted([*found, *matches], key=lambda one: -one.likeness)[: _SPARE * looking.count]
        progress("recordings", number, len(names))
    return _apart(found, looking), image


def _read(path: Path, config: NodeConfig) -> NDArray[np.uint8]:
    kind = _FORMATS.get(path.suffix.lower())
    require(kind is not None, "image", f"{place(path)} is neither a PNG nor a JPEG file")
    try:
        with open_regular(path) as file:
            content = file.read(config.images.max_file_bytes + 1)
        return decode_compressed(str(kind), content, config.images, lambda _detail: None)
    except (Unreadable, OSError) as error:
        raise ConfigError("image", f"{place(path)}: {error}") from error
    except InputError as error:
        raise ConfigError("image", f"{place(path)}: {error.detail}") from error


def _wanted(image: NDArray[np.uint8], looking: Looking, config: NodeConfig, model: WorldModel) -> NDArray[np.float32]:
    """(1, D), of length 1."""
    try:
        prepared = Preprocess(config.model.preprocessing, config.model.image_size, config.camera.view)(image)
    except InputError as error:
        raise ConfigError("image", error.detail) from error
    tokens = model.encode_still(torch.from_numpy(prepared)[None, :, None]).cpu().numpy()[0]  # (H'*W', D)
    if looking.patch is not None:
        mask = _tokens_in(looking.patch, model.grid.rows, model.grid.cols)
        tokens = tokens[mask]
    return _unit(tokens.mean(axis=0, keepdims=True))


def _tokens_in(patch: Sequence[float], rows: int, cols: int) -> NDArray[np.bool_]:
    """(H'*W',) which tokens a part of the picture covers: those whose middle is in it, and at least one.

    Args:
        patch: left, top, width and height, as shares of what the encoder sees of the picture.
        rows, cols: H', W'.
    """
    left, top, width, height = patch
    x, y = (np.arange(cols) + 0.5) / cols, (np.arange(rows) + 0.5) / rows
    inside = ((y >= top) & (y < top + height))[:, None] & ((x >= left) & (x < left + width))[None]
    if not inside.any():
        inside[min(int((top + height / 2) * rows), rows - 1), min(int((left + width / 2) * cols), cols - 1)] = True
    return inside.reshape(-1)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors, (n, D), with length 1."""
    whole = np.ascontiguousarray(vectors, np.float32)
    faiss.normalize_L2(whole)
    return whole


def _batches(store: Store, name: str, wanted: NDArray[np.float32], looking: Looking) -> Iterator[list[Match]]:
    table, first = Table(store.folder(name) / TABLE), 0
    try:
        if not table.shape("context")[0]:
            raise BagError(f"{place(table.path)}: has no context in it, which is what is compared")
        if table.shape("context")[-1] != wanted.shape[1]:
            raise BagError(f"{place(table.path)}: its latents have another width than the encoder's")
        recording = str(table.about.get("recording", name))
        for batch in table.columns(("epoch", "window", "stamp_ns", "context"), _ROWS):
            newest = batch["context"][:, -1].astype(np.float32)  # (n, H', W', D)
            count, rows, cols, dim = newest.shape
            if looking.patch is None:
                likeness, places = _nearest(wanted, newest.mean(axis=(1, 2)), _SPARE * looking.count)
                tokens: list[tuple[int, int] | None] = [None] * len(places)
            else:
                # Of each window its best token: all of them are compared.
                every, at = _nearest(wanted, newest.reshape(-1, dim), count * rows * cols)
                windows, best = np.unique(at // (rows * cols), return_index=True)  # the best comes first
                likeness, places = every[best], windows
                tokens = [divmod(int(at[index] % (rows * cols)), cols) for index in best]
            yield [
                Match(
                    float(like), name, recording, first + int(row), int(batch["epoch"][row]), int(batch["window"][row]),
                    int(batch["stamp_ns"][row]), token,
                )
                for like, row, token in zip(likeness, places, tokens, strict=True)
            ]  # fmt: skip
            first += count
    finally:
        table.close()


def _nearest(
    wanted: NDArray[np.float32], vectors: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(likeness, index) of the vectors that are most like, the best first."""
    likeness, found = faiss.knn(wanted, _unit(vectors), min(count, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT)
    return likeness[0], found[0]


def _apart(found: Sequence[Match], looking: Looking) -> list[Match]:
    """The best, none of them of the same moment as a better one."""
    chosen: list[Match] = []
    for one in found:
        near = (
            other for other in chosen
            if (other.name, other.epoch) == (one.name, one.epoch)
            and abs(other.stamp_ns - one.stamp_ns) < looking.apart_s * S_TO_NS
        )  # fmt: skip
        if next(near, None) is None:
            chosen.append(one)
        if len(chosen) == looking.count:
            break
    return chosen
