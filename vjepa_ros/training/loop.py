"""The loop of a training: steps of the optimizer, states on disk, figures told, an early end.

What is learnt stands in a module whose output has a ``loss``; what comes next in the data says the place in the order
alone. So an interrupted training goes on bit by bit where its last state was saved (on a CPU with as many threads), and
processes differ only in the places that they take. It knows no predictors, no encoders and no recordings.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vjepa_ros.config.checks import require
from vjepa_ros.devices import failures
from vjepa_ros.errors import ConfigError, EngineError, place
from vjepa_ros.training import processes, saved
from vjepa_ros.training.course import Course, HeldBack, Inputs, Progress, decisive
from vjepa_ros.training.learning import Learning

if TYPE_CHECKING:
    from accelerate import Accelerator

STATE_FILE = "state.pt"
EVENTS_FOLDER = "events"


def learn(
    module: nn.Module,
    inputs: Inputs,
    held_back: HeldBack | None,
    learning: Learning,
    folder: Path,
    *,
    key: str,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Course:
    """Train a module; afterwards it has the weights that did best on the held-back samples, on the CPU.

    Args:
        module: ``module(*inputs)`` is a dictionary of scalars, of which ``loss`` has a gradient.
        inputs: of the places of one batch; any place from 0 on.
        held_back: samples that say when to stop, and which weights were best.
        learning: how.
        folder: there already; gets the state and TensorBoard's event files.
        key: stands for data, first weights and whatever else the result depends on besides ``learning``.
        resume: go on where the state in the folder is, if there is one, and refuse one of another key.
        progress: told now and then, in the first process only.

    Raises:
        ConfigError: where packages or the device are missing, the module has nothing to learn, or ``resume`` finds the
            state of another training.
        EngineError: where the loss is not finite, or memory or the device fail.
        OSError, OutputError: where the state cannot be written or read.
    """
    require(any(p.requires_grad for p in module.parameters()), "freeze", "leaves nothing to learn")
    with failures("training"):
        return _Loop(module, inputs, held_back, learning, folder, key, progress).run(resume)


class _Loop:
    def __init__(
        self,
        module: nn.Module,
        inputs: Inputs,
        held_back: HeldBack | None,
        learning: Learning,
        folder: Path,
        key: str,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.module, self.inputs, self.held_back, self.learning = module, inputs, held_back, learning
        self.path, self.events, self.progress = folder / STATE_FILE, folder / EVENTS_FOLDER, progress
        self.here: Accelerator = processes.accelerator(learning)
        self.key = f"{key} {decisive(learning, self.here.num_processes)}"
        self.course = Course()
        self.best: dict[str, Tensor] = {}
        self.sums: dict[str, Tensor] = {}
        self.counted = 0

    def run(self, resume: bool) -> Course:
        optimizer_state = self._resume() if resume else None
        optimizer: Any
        model, optimizer = self.here.prepare(self.module, torch.optim.AdamW(**self._groups()))
        if optimizer_state is not None:
            optimizer.load_state_dict(optimizer_state)
        with self._writer() as writer:
            self._steps(model, optimizer, writer)
        self.module.load_state_dict(self.best)
        self.module.to("cpu")
        return self.course

    def _steps(self, model: nn.Module, optimizer: Any, writer: Any) -> None:
        learning, course = self.learning, self.course
        began, first = time.monotonic(), course.step
        if course.step == 0:
            self._keep()
        while course.step < learning.steps and not course.stopped:
            course.step += 1
            rate = learning.rate(course.step)
            self._step(model, optimizer, rate)
            ends = course.step == learning.steps
            saves, looks = ends or course.step % learning.save_every == 0, ends or self._is_due()
            if not (saves or looks or course.step % learning.log_every == 0):
                continue
            figures = self._figures()
            held = self._look() if looks and self.held_back is not None else None
            if held is not None:
                self._judge(held["loss"])
            elif ends or self.held_back is None:
                course.best_step = course.step
            told = {f"held_back_{name}": value for name, value in (held or {}).items()}
            course.history.append({"step": course.step, "rate": rate, **figures, **told})
            if saves or course.stopped:
                if self.held_back is None:
                    self._keep()
                self._save(optimizer)
            left_s = (time.monotonic() - began) / (course.step - first) * (learning.steps - course.step)
            self._tell(writer, Progress(course.step, learning.steps, rate, figures, held, left_s))

    def _step(self, model: nn.Module, optimizer: Any, rate: float) -> None:
        learning, here = self.learning, self.here
        for group in optimizer.param_groups:
            group["lr"] = rate
        size, world = learning.batch, here.num_processes
        for part in range(learning.accumulate):
            first = (((self.course.step - 1) * learning.accumulate + part) * world + here.process_index) * size
            values = self._on_device(self.inputs(range(first, first + size)))
            with here.accumulate(model):
                figures = model(*values)
                here.backward(figures["loss"])
                if learning.clip and here.sync_gradients:
                    here.clip_grad_norm_(model.parameters(), learning.clip)
                optimizer.step()
                optimizer.zero_grad()
            for name, value in figures.items():
                self.sums[name] = self.sums.get(name, 0) + value.detach()
            self.counted += 1

    def _is_due(self) -> bool:
        return self.held_back is not None and self.course.step % self.learning.evaluate_every == 0

    def _figures(self) -> dict[str, float]:
        """Means over all samples since the last time, the same in all processes.

        Raises:
            EngineError: where the loss is not finite.
        """
        names = list(self.sums)
        means = torch.stack([self.sums[name].float() for name in names]) / self.counted
        means = self.here.reduce(means, "mean")
        self.sums, self.counted = {}, 0
        figures: dict[str, float] = dict(zip(names, means.tolist(), strict=True))
        if not math.isfinite(figures["loss"]):
            raise self._lost(f"the loss is {figures['loss']:g}")
        return figures

    def _lost(self, what: str) -> EngineError:
        return EngineError(f"{what} at step {self.course.step}: try a lower lr, or clip the gradients")

    @torch.no_grad()
    def _look(self) -> dict[str, float]:
        """Means over the held-back samples, each process looking at its share of them."""
        assert self.held_back is not None
        size, here = self.learning.batch, self.here
        self.module.eval()
        sums: dict[str, Tensor] = {}
        names: list[str] = []
        for first in range(0, self.held_back.count, size):
            places = range(first, min(first + size, self.held_back.count))
            mine = (first // size) % here.num_processes == here.process_index
            if mine or not names:  # every process needs the names, even of a share that is empty
                with here.autocast():
                    figures = self.module(*self._on_device(self.held_back.inputs(places)))
                names = list(figures)
                weight = len(places) if mine else 0
                for name, value in figures.items():
                    sums[name] = sums.get(name, 0) + value.double() * weight
        self.module.train()
        total = here.reduce(torch.stack([sums[name] for name in names]), "sum") / self.held_back.count
        return dict(zip(names, total.tolist(), strict=True))

    def _judge(self, loss: float) -> None:
        course, patience = self.course, self.learning.patience
        if loss < course.best_loss:
            course.best_loss, course.best_step, course.since_best = loss, course.step, 0
            self._keep()
        else:
            course.since_best += 1
            course.stopped = 0 < patience <= course.since_best

    def _keep(self) -> None:
        self.best = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.module.state_dict().items()}

    def _save(self, optimizer: Any) -> None:
        """Write the state of the first process, which is that of all.

        Raises:
            EngineError: where the last step has made weights that are not finite: the state before stays.
        """
        if not all(bool(parameter.isfinite().all()) for parameter in self.module.parameters()):
            raise self._lost("weights are not finite")
        if self.here.is_main_process:
            weights = self.module.state_dict()
            state = {"weights": weights, "optimizer": optimizer.state_dict(), "course": vars(self.course)}
            best = None if self.course.best_step == self.course.step else self.best  # not the same twice
            saved.save(self.path, self.key, {**state, "best": best})
        self.here.wait_for_everyone()

    def _resume(self) -> dict[str, Any] | None:
        found = saved.load(self.path)
        if found is None:
            return None
        key, state = found
        if key != self.key:
            raise ConfigError(
                "resume", f"{place(self.path)} is of a training with other data, weights or options; train without it"
            )
        self.course = Course(**state["course"])
        self.best = state["weights"] if state["best"] is None else state["best"]
        self.module.load_state_dict(state["weights"])
        optimizer: dict[str, Any] = state["optimizer"]
        return optimizer

    def _groups(self) -> dict[str, Any]:
        """AdamW's arguments: biases and the weights of norms, which have one dimension, do not decay."""
        learning = self.learning
        learnt = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in learnt if p.ndim > 1], "weight_decay": learning.weight_decay},
            {"params": [p for p in learnt if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return {"params": [group for group in groups if group["params"]], "lr": learning.lr, "betas": learning.betas}

    def _on_device(self, values: tuple[Tensor, ...]) -> list[Tensor]:
        return [value.to(self.here.device, non_blocking=True) for value in values]

    @contextlib.contextmanager
    def _writer(self) -> Iterator[Any]:
        if not self.here.is_main_process:
            yield None
            return
        writer = processes.event_writer(str(self.events), self.course.step + 1)
        try:
            yield writer
        finally:
            writer.close()

    def _tell(self, writer: Any, now: Progress) -> None:
        if writer is not None:
            for where, figures in (("train", now.figures), ("held_back", now.held_back or {})):
                for name, value in figures.items():
                    writer.add_scalar(f"{where}/{name}", value, now.step)
            writer.add_scalar("train/rate", now.rate, now.step)
            if self.progress is not None:
                self.progress(now)
