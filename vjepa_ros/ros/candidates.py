"""The topics of questions: candidates and goal images in, energies and what became of each out. Wiring only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float32MultiArray

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import InputError
from vjepa_ros.forecast.forecaster import Forecaster
from vjepa_ros.planning.question_reading import read_candidates, read_tag
from vjepa_ros.planning.questions import (
    CandidateQuestion,
    Evaluator,
    Goal,
    Tally,
    answer_info,
)
from vjepa_ros.ros import qos
from vjepa_ros.ros.publishers import Publishers
from vjepa_ros.stream.bounds import checked_stamp_ns
from vjepa_ros.stream.frames import Report
from vjepa_ros.stream.intake import Intake
from vjepa_ros.stream.window import Window
from vjepa_ros.worker import Worker

CANDIDATES, GOAL_IMAGE, COMPRESSED_GOAL = "~/candidates", "~/goal_image", "~/goal_image/compressed"


class CandidateTopics:
    """Takes questions from the executor's thread to the worker's, and answers them from there.

    Every question gets one ``candidate_info``; energies go with it only where there are any.

    Args:
        node: whose clock and name are used.
        config: limits and normalisation.
        model: the world model.
        forecaster: has the last window.
        intake: decodes and preprocesses goal images as it does the camera's.
        publishers: ``energies`` and ``answers``.
        info_id: of the ``latent_info``.
        report: told of what is refused: (topic, reason, detail).

    Attributes:
        tally: what became of all questions since the node was configured.
        goals, goals_refused: goal images taken, and those that could not be used.
        on_goal: told of each goal image that is taken.
    """

    def __init__(
        self,
        node: Node,
        config: NodeConfig,
        model: WorldModel,
        forecaster: Forecaster,
        intake: Intake,
        publishers: Publishers,
        info_id: str,
        report: Report,
    ) -> None:
        self._node = node
        self._config = config
        self._intake = intake
        self._publishers = publishers
        self._info_id = info_id
        self._report = report
        self._evaluator = Evaluator(model, forecaster, config, self._now_ns)
        self._topic = node.resolve_topic_name(CANDIDATES)
        self._worker: Worker[Any, Any] | None = None
        self._goal: Goal | None = None
        self.tally = Tally()
        self.goals = 0
        self.goals_refused = 0
        self.on_goal: Callable[[Goal], None] = lambda goal: None

    @property
    def waiting(self) -> int:
        """Questions that wait."""
        return self._worker.waiting_questions if self._worker is not None else 0

    def change(self, config: NodeConfig, info_id: str) -> None:
        """Go by another age limit, and name another ``latent_info``."""
        self._config, self._info_id = config, info_id
        self._evaluator.max_age_s = config.candidates.max_age_s

    def open(self, worker: Worker[Any, Any], subscribe: Callable[..., None]) -> None:
        """Subscribe.

        Args:
            worker: the model's thread.
            subscribe: makes a subscription, given type, topic, profile and what to do with a message.
        """
        self._worker = worker
        subscribe(Float32MultiArray, CANDIDATES, qos.QUESTIONS(), self.candidates)
        subscribe(Image, GOAL_IMAGE, qos.GOAL(), self.goal_image)
        subscribe(CompressedImage, COMPRESSED_GOAL, qos.GOAL(), self.compressed_goal_image)

    def close(self) -> None:
        """Forget worker and goal."""
        self._worker = self._goal = None

    def goal_image(self, topic: str, message: Image, _received_ns: int) -> list[Window]:
        """Take in a goal image, which replaces the last one unless it cannot be used; no window comes of it."""
        return self._take_goal(topic, message, self._intake.still)

    def compressed_goal_image(self, topic: str, message: CompressedImage, _received_ns: int) -> list[Window]:
        """The same of a compressed one."""
        return self._take_goal(topic, message, self._intake.compressed_still)

    def _take_goal(self, topic: str, message: Any, prepare: Callable[[Any], NDArray[np.float32]]) -> list[Window]:
        try:
            stamp_ns = checked_stamp_ns(message.header.stamp)
            image = prepare(message)
        except InputError as error:
            self.goals_refused += 1
            self._report(topic, error.reason, f"{error.detail}; the goal before it stays")
            return []
        self._goal = Goal(image, stamp_ns)
        self.goals += 1
        self.on_goal(self._goal)
        return []

    def candidates(self, _topic: str, message: Float32MultiArray, _received_ns: int) -> list[Window]:
        """Take in a question; no window comes of it."""
        number, tag = self.tally.asked, read_tag(message)
        self.tally.asked += 1
        try:
            self._ask(number, tag, message)
        except InputError as error:
            self._answer(number, tag, error)
        return []

    def _ask(self, number: int, tag: tuple[float, ...], message: Float32MultiArray) -> None:
        limits = self._config.candidates
        candidates = read_candidates(message, self._config.model.action_dim, limits)
        if self._evaluator.refusal:
            raise InputError("no_state_model", self._evaluator.refusal)
        if self._goal is None:
            raise InputError("no_goal", f"publish an image on {GOAL_IMAGE} first")
        assert self._worker is not None
        question = CandidateQuestion(
            number, candidates, tag, self._goal, self._evaluator, limits.batch_size, self._answer_question
        )
        if not self._worker.ask(question):
            if self._worker.failed is not None:
                raise InputError("model_failed", str(self._worker.failed))
            raise InputError("busy", f"{self._worker.waiting_questions} questions wait, see candidates.queue_size")

    def _answer_question(self, question: CandidateQuestion) -> None:
        """Runs in the worker's thread."""
        self._answer(question.number, question.tag, question.refusal, question)

    def _answer(
        self, number: int, tag: tuple[float, ...], refusal: InputError | None, question: CandidateQuestion | None = None
    ) -> None:
        if not self._node.context.ok():
            return  # a signal has ended everything in the meantime
        if refusal is None:
            self.tally.answered += 1
        else:
            self.tally.refuse(refusal.reason)
            self._report(self._topic, refusal.reason, f"question {number}: {refusal.detail}")
        values = answer_info(number, tag, refusal, question, self._info_id)
        observed = question.observed if question is not None else None
        stamp_ns = observed.window.stamp_ns if observed is not None else self._now_ns()
        frame_id = observed.window.frames[-1].frame_id if observed is not None else ""
        name = self._node.get_fully_qualified_name()
        self._publishers.publish("answers", values, stamp_ns, frame_id, name)
        if refusal is None and question is not None:
            self._publishers.publish("energies", question.energies, tag)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
