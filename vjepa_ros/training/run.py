"""A whole training, stage by stage: recordings, encoder, latents, predictor, evaluation, model file, report.

It knows their order, and what becomes of one stage in the next; each is done elsewhere. What is done is kept in the
folder beside the model, and not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vjepa_ros import files, work_folder
from vjepa_ros.config.checks import require
from vjepa_ros.config.folder import weights_file
from vjepa_ros.config.own_weights import RANDOM, checkpoint_of
from vjepa_ros.config.parts import EngineConfig
from vjepa_ros.config.presets import spelled_out
from vjepa_ros.config.sidecar import JOINT_NORMALIZATION, Sidecar, sidecar_path
from vjepa_ros.config.table import BY_NAME, effective
from vjepa_ros.devices import find_device, find_dtype, use_threads
from vjepa_ros.documents import to_json
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, place
from vjepa_ros.recordings.reading import Progress, Say
from vjepa_ros.training import fleet_tables, report, stages, worst_frames
from vjepa_ros.training.cost import measured_rate
from vjepa_ros.training.course import Progress as Learning
from vjepa_ros.training.data import Data, prepare
from vjepa_ros.training.evaluation import evaluate
from vjepa_ros.training.frames import FrameSet
from vjepa_ros.training.judgement import judge
from vjepa_ros.training.learned import Learned, learn_encoder, learn_predictor, require_sensible
from vjepa_ros.training.model_file import EncoderFile, encoding_model, load_written, made_for, write_model
from vjepa_ros.training.plan import TOOL, Plan
from vjepa_ros.training.runs import Dataset
from vjepa_ros.training.team import Team

_FROM_WEIGHTS = ("checkpoint", "predictor_checkpoint", "random_predictor", "override_convention")


@dataclass(frozen=True)
class Watcher:
    """Who is told what happens.

    Attributes:
        progress: how far a stage has come.
        say: what people should know, once each.
        show: the data, looked at and found fit, before anything is computed; and how many operations per second the
            device has at its best.
        learning: how training goes: of the ``encoder`` or the ``predictor``.
    """

    progress: Progress = lambda what, done, total: None
    say: Say = lambda sentence: None
    show: Callable[[Data, float], None] = lambda data, rate: None
    learning: Callable[[str, Learning], None] = lambda what, now: None


@dataclass(frozen=True)
class Done:
    """What came of a training.

    Attributes:
        report: as it was written as JSON.
        incomplete: what was announced and could not be read.
    """

    report: dict[str, Any]
    incomplete: tuple[str, ...]


def train(plan: Plan, watcher: Watcher | None = None) -> Done | None:
    """Train a model on recordings; afterwards it lies at the plan's place, with its sidecar and its report.

    Args:
        plan: on what, how, and where to.
        watcher: is told how it goes.

    Returns:
        What came of it; None in all processes but the first, where torchrun has started several.

    Raises:
        BagError: for a recording that cannot be used, or recordings that nothing can be learned from.
        ConfigError: naming a parameter or a field of the plan that makes no sense, or a package that is missing.
        CheckpointError: for weights that cannot be used.
        EngineError: where model or device fail, or a loss is not finite.
        OutputError: where the model must not be written, or another run is writing it.
        OSError: where the disk is full or fails; it names the file. Whatever is raised, no model is left or changed,
            and what was done until then is in the folder.
    """
    report.require_packages()
    team = Team.of(plan.device)
    watcher = (watcher if team.is_first else None) or Watcher()
    plan = fleet_tables.expanded(plan, watcher.say)
    outputs, checkpoint = [plan.out, sidecar_path(plan.out)], _checkpoint(plan)
    files.require_apart(
        [*outputs, plan.folder], [*plan.inputs, *([] if plan.train_encoder else [weights_file(checkpoint)])]
    )
    for output in outputs:
        files.require_free(output, force=plan.force)
    with ExitStack() as stack:
        if team.is_first:
            stack.enter_context(stages.entered(plan.folder, plan.out))
            stack.callback(_leave_empty, plan.folder)
        return _Training(plan, team, watcher, checkpoint).run()


def _leave_empty(folder: Path) -> None:
    """Remove a folder that nothing was put into, as where a parameter was refused."""
    if [path.name for path in folder.iterdir()] == [work_folder.LOCK]:
        (folder / work_folder.LOCK).unlink()
        folder.rmdir()


def _checkpoint(plan: Plan) -> str:
    """The file of the frozen encoder; empty where one is trained."""
    given = str(plan.values.get("checkpoint") or "")
    preset = str(plan.values.get("preset") or BY_NAME["preset"].default)
    path = checkpoint_of(preset, RANDOM if plan.train_encoder and not given else given)
    require(
        not (plan.train_encoder and path), "train_encoder",
        "trains an encoder from scratch, but the parameter checkpoint names one: leave out one of the two",
    )  # fmt: skip
    require(
        plan.train_encoder or bool(path), "checkpoint",
        "must name the file of the encoder, which stays as it is; or train one from scratch, with `train_encoder`",
    )  # fmt: skip
    require(
        not (plan.train_encoder and plan.predictor), "predictor",
        "knows the latents of its own encoder only: leave it out, or `train_encoder`",
    )  # fmt: skip
    return path


class _Training:
    def __init__(self, plan: Plan, team: Team, watcher: Watcher, checkpoint: str) -> None:
        self.plan, self.team, self.watcher, self.checkpoint = plan, team, watcher, checkpoint
        self.folder = plan.folder

    def run(self) -> Done | None:
        watcher, team = self.watcher, self.team
        given = self._without_weights()
        data = team.in_turn(lambda: prepare(given, self.folder, watcher.progress, watcher.say))
        require_sensible(self.plan, data.config.model, team)
        if data.config.engine.threads:  # a training takes all cores where nobody says how many
            use_threads(data.config.engine.threads)
        if team.is_first:
            engine = self._engine(data)
            device = find_device(engine.device)
            watcher.show(data, measured_rate(device, find_dtype(engine.dtype, device)))
        encoder, seen, learned = self._encoder(data)
        model = encoding_model(encoder, data.config, self._engine(data))
        self._require_pair(model)
        train, held = team.in_turn(
            lambda: data.datasets(model, model.encoder_hash, self.folder, watcher.progress, seen)
        )  # fmt: skip
        predictor = learn_predictor(
            self.plan, data, model, (train, held), team, self.folder, lambda now: watcher.learning("predictor", now)
        )
        if predictor is None:
            return None
        courses = {**({} if learned is None else {"encoder": learned.history}), "predictor": predictor.history}
        return self._finish(data, encoder, model, held, predictor, courses, seen)

    def _without_weights(self) -> Plan:
        """The plan as the recordings are read by: what another predictor was trained with is none of its business.

        A predictor that is trained further keeps the normalisation that it knows, of actions and states of as many
        dimensions as it had.
        """
        spelled = spelled_out(self.plan.values, self.checkpoint or None)
        values = {name: value for name, value in spelled.items() if name not in _FROM_WEIGHTS}
        values["checkpoint"] = RANDOM  # not those that come with the preset either
        known = Sidecar.of_checkpoint(self.plan.predictor)
        if known is not None:
            own = effective(values)
            for name in JOINT_NORMALIZATION:
                dim = f"{name.split('.')[0].removesuffix('s')}_dim"
                if not values.get(name) and own[dim] == known.sizes[dim]:
                    # Nothing was done to them: said in numbers, or what is trained on would decide.
                    values[name] = known.normalization[name] or [float(name.endswith(".std"))] * own[dim]
        return replace(self.plan, values=values)

    def _engine(self, data: Data) -> EngineConfig:
        """Where latents and forecasts are computed: as a node would, on the device that is trained on."""
        own = data.config.engine
        device = own.device if self.plan.device == "auto" else self.plan.device
        return replace(own, device=str(find_device(device)), fast=True, compile=False)

    def _encoder(self, data: Data) -> tuple[EncoderFile, FrameSet | None, Learned | None]:
        """The encoder's file; and where it was trained here, the frames that it was trained on, and how it went."""
        if not self.plan.train_encoder:
            return EncoderFile.at(self.checkpoint), None, None
        watcher = self.watcher
        frames = self.team.in_turn(lambda: data.frames(self.folder, watcher.progress))
        path, learned = learn_encoder(
            self.plan, data, frames, self.team, self.folder, lambda now: watcher.learning("encoder", now)
        )
        return EncoderFile.at(path, is_own=True), frames, learned

    def _require_pair(self, model: WorldModel) -> None:
        known = Sidecar.of_checkpoint(self.plan.predictor)
        if known is not None and known.encoder_hash != model.encoder_hash:
            raise ConfigError(
                "predictor", f"{place(str(self.plan.predictor))} was trained with another encoder than that of "
                f"{place(self.checkpoint)}, and does not understand its latents: name its own encoder by the parameter "
                "checkpoint",
            )  # fmt: skip

    def _finish(
        self,
        data: Data,
        encoder: EncoderFile,
        model: WorldModel,
        held: Dataset,
        predictor: Learned,
        courses: Mapping[str, Sequence[Mapping[str, float]]],
        seen: FrameSet | None,
    ) -> Done:
        """Write the model, load it as a node would, look at what it has learnt, and publish it."""
        plan, config, watcher = self.plan, data.config, self.watcher
        assert predictor.module is not None
        context, _ = plan.sample(config.model)
        about = made_for(config, data.normalizations, context)
        if context < config.model.most_context:
            watcher.say(f"the model has seen {context} steps of context at most: run it with context_steps: {context}")
        places = (sidecar_path(plan.out), plan.out)
        with files.whole(places, tool=TOOL, force=plan.force) as new:
            new_sidecar, new_weights = (new[place] for place in places)
            said = write_model(
                new_weights, new_sidecar, predictor.module, encoder, model.encoder_hash, about, config,
                with_encoder=encoder.is_own or plan.with_encoder,
            )  # fmt: skip
            written = load_written(new_weights, encoder, config, data.normalizations, context, self._engine(data))
            found = evaluate(written, held, config.stream, plan.seed, watcher.progress)
            judgement = judge(found)
            hashes = report.Hashes(
                bags=data.material.hashes,
                encoder=written.encoder_hash,
                params=stages.key_of(parameters=dict(config.parameters)),
                model=written.weights_hash,
            )
            frames = worst_frames.of(found.worst, held, seen or data.clips)
            told = report.Told(
                plan.out.name, data.survey, found, judgement, said.convention, hashes, courses, frames,
                {**_options(plan), "stopped": _stopped(predictor)},
            )  # fmt: skip
            summary, page = report.as_json(told), report.as_html(told)
        files.write_whole(self.folder / report.HTML, page.encode())
        files.write_whole(self.folder / report.JSON, (to_json(summary, indent=2) + "\n").encode())
        return Done(summary, tuple(line for tally in data.material.tallies for line in tally.incomplete))


def _stopped(learned: Learned) -> str:
    early = " (early: no better loss on what is held back)" if learned.stopped else ""
    return f"after {learned.steps} steps{early}; the weights are those of step {learned.best_step}"


def _options(plan: Plan) -> dict[str, Any]:
    """Those that decide what is learnt."""
    left_out = ("bags", "values", "out", "topics", "urdf", "fallback", "force", "resume", "hold_back")
    return {name: value for name, value in asdict(replace(plan, fallback=None)).items() if name not in left_out}
