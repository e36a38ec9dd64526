"""Latents of the frozen encoder on disk, bfloat16 and mapped: each unit goes through it once, for all of a training.

It knows clips, a world model and a stage; not where clips come from, and nothing of losses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import EngineError
from vjepa_ros.recordings.reading import Progress
from vjepa_ros.training import stages
from vjepa_ros.training.frames import COMMIT_BYTES
from vjepa_ros.training.material import Material
from vjepa_ros.training.runs import Dataset, Run

Clips = Callable[[int], Iterator[NDArray[np.float32]]]
"""(3, frames_at_once, H, W) of each unit, from the one with this number on."""

Ready = Callable[[int], Iterator[memoryview]]
"""The bytes of the rows of each unit, from the one with this number on, where they were computed before."""

LATENTS = "latents.bin"
FORMAT = "bfloat16 1"
BATCH_PX = 2**22
"""Of the frames that go through the encoder at once: whatever was done before, a batch has the same units in it, so
that what is interrupted comes to the same bits."""


def kept_rows(model: ModelConfig) -> int:
    """Rows of latents per unit: a step's own; of a window, the newest steps that a forecast is made from."""
    return model.most_context if model.way.is_whole else 1


def latents_key(material: Material, model: ModelConfig, encoder_hash: str, dtype: torch.dtype) -> str:
    """What the latents depend on."""
    sizes = asdict(replace(model, preset=""))  # the preset's name means nothing
    encoder = {
        name: sizes[name] for name in sizes if not name.startswith(("predictor_", "action_", "state_", "context_"))
    }
    return stages.key_of(
        material=material.key, encoder=encoder, hash=encoder_hash, dtype=str(dtype), kept=kept_rows(model),
        format=FORMAT,
    )  # fmt: skip


def keep_latents(
    clips: Clips,
    material: Material,
    model: WorldModel,
    encoder_hash: str,
    units: int,
    folder: Path,
    progress: Progress = lambda what, done, total: None,
    ready: Ready | None = None,
) -> Tensor:
    """The latents of all units: found in the stage ``latents``, or computed now, going on where a killed run was.

    Args:
        clips: of the units, in order.
        material: that they are of.
        model: whose encoder is frozen.
        encoder_hash: of that encoder, see :func:`vjepa_ros.weights.values.part_hash`.
        units: how many there are.
        folder: of the training; entered.
        progress: is told how far it has come.
        ready: the latents, where they need not be computed; then nothing is asked of the clips.

    Returns:
        (n, H'*W', D) bfloat16, layer-normalised, mapped from the file; as many rows per unit as :func:`kept_rows` says.

    Raises:
        EngineError: where the encoder or its device fail, or what it gives is not finite.
        OSError: where the disk is full or fails; it names the file. What is on it is used by the next run.
    """
    config, tokens = model.config, model.grid.tokens_per_step
    kept, dim = kept_rows(config), config.latent_dim
    stage = stages.Stage(folder, "latents", latents_key(material, config, encoder_hash, model.dtype))
    if stage.result is None:
        unit_bytes = kept * tokens * dim * 2
        with stages.Rows(stage, LATENTS, unit_bytes, stage.begin()) as rows:
            committed = rows.units
            for content in _computed(clips, model, kept)(rows.units) if ready is None else ready(rows.units):
                rows.append(content)
                progress("latents", rows.units, units)
                if (rows.units - committed) * unit_bytes >= COMMIT_BYTES:
                    rows.commit()
                    committed = rows.units
            rows.commit()
            assert rows.units == units, "clips gives as many as there are"
        stage.finish({"units": units, "encoder": encoder_hash})
    path = str(stage.path / LATENTS)
    flat = torch.from_file(path, shared=False, size=units * kept * tokens * dim, dtype=torch.bfloat16)
    return flat.view(units * kept, tokens, dim)


def dataset_of(runs: Iterable[Run], latents: Tensor, model: ModelConfig) -> Dataset:
    """Runs as they are trained on.

    Args:
        runs: of a :class:`~vjepa_ros.training.material.Material`, or parts of them; their first rows count units.
        latents: of all units.
        model: whose they are.
    """
    kept = kept_rows(model)
    own = [replace(run, first_row=run.first_row * kept) for run in runs]
    return Dataset(own, latents, model.way, model.steps, kept)


def _batch_size(config: ModelConfig) -> int:
    height, width = config.image_size
    return max(1, BATCH_PX // (config.frames_at_once * height * width))


def _computed(clips: Clips, model: WorldModel, kept: int) -> Ready:
    def computed(first: int) -> Iterator[memoryview]:
        for batch in _batches(clips(first), _batch_size(model.config)):
            yield _encoded(model, batch, kept)

    return computed


def _batches(clips: Iterator[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    """(B, 3, frames_at_once, H, W), the last one shorter."""
    for first in clips:
        yield np.stack([first, *islice(clips, size - 1)])


def _encoded(model: WorldModel, batch: NDArray[np.float32], kept: int) -> memoryview:
    """The bytes of a batch's rows."""
    latents = model.encode(batch)[:, -kept * model.grid.tokens_per_step :]  # (B, kept*H'*W', D)
    rounded = latents.to(torch.bfloat16).cpu().contiguous()
    if not torch.isfinite(rounded).all():
        raise EngineError("the encoder gave values that are not finite: check its weights, and the dtype")
    content: Any = rounded.view(torch.int16).numpy()
    return memoryview(content).cast("B")
