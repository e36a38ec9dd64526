"""Questions from another process: how near do candidate actions come to a goal image, from the newest window on.

The model rolls out a batch of a question's candidates at a time. How they are read from a message is
:mod:`.question_reading`'s. No ROS, no threads of its own, and the only clock is the one that it is given.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import InputError
from vjepa_ros.forecast.forecaster import Forecaster, SeenWindow
from vjepa_ros.planning.energies import Energies
from vjepa_ros.units import S_TO_NS, to_ns

REASONS = (
    "bad_layout",  # labels, sizes or strides are not those of candidates
    "too_large",  # more candidates, or steps, than are allowed
    "bad_values",  # a candidate is not finite
    "no_state_model",  # the configuration does not say how actions advance states
    "no_goal",  # no goal image that could be used has come
    "busy",  # too many questions wait
    "no_window",  # none in this epoch yet
    "stale_window",  # the newest one is too old
    "outdated",  # time jumped, or a reset came, while the answer was computed
    "not_finite",  # the answer is not
    "model_failed",
)
"""Why a question was not answered."""


@dataclass(frozen=True)
class Goal:
    """A goal image.

    Attributes:
        image: (3, H, W) float32, preprocessed as the camera's frames are.
        stamp_ns: of its message.
    """

    image: NDArray[np.float32]
    stamp_ns: int


class Tally:
    """What became of all questions.

    Attributes:
        asked, answered: how many questions came, and how many were answered by numbers.
        refused: how many were not, by reason.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.answered = 0
        self.refused: Counter[str] = Counter(dict.fromkeys(REASONS, 0))  # no key is added while another thread reads
        self._lock = threading.Lock()

    def refuse(self, reason: str) -> None:
        """Count a question that is not answered; from any thread: some are refused at once, some by the worker."""
        with self._lock:
            self.refused[reason] += 1


class Evaluator:
    """Answers questions with the model. All but ``refusal`` is for the one thread that touches the model.

    Args:
        model: the world model.
        forecaster: has the last window.
        config: limits, and whether actions advance states.
        now_ns: the time on the clock of the frames' stamps.

    Attributes:
        refusal: why this configuration cannot answer questions, empty where it can.
        max_age_s: a window older than this is not asked about.
    """

    def __init__(
        self, model: WorldModel, forecaster: Forecaster, config: NodeConfig, now_ns: Callable[[], int]
    ) -> None:
        self._model = model
        self._forecaster = forecaster
        self.max_age_s = config.candidates.max_age_s
        self._now_ns = now_ns
        self._encoded: tuple[Goal, torch.Tensor] | None = None
        self._energies = Energies(model)
        self.refusal = "" if config.no_state_change is None else str(config.no_state_change)

    def needs_encoding(self, goal: Goal) -> bool:
        """Whether this is another goal than the last one that was encoded."""
        return self._latents_of(goal) is None

    def encode(self, goal: Goal) -> torch.Tensor:
        """The latents of a goal, (1, H'*W', D); computed once.

        Raises:
            EngineError: if the model or its device fails.
        """
        latents = self._latents_of(goal)
        if latents is None:
            latents = self._model.encode_still(torch.from_numpy(goal.image)[None, :, None])  # of (1, 3, 1, H, W)
            self._encoded = goal, latents
        return latents

    def _latents_of(self, goal: Goal) -> torch.Tensor | None:
        return self._encoded[1] if self._encoded is not None and self._encoded[0] is goal else None

    def window(self, epoch: int) -> SeenWindow:
        """The last window, if it may be asked about.

        Raises:
            InputError: ``no_window`` where there is none of this epoch; ``stale_window`` where it is too old, or from
                as far in the future, which is a clock that does not agree.
        """
        seen = self._forecaster.last
        if seen is None or seen.window.epoch != epoch:
            raise InputError("no_window", f"there is none of epoch {epoch} yet")
        age_ns = self._now_ns() - seen.window.frames[-1].stamp_ns
        if abs(age_ns) > to_ns(self.max_age_s):
            raise InputError(
                "stale_window",
                f"the newest one's age is {age_ns / S_TO_NS:.3f} s, candidates.max_age_s is {self.max_age_s:g} s",
            )
        return seen

    def energies(self, seen: SeenWindow, candidates: NDArray[np.float64], goal: Goal) -> NDArray[np.float32]:
        """(k, H, A) candidates -> (k, H) the energies of each step's forecast.

        Raises:
            EngineError: if the model or its device fails.
        """
        return self._energies.of(seen, candidates, self.encode(goal))


