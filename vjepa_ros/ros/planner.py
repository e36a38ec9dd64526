"""The planner's topics and services: goals and the robot's state in, plans and commands out. Wiring only.

Messages and services come in the executor's thread; windows, and what becomes of plans, in the worker's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray
from trajectory_msgs.msg import JointTrajectory

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.planner import JOINT_STATE
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.forecast.forecaster import Forecaster
from vjepa_ros.geometry import rotation_matrix
from vjepa_ros.planning.aims import GoalImages
from vjepa_ros.planning.arm import Arm
from vjepa_ros.planning.command import Step
from vjepa_ros.planning.execution import Execution
from vjepa_ros.planning.goal_files import read_goals
from vjepa_ros.planning.plan_outcome import Outcome
from vjepa_ros.planning.plan_question import PlanQuestion
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.questions import Goal
from vjepa_ros.planning.status import health_values, plan_values, state_of
from vjepa_ros.ros import plan_messages, qos
from vjepa_ros.ros.commanding import KINDS, Commanding
from vjepa_ros.ros.endpoints import Endpoints
from vjepa_ros.ros.plan_services import PlanServices
from vjepa_ros.ros.plan_topics import COMMAND, PICTURE, PLAN, PLAN_ENERGY, STATUS
from vjepa_ros.ros.robot_inputs import RobotInputs
from vjepa_ros.stream.frames import Report
from vjepa_ros.stream.intake import Intake, Take
from vjepa_ros.stream.window import Window
from vjepa_ros.units import S_TO_NS
from vjepa_ros.worker import Worker

_CHECKED_EVERY_S = 0.05  # whether what execution needs has come in time
_SAID_EVERY_S = 0.5  # what has changed without a plan or a message: that nothing comes any more


class PlannerTopics:
    """Plans of every window, published; and sent to the robot, where that is allowed and switched on.

    Args:
        node: whose clock, name and services they are.
        config: what the parameters say; the planner is enabled.
        model: the world model.
        forecaster: has the last window.
        intake: preprocesses goal images as it does the camera's.
        endpoints: makes the publishers.
        report: told of what must not be silent: (topic, reason, detail).

    Raises:
        ConfigError: for a folder of goals that cannot be read.
    """

    def __init__(
        self,
        node: LifecycleNode,
        config: NodeConfig,
        model: WorldModel,
        forecaster: Forecaster,
        intake: Intake,
        endpoints: Endpoints,
        report: Report,
    ) -> None:
        self._node = node
        self._config = config
        self._endpoints = endpoints
        self._report = report
        given = config.planner.goals
        goals = read_goals(given, intake.compressed_still, config.images.max_file_bytes) if given else ()
        self._planner = Planner(config, model, forecaster, goals, self._now_ns, self._wants_picture)
        self._worker: Worker[Any, Any] | None = None
        self._execution: Execution | None = None
        self._question: PlanQuestion | None = None  # the one that is being answered, or waits
        self._missed = False  # a window came in the meantime
        self._outcome = Outcome()
        self._version = 0  # of the aims, when there was a plan last
        self._base = ""  # the link that poses are relative to
        self._timers: list[Any] = []
        self._said: tuple[str, str] | None = None  # the state and the reason that were published last
        self._publishers: dict[str, Any] = {}
        self._services: PlanServices | None = None
        try:
            self._make()
        except BaseException:
            self.destroy()
            raise

    def _make(self) -> None:
        is_of_tip = self._planner.motion.is_of_tip
        rows: dict[str, tuple[type, str, Callable[[], Any]]] = {
            "plan": (PoseArray if is_of_tip else JointTrajectory, PLAN, qos.QUESTIONS),
            "energy": (Float32MultiArray, PLAN_ENERGY, qos.QUESTIONS),
            "status": (DiagnosticArray, STATUS, qos.QUESTIONS),
            "image": (Image, PICTURE, qos.LATENTS),
        }
        if self._config.planner.execute:
            rows["command"] = (KINDS[self._config.planner.command_type], COMMAND, qos.QUESTIONS)
        for name, (kind, topic, profile) in rows.items():
            self._publishers[name] = self._endpoints.publisher(kind, topic, profile())
        self._services = PlanServices(self._node, self._endpoints.last_line, self._planner.aims, self._publish_status)

    def destroy(self) -> None:
        """End publishers and services."""
        for publisher in self._publishers.values():
            self._endpoints.destroy(publisher)
        if self._services is not None:
            self._services.destroy()
        self._publishers, self._services = {}, None

    # -- the executor's thread

    def open(self, worker: Worker[Any, Any]) -> dict[str, Take]:
        """Begin anew, with execution off.

        Returns:
            What takes the messages that it reads besides goals, by the node's name of the topic.
        """
        self._worker, self._outcome, self._said = worker, Outcome(), None
        self._question, self._missed = None, False
        self._planner.start()
        self._planner.arm, self._base = None, self._config.stream.pose.base_link
        joints, settings = len(self._planner.motion.joint_names), self._config.planner
        commanding = Commanding(self._node, settings.command_type, self._publishers.get("command"), joints)
        jump_back_s = self._config.stream.jump_back_s
        self._execution = Execution(settings, commanding, self._on_end, self._now_ns, jump_back_s)
        if self._services is not None:
            self._services.open(self._execution, worker)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if settings.execute:
            check = self._endpoints.last_line.guarded(COMMAND, self._execution.check, self._on_mistake)
            self._timers.append(self._node.create_timer(_CHECKED_EVERY_S, check, clock=steady))
        look = self._endpoints.last_line.guarded(STATUS, self._say_if_changed, lambda: None)
        self._timers.append(self._node.create_timer(_SAID_EVERY_S, look, clock=steady))
        names = tuple(self._planner.motion.joint_names)
        return RobotInputs(self._config, names, self._execution, self._describe, self._report).takes

    def _describe(self, arm: Arm | None, base: str) -> None:
        self._planner.arm, self._base = arm, base

    def close(self) -> None:
        """Send nothing more. Called before the worker ends, so that nothing is sent while it does."""
        if self._execution is not None:
            self._execution.end("deactivated", "the node was deactivated")
        for timer in self._timers:
            self._node.destroy_timer(timer)
        self._timers.clear()
        if self._services is not None:
            self._services.close()
        self._worker = None

    def new_goal(self, goal: Goal) -> None:
        """Take in a goal image."""
        self._planner.aims.set(GoalImages("goal_image", (goal.image,), goal.stamp_ns))
        self._publish_status()  # of the same picture once more, that this is the goal

    def time_jumped(self, detail: str) -> None:
        """A new epoch has begun."""
        if self._execution is not None:
            self._execution.end("time_jumped", detail)

    def _on_end(self, reason: str, detail: str) -> None:
        """Execution has ended; in either thread."""
        self._planner.stopped()
        if self._node.context.ok():
            self._node.get_logger().warning(f"execution has ended: {reason}: {detail}")
            self._publish_status()

    def _on_mistake(self, *_arguments: Any) -> None:
        if self._execution is not None:
            self._execution.end("internal_error", "an error in the node: see its log")

    # -- the worker's thread

    def window(self, window: Window) -> None:
        """A window has gone through the model: plan from it, now or as soon as the plan before it is there."""
        if self._execution is not None:
            every_s = window.period_ns * self._config.stream.hop / S_TO_NS
            self._execution.window(window.frames[-1].stamp_ns, every_s)
        self._missed = True
        if self._question is None:
            self._ask()

    def prediction_error(self, error: float) -> None:
        """How wrong a forecast was."""
        if self._execution is not None:
            self._execution.prediction_error(error)

    def failed(self, error: Exception) -> None:
        """The model is given up."""
        if self._execution is not None:
            self._execution.end("model_failed", str(error))

    def _ask(self) -> None:
        worker = self._worker  # once: another thread may close the planner
        if worker is None or self._planner.aims.is_reached:
            return
        self._missed = False
        deliver = self._endpoints.last_line.guarded(PLAN, self._deliver, self._on_mistake)
        self._question = PlanQuestion(self._planner, deliver)
        if not worker.ask(self._question, has_place=True):
            self._question = None  # it has ended, or has failed and says so

    def _deliver(self, outcome: Outcome) -> None:
        self._question = None
        if self._execution is None or self._worker is None or not self._node.context.ok():
            return  # a signal, or deactivate, has ended everything in the meantime
        if outcome.plan is not None and not self._planner.is_aimed_at(outcome.target):
            self._ask()  # another goal came with the last turn
            return
        self._outcome = outcome
        if outcome.plan is not None:
            self._publish_plan(outcome)
            self._execute(outcome, self._execution)
        elif outcome.reason == "reached":
            self._execution.end("reached", outcome.detail)
        elif outcome.reason in ("model_failed", "not_finite", "internal_error"):
            self._execution.end(outcome.reason, outcome.detail)
        self._publish_status()
        if self._missed:
            self._ask()

    def _execute(self, outcome: Outcome, execution: Execution) -> None:
        assert outcome.plan is not None and outcome.reached is not None
        assert outcome.steps is not None and outcome.target is not None
        if outcome.target.version != self._version:
            self._version = outcome.target.version
            execution.restart()
        if outcome.is_late:
            return
        first, place, is_pose = outcome.first, outcome.reached[outcome.first], self._planner.motion.is_of_tip
        if is_pose:
            placed = np.eye(4)
            placed[:3, :3], placed[:3, 3] = rotation_matrix(place[3:6]), place[:3]
            place = placed
        begins_ns, ends_ns = outcome.steps.begins_ns(first), outcome.steps.begins_ns(first + 1)
        if self._config.planner.command_type != JOINT_STATE:  # it is in force at once
            begins_ns = self._now_ns()
            ends_ns = begins_ns + outcome.steps.period_ns
        step = Step(outcome.now, place, is_pose, begins_ns, ends_ns, outcome.begun_s)
        execution.offer(
            step, lambda command: self._planner.sent(command.at_ns, self._planner.as_sent(outcome, command))
        )

    def _publish_plan(self, outcome: Outcome) -> None:
        assert outcome.plan is not None and outcome.reached is not None and outcome.steps is not None
        planner, steps = self._planner, outcome.steps
        rows, stamp_ns = outcome.reached[outcome.first :], steps.begins_ns(outcome.first)
        if planner.motion.is_of_tip:
            message: Any = plan_messages.poses_message(rows, self._base, stamp_ns)
        else:
            message = plan_messages.trajectory_message(planner.motion.joint_names, rows, stamp_ns, steps.period_ns)
        self._publishers["plan"].publish(message)
        self._publishers["energy"].publish(plan_messages.plan_energy_message(outcome.plan.now, outcome.plan.energies))
        if outcome.picture is not None and outcome.seen is not None:
            window = outcome.seen.window
            frame_id = window.frames[-1].frame_id
            self._publishers["image"].publish(plan_messages.picture_message(outcome.picture, window.stamp_ns, frame_id))

    # -- either

    @property
    def health(self) -> dict[str, Any] | None:
        """What ``/diagnostics`` has of it; None where nothing has been planned yet for want of an activation."""
        if self._execution is None:
            return None
        return health_values(plan_values(self._planner, self._outcome, self._execution))

    def _publish_status(self) -> None:
        if self._execution is None or "status" not in self._publishers:
            return
        values = plan_values(self._planner, self._outcome, self._execution)
        self._said, name = (values["state"], values["reason"]), self._node.get_fully_qualified_name()
        self._publishers["status"].publish(plan_messages.plan_status_message(values, self._now_ns(), name))

    def _say_if_changed(self) -> None:
        """Say that nothing comes any more; what comes says so itself."""
        found = state_of(self._planner, self._outcome)[:2]
        if found[0] == "waiting" and found != self._said:
            self._publish_status()

    def _wants_picture(self) -> bool:
        return bool(self._publishers["image"].get_subscription_count())

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
