"""A planner with a window and a clock that stands still, and how its plans end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from support.builders import MS, model_window
from vjepa_ros.config.node import resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import EngineError
from vjepa_ros.forecast.forecaster import Forecaster
from vjepa_ros.planning.aims import GoalImages
from vjepa_ros.planning.plan_outcome import Outcome
from vjepa_ros.planning.plan_question import PlanQuestion
from vjepa_ros.planning.planner import Planner
from vjepa_ros.stream.window import Window

JOINTS = [f"joint{number}" for number in range(7)]
NEWEST_NS = 15 * 50 * MS  # the window's newest frame; its newest step is a frame earlier, a step lasts 100 ms
STEP_NS = 100 * MS
GIVEN: dict[str, Any] = {
    "joint_names": JOINTS, "planner.enabled": True, "planner.samples": 6, "planner.elites": 2, "planner.iterations": 2,
    "planner.horizon": 4, "planner.std": [0.1], "planner.time_limit_s": 60.0, "candidates.batch_size": 4,
    "encoder_depth": 1, "predictor_depth": 1,
}  # fmt: skip


def picture(seed: int, name: str = "") -> GoalImages:
    image = np.random.default_rng(seed).normal(size=(3, 64, 64)).astype(np.float32)
    return GoalImages(name or f"goal {seed}", (image,), 77)


class Bench:
    """A planner with a window and a clock that stands still, and how its plans end."""

    def __init__(self, model: WorldModel, goals: tuple[GoalImages, ...] = (picture(1),), **values: Any) -> None:
        config = resolve({**GIVEN, **{f"planner.{name}": value for name, value in values.items()}})
        self.forecaster = Forecaster(model, config)
        self.now_ns = NEWEST_NS + 20 * MS
        self.planner = Planner(config, model, self.forecaster, goals, lambda: self.now_ns)
        self.planner._took_s.append(0.0)  # as if a plan had been there at once: the clock stands still
        self.see(model_window())

    def see(self, window: Window) -> None:
        self.forecaster(window)

    def question(self) -> tuple[PlanQuestion, list[Outcome]]:
        delivered: list[Outcome] = []
        return PlanQuestion(self.planner, delivered.append), delivered

    def asked_again(self) -> tuple[PlanQuestion, int, Outcome]:
        """A question that is asked until it has an answer, how often the model failed on the way, and the answer."""
        question, delivered = self.question()
        failures = 0
        while True:
            try:
                if question.turn(0):
                    break
            except EngineError:
                failures += 1
        question.deliver()
        return question, failures, delivered[0]

    def plan(self, epoch: int = 0) -> Outcome:
        question, delivered = self.question()
        for _ in range(100):
            if question.turn(epoch):
                question.deliver()
                self.planner._took_s.clear()
                self.planner._took_s.append(0.0)
                return delivered[0]
        raise AssertionError("no plan")


def later(window: Window, by_ns: int, epoch: int = 0) -> Window:
    """The same, so much later."""
    frames = tuple(replace(frame, stamp_ns=frame.stamp_ns + by_ns) for frame in window.frames)
    return replace(
        window, epoch=epoch, frames=frames, step_stamps_ns=tuple(stamp + by_ns for stamp in window.step_stamps_ns)
    )
