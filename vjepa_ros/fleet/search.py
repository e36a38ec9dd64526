"""The windows of a fleet that look most like a picture, or like a part of one, to the encoder that made them.

A picture is a window in which nothing moves. Its tokens' mean is compared with that of each window's newest step, by
the cosine; a part of it with every token. Of the tables one column is read from end to end, the means or the tokens, a
batch at a time, and faiss compares: exact, and no index to keep. It knows tables and the encoder, and draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from vjepa_ros.fleet.frames import picture
from vjepa_ros.fleet.looking import Looking
from vjepa_ros.fleet.store import TABLE, Store
from vjepa_ros.fleet.table import Table
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.images.compressed import decode_compressed
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.recordings.reading import Progress
from vjepa_ros.units import S_TO_NS

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
        The windows, the most alike first, and what the encoder sees of the picture, (H, W, 3) uint8 RGB.

    Raises:
        BagError: for a table that is damaged, or has no context where a part is looked for.
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
    seen = _seen(_read(looking.image, config), config)
    model = load_model(config)
    if model.encoder_hash != store.manifest().get("encoder_hash", model.encoder_hash):
        raise OutputError(f"{place(looking.fleet)}: its latents are of another encoder than its parameters name now")
    wanted = _wanted(seen, looking, model)
    return nearest(store, names, wanted, looking, progress), picture(seen)


def nearest(
    store: Store, names: Sequence[str], wanted: NDArray[np.float32], looking: Looking, progress: Progress
) -> list[Match]:
    """The windows of some recordings that are most like what is wanted, the best first.

    Args:
        store: where they are.
        names: of recordings that have a table.
        wanted: (1, D), of length 1.
        looking: how many, how far apart, and whether each is compared as a whole or token by token.
        progress: is told how far it has come.

    Raises:
        BagError: see :func:`find`.
    """
    found: list[Match] = []
    for number, name in enumerate(names, start=1):
        found += _of_recording(store, name, wanted, looking)
        found = sorted(found, key=lambda one: -one.likeness)[: looking.count]
        progress("recordings", number, len(names))
    return found


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


def _seen(image: NDArray[np.uint8], config: NodeConfig) -> NDArray[np.float32]:
    """(3, H, W), as the encoder gets it."""
    try:
        return Preprocess(config.model.preprocessing, config.model.image_size, config.camera.view)(image)
    except InputError as error:
        raise ConfigError("image", error.detail) from error


def _wanted(seen: NDArray[np.float32], looking: Looking, model: WorldModel) -> NDArray[np.float32]:
    """(1, D), of length 1."""
    tokens = model.encode_still(torch.from_numpy(seen)[None, :, None]).cpu().numpy()[0]  # (H'*W', D)
    if looking.patch is not None:
        tokens = tokens[_tokens_in(looking.patch, model.grid.rows, model.grid.cols)]
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


def _of_recording(store: Store, name: str, wanted: NDArray[np.float32], looking: Looking) -> list[Match]:
    """As many as are looked for, the best first."""
    numbers, column = ("epoch", "window", "stamp_ns"), "summary" if looking.patch is None else "context"
    parts: dict[str, list[NDArray[Any]]] = {one: [] for one in (*numbers, "likeness", "token")}
    table = Table(store.folder(name) / TABLE)
    try:
        shape = table.shape(column)
        if not shape[0]:
            raise BagError(f"{place(table.path)}: has no context in it, which is what a part is compared with")
        if shape[-1] != wanted.shape[1]:
            raise BagError(f"{place(table.path)}: its latents have another width than the encoder's")
        for batch in table.columns((*numbers, column)):
            vectors = batch[column] if looking.patch is None else batch[column][:, -1]
            every = _likeness(wanted, vectors.reshape(-1, shape[-1])).reshape(len(vectors), -1)
            for one in numbers:
                parts[one].append(batch[one])
            parts["token"].append(every.argmax(axis=1))
            parts["likeness"].append(every.max(axis=1))
        recording = str(table.about.get("recording", name))
    finally:
        table.close()
    epoch, window, stamp_ns, likeness, token = (np.concatenate(found) for found in parts.values())
    return [
        Match(
            float(likeness[row]), name, recording, row, int(epoch[row]), int(window[row]), int(stamp_ns[row]),
            None if looking.patch is None else divmod(int(token[row]), shape[-2]),
        )
        for row in _apart(likeness, epoch, stamp_ns, looking)
    ]  # fmt: skip


def _likeness(wanted: NDArray[np.float32], vectors: NDArray[np.float16]) -> NDArray[np.float32]:
    """(n,) cosines; -1 for what has none."""
    unit = _unit(vectors.astype(np.float32))
    cosines = faiss.pairwise_distances(wanted, unit, metric=faiss.METRIC_INNER_PRODUCT)[0]
    return np.nan_to_num(np.asarray(cosines, np.float32), nan=-1.0)


def _apart(
    likeness: NDArray[np.float32], epoch: NDArray[np.int64], stamp_ns: NDArray[np.int64], looking: Looking
) -> list[int]:
    """The best rows of a recording, none of them of the same moment as a better one."""
    left = likeness.copy()
    chosen: list[int] = []
    while len(chosen) < looking.count and left.max() > -np.inf:
        best = int(left.argmax())
        chosen.append(best)
        near = (epoch == epoch[best]) & (np.abs(stamp_ns - stamp_ns[best]) < looking.apart_s * S_TO_NS)
        left[near] = left[best] = -np.inf
    return chosen