class CandidateQuestion:
    """One question, answered in turns: the worker's ``Question``.

    The window is chosen, and its age judged, when the question's turn comes: its answer is about that one window.

    Args:
        number: its place among all questions, from 0.
        candidates: (K, H, A), what is asked.
        tag: the asker's own numbers.
        goal: the goal at that time.
        evaluator: computes.
        batch_size: candidates in a turn.
        publish: called with the question when it is answered.

    Attributes:
        number, candidates, tag, goal: as given.
        observed: the window that the answer is about, None before it is chosen.
        energies: (K, H) float32; whole and finite once there is an answer and no refusal.
        refusal: why there are no energies.
    """

    def __init__(
        self,
        number: int,
        candidates: NDArray[np.float64],
        tag: tuple[float, ...],
        goal: Goal,
        evaluator: Evaluator,
        batch_size: int,
        publish: Callable[[CandidateQuestion], None],
    ) -> None:
        self.number = number
        self.candidates = candidates
        self.tag = tag
        self.goal = goal
        self.observed: SeenWindow | None = None
        self.energies = np.full(candidates.shape[:2], np.nan, np.float32)
        self.refusal: InputError | None = None
        self._evaluator = evaluator
        self._batch_size = batch_size
        self._publish = publish
        self._done = 0

    def turn(self, epoch: int) -> bool:
        """Encode the goal, or choose the window and compute a batch; whether there is an answer.

        Raises:
            EngineError: if the model or its device fails; the turn can be tried again.
        """
        if self.refusal is None:
            try:
                self._turn(epoch)
            except InputError as error:
                self.refusal = error
        return self.refusal is not None or self._done == len(self.energies)

    def _turn(self, epoch: int) -> None:
        if self.observed is None:
            if self._evaluator.needs_encoding(self.goal):
                self._evaluator.encode(self.goal)
                return  # it takes as long as a window
            self.observed = self._evaluator.window(epoch)
        elif self.observed.window.epoch != epoch:
            raise InputError("outdated", f"it was about epoch {self.observed.window.epoch}, now is {epoch}")
        batch = slice(self._done, self._done + self._batch_size)
        if self._done < len(self.energies):
            self.energies[batch] = self._evaluator.energies(self.observed, self.candidates[batch], self.goal)
            self._done = min(batch.stop, len(self.energies))
            broken = np.count_nonzero(~np.isfinite(self.energies[batch]).all(axis=1))
            if broken:
                raise InputError("not_finite", f"the energies of {broken} candidates are not")

    def fail(self, error: Exception) -> None:
        """The model has failed too often."""
        self.refusal = InputError("model_failed", str(error))

    def deliver(self) -> None:
        """Publish the answer."""
        self._publish(self)


def answer_info(
    number: int, tag: tuple[float, ...], refusal: InputError | None, question: CandidateQuestion | None, info_id: str
) -> dict[str, Any]:
    """What ``candidate_info`` says: which question it is, what became of it, and what the answer is about.

    Args:
        number, tag: of the question.
        refusal: None where there are energies.
        question: None where it was refused at once.
        info_id: of the ``latent_info`` that goes with it.
    """
    window = question.observed.window if question is not None and question.observed is not None else None
    return {
        "question": number,
        "tag": list(tag),
        "answered": refusal is None,
        "reason": refusal.reason if refusal is not None else "",
        "detail": refusal.detail if refusal is not None else "",
        "info_id": info_id,
        "epoch": window.epoch if window is not None else None,
        "window": window.number if window is not None else None,
        "window_stamp": window.stamp_ns if window is not None else None,
        "goal_stamp": question.goal.stamp_ns if question is not None else None,
    }
