"""From a plan to what is trained on: recordings, their survey, what is held back, latents; the order of these stages.

It knows no losses, and leaves every step to the module that does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros.config.checks import require
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.recordings.reading import Progress, Say
from vjepa_ros.training.cost import Cost, cost_of
from vjepa_ros.training.fleet_tables import TableReader
from vjepa_ros.training.frames import FrameSet, RecordedClips, keep_frames
from vjepa_ros.training.gathering import gather
from vjepa_ros.training.latents import Clips, Ready, dataset_of, keep_latents
from vjepa_ros.training.material import Material
from vjepa_ros.training.plan import Plan
from vjepa_ros.training.reading import Reader
from vjepa_ros.training.refusals import require_motion, require_usable
from vjepa_ros.training.runs import Dataset, Run
from vjepa_ros.training.scaling import normalizations_of
from vjepa_ros.training.split import Split, split
from vjepa_ros.training.survey import Survey, survey


@dataclass(frozen=True)
class Data:
    """What a plan trains on, looked at and found fit; nothing is encoded yet.

    Attributes:
        plan: the plan.
        config: its parameters, as the recordings are read by them.
        material: what the recordings hold.
        divided: what of it is trained on, and what is held back.
        survey: the table of it.
        cost: what training will cost.
        normalizations: of actions and states: as the parameters say, or else as what is trained on says.
    """

    plan: Plan
    config: NodeConfig
    material: Material
    divided: Split
    survey: Survey
    cost: Cost
    normalizations: Normalizations
    _reader: Reader

    @property
    def clips(self) -> RecordedClips | None:
        """What goes through the encoder, read from the recordings once more; None of tables, which have no frames."""
        return None if isinstance(self._reader, TableReader) else RecordedClips(self._reader, self.material)

    def frames(self, folder: Path, progress: Progress = lambda what, done, total: None) -> FrameSet:
        """The frames of all units, kept on disk: for training an encoder. See :func:`keep_frames`.

        Raises:
            ConfigError: naming ``train_encoder``, where tables have none.
        """
        require(
            not isinstance(self._reader, TableReader), "train_encoder",
            "needs frames, and tables of windows have latents alone: give the recordings that they were made of",
        )  # fmt: skip
        return keep_frames(self._reader, self.material, folder, progress)

    def datasets(
        self,
        model: WorldModel,
        encoder_hash: str,
        folder: Path,
        progress: Progress = lambda what, done, total: None,
        clips: Clips | None = None,
    ) -> tuple[Dataset, Dataset]:
        """What is trained on and what is held back, with latents of the encoder as it is now.

        Args:
            model: whose encoder; of the sizes of ``config.model``.
            encoder_hash: of it.
            folder: of the training; entered.
            progress: is told how far it has come.
            clips: of the units; without them the recordings are read once more, and every latent is what a node would
                have computed.

        Raises:
            EngineError, OSError: as :func:`keep_latents` does.
            BagError: for a recording that has changed.
            ConfigError: for another encoder than that of the tables that are trained on.
        """
        clips = clips or self.clips or _no_clips
        ready: Ready | None = None
        if isinstance(self._reader, TableReader):
            self._reader.require_encoder(encoder_hash)
            ready = self._reader.latents
        units = self.material.units(self.config)
        latents = keep_latents(clips, self.material, model, encoder_hash, units, folder, progress, ready)
        train, held = (dataset_of(runs, latents, model.config) for runs in (self.divided.train, self.divided.held))
        return train, held


def prepare(
    plan: Plan,
    folder: Path,
    progress: Progress = lambda what, done, total: None,
    say: Say = lambda sentence: None,
) -> Data:
    """Read the recordings of a plan, refuse what cannot be trained on, and hold something back.

    Args:
        plan: which, and how.
        folder: of the training; entered.
        progress: is told how far it has come.
        say: is told, once each, of what people should know.

    Raises:
        BagError: for a recording that cannot be used; :class:`~vjepa_ros.training.refusals.UnfitError` for one that
            nothing can be learned from.
        ConfigError: naming a parameter or a field of the plan that makes no sense.
        OSError: where the disk is full or fails; it names the file.
    """
    reader, material = gather(plan, folder, progress, say)
    config = reader.config
    sample = plan.sample(config.model)
    require_usable(material)
    require_motion(material, config.stream)
    divided = split(plan, material.runs, config.stream.steps)
    train, held = (_samples(runs, config.model, sample) for runs in (divided.train, divided.held))
    return Data(
        plan=plan,
        config=config,
        material=material,
        divided=divided,
        survey=survey(material, divided, config, (train, held), sample),
        cost=cost_of(plan, config.model, material.units(config), sum(run.steps for run in material.runs)),
        normalizations=normalizations_of(divided.train, config),
        _reader=reader,
    )


def _no_clips(_first: int) -> Iterator[NDArray[np.float32]]:
    return iter(())


def _samples(runs: Iterable[Run], model: ModelConfig, sample: tuple[int, int]) -> int:
    return len(dataset_of(runs, torch.empty(0), model).samples(*sample))
