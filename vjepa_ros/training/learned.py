"""What a training learns, kept as a stage: an encoder, or a predictor; found again where it is from the same.

Plans in, modules out; how they learn is elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from vjepa_ros import files
from vjepa_ros.config.checks import require
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.devices import find_device
from vjepa_ros.documents import to_json
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.training import stages
from vjepa_ros.training.course import Progress
from vjepa_ros.training.data import Data
from vjepa_ros.training.encoder import encoder_learning, train_encoder
from vjepa_ros.training.encoder_loss import EncoderObjective
from vjepa_ros.training.frames import FrameSet
from vjepa_ros.training.initial import Start, freeze, fresh_encoder, fresh_predictor, predictor_from
from vjepa_ros.training.latents import latents_key
from vjepa_ros.training.learning import Learning, Precision
from vjepa_ros.training.losses import Objective
from vjepa_ros.training.model_file import write_encoder
from vjepa_ros.training.plan import Plan
from vjepa_ros.training.predictor import train_predictor
from vjepa_ros.training.runs import Dataset, Run
from vjepa_ros.training.team import Team
from vjepa_ros.weights.safetensors_file import write_safetensors
from vjepa_ros.weights.values import part_hash

ENCODER, PREDICTOR = "encoder.safetensors", "predictor.safetensors"
_HISTORY = "history.json"

Told = Callable[[Progress], None]


@dataclass(frozen=True)
class Learned:
    """What came of it.

    Attributes:
        module: the predictor with its weights, on the CPU; of an encoder None, which is in its file.
        steps, best_step, stopped, history: as :class:`vjepa_ros.training.predictor.Trained` has them.
    """

    module: nn.Module | None
    steps: int
    best_step: int
    stopped: bool
    history: tuple[Mapping[str, float], ...]


def learn_encoder(
    plan: Plan, data: Data, frames: FrameSet, team: Team, folder: Path, told: Told
) -> tuple[Path, Learned]:
    """Train an encoder from scratch, or find the one that was.

    Returns:
        Its file, and how it went.

    Raises:
        ConfigError, EngineError, OSError, OutputError: as :func:`vjepa_ros.training.encoder.train_encoder`.
    """
    model, effect = data.config.model, data.config.stream.reducer.effect
    learning = encoder_learning(
        plan.encoder_steps, lr=plan.encoder_lr, **_common(plan, team, plan.encoder_batch, "encoder_batch")
    )  # fmt: skip
    encoder, objective = fresh_encoder(model, plan.seed), EncoderObjective()
    sizes = {name: value for name, value in asdict(model).items() if name not in ("preset", "context_steps")}
    key = stages.key_of(
        material=data.material.key, split=_split(data), model=sizes, objective=asdict(objective),
        normalization=asdict(data.normalizations), learning=_decisive(learning, team),
    )  # fmt: skip
    stage = stages.Stage(folder, "trained_encoder", key)
    if stage.result is None:
        states = _states(folder, "encoder")
        trained = train_encoder(
            frames, data.divided.train, data.divided.held, encoder, effect, data.normalizations, objective, learning,
            states, data_key=key, resume=plan.resume, progress=told,
        )  # fmt: skip
        if team.is_first:
            stage.begin()
            write_encoder(stage.path / ENCODER, trained.encoder, data.config)
            _finish(stage, trained)
    team.wait()
    return stage.path / ENCODER, _learned(None, stage)


def require_sensible(plan: Plan, config: ModelConfig, team: Team) -> None:
    """Refuse what would be refused only once hours have gone by: a predictor to start from, what stays, batches.

    Raises:
        ConfigError: naming the option.
        CheckpointError: for a predictor to start from that does not fit.
    """
    freeze(_start(plan, config).predictor, plan.freeze)
    _common(plan, team, plan.batch, "batch")
    if plan.train_encoder:
        _common(plan, team, plan.encoder_batch, "encoder_batch")


def learn_predictor(
    plan: Plan, data: Data, model: WorldModel, datasets: tuple[Dataset, Dataset], team: Team, folder: Path, told: Told
) -> Learned | None:
    """Train a predictor on the latents of its encoder, or find the one that was.

    Args:
        model: whose encoder it is.
        datasets: to train on, and held back.

    Returns:
        What came of it; None in all processes but the first.

    Raises:
        ConfigError, EngineError, OSError, OutputError: as :func:`vjepa_ros.training.predictor.train_predictor`.
        CheckpointError: for a predictor to start from that does not fit.
    """
    config = data.config.model
    start = _start(plan, config)
    frozen = freeze(start.predictor, plan.freeze)
    # As Plan.sample has it; in `clip` the sample is a window, and its length follows.
    objective = Objective(plan.rollout, 0 if config.way.is_whole else plan.sample_steps, plan.l2)
    learning = Learning(
        plan.steps, lr=plan.lr, weight_decay=plan.weight_decay, betas=plan.betas, clip=plan.clip_norm,
        **_common(plan, team, plan.batch, "batch"),
    )  # fmt: skip
    key = stages.key_of(
        latents=latents_key(data.material, model.config, model.encoder_hash, model.dtype), split=_split(data),
        start=part_hash(dict(start.predictor.named_parameters())), frozen=frozen, objective=asdict(objective),
        normalization=asdict(data.normalizations), learning=_decisive(learning, team),
    )  # fmt: skip
    stage = stages.Stage(folder, "trained_predictor", key)
    if stage.result is None:
        states = _states(folder, "predictor")
        trained = train_predictor(
            *datasets, start.predictor, data.normalizations, objective, learning, states, data_key=key,
            resume=plan.resume, progress=told,
        )  # fmt: skip
        if team.is_first:
            stage.begin()
            tensors = {name: value.detach() for name, value in trained.predictor.named_parameters()}
            write_safetensors(stage.path / PREDICTOR, {"predictor": tensors})
            _finish(stage, trained)
    team.wait()
    if not team.is_first:
        return None
    return _learned(predictor_from(config, stage.path / PREDICTOR, 0).predictor, stage)


def _start(plan: Plan, config: ModelConfig) -> Start:
    """The predictor that is trained, as it is before."""
    return predictor_from(config, plan.predictor, plan.seed) if plan.predictor else fresh_predictor(config, plan.seed)


def _common(plan: Plan, team: Team, batch: int, name: str) -> dict[str, Any]:
    parts = plan.accumulate * team.count if name == "batch" else team.count
    require(
        batch % parts == 0, name, f"{batch} samples are not {parts} equal parts, over all processes and accumulated"
    )  # fmt: skip
    device = find_device(plan.device)
    auto: Precision = "float32" if device.type == "cpu" else "bfloat16"
    precision: Any = auto if plan.precision == "auto" else plan.precision
    return {
        "batch": batch // parts, "accumulate": plan.accumulate if name == "batch" else 1, "precision": precision,
        "device": plan.device, "seed": plan.seed, "save_every": plan.checkpoint_every,
        "evaluate_every": plan.evaluate_every, "patience": plan.patience,
    }  # fmt: skip


def _decisive(learning: Learning, team: Team) -> dict[str, Any]:
    """What the weights depend on: how often something is told or saved is none of it."""
    samples = learning.batch * learning.accumulate * team.count
    return asdict(replace(learning, save_every=1, log_every=1, device="auto", batch=samples, accumulate=1))


def _split(data: Data) -> list[list[list[int]]]:
    def rows(runs: Sequence[Run]) -> list[list[int]]:
        return [[run.recording, run.first_row, run.steps] for run in runs]

    return [rows(data.divided.train), rows(data.divided.held)]


def _states(folder: Path, name: str) -> Path:
    states = folder / f"{name}_states"
    states.mkdir(exist_ok=True)
    return states


def _finish(stage: stages.Stage, trained: Any) -> None:
    path = stage.path / _HISTORY
    with files.naming(path):
        path.write_text(to_json(trained.history), encoding="utf-8")
    stage.finish({name: getattr(trained, name) for name in ("steps", "best_step", "stopped")})


def _learned(module: nn.Module | None, stage: stages.Stage) -> Learned:
    result = stage.result
    assert result is not None, "the stage is done"
    history = json.loads((stage.path / _HISTORY).read_text(encoding="utf-8"))
    return Learned(module, result["steps"], result["best_step"], result["stopped"], tuple(history))
