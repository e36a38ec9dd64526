"""The planner's services: the next goal, execution on and off, and stop. Wiring only.

They are there from configure on; while the node is not active they say so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import SetBool, Trigger

from vjepa_ros.errors import InputError
from vjepa_ros.planning.aims import Aims
from vjepa_ros.planning.execution import Execution
from vjepa_ros.ros.last_line import LastLine
from vjepa_ros.worker import Worker


class PlanServices:
    """``~/next_goal``, ``~/execute`` and ``~/stop``.

    Args:
        node: whose services they are.
        last_line: lets them answer whatever goes wrong.
        aims: the goals.
        changed: called after each change.
    """

    def __init__(self, node: LifecycleNode, last_line: LastLine, aims: Aims, changed: Callable[[], None]) -> None:
        self._node = node
        self._aims = aims
        self._changed = changed
        self._execution: Execution | None = None
        self._worker: Worker[Any, Any] | None = None
        self._services = []
        for kind, name, call in (
            (Trigger, "~/next_goal", self._on_next_goal),
            (Trigger, "~/stop", self._on_stop),
            (SetBool, "~/execute", self._on_execute),
        ):
            service = node.create_service(kind, name, call)
            last_line.guard_service(service, _failed)
            self._services.append(service)

    def open(self, execution: Execution, worker: Worker[Any, Any]) -> None:
        """The node is active."""
        self._execution, self._worker = execution, worker

    def close(self) -> None:
        """It is no longer."""
        self._execution = self._worker = None

    def destroy(self) -> None:
        """End the services."""
        for service in self._services:
            self._node.destroy_service(service)

    def _on_next_goal(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        verdict = None if self._worker is None else self._aims.advance()
        response.success = verdict is not None
        response.message = self._aimed_at() if response.success else "there is no goal that is aimed at"
        if verdict == "reached" and self._execution is not None:
            self._execution.end("reached", "~/next_goal was called at the last goal")
        self._changed()
        return response

    def _aimed_at(self) -> str:
        aims = self._aims
        if aims.is_reached or aims.current is None:
            return "that was the last goal"
        return f"goal {aims.index + 1} of {aims.count}, {aims.current.name}"

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        ended = self._execution is not None and self._execution.end("stopped", "~/stop was called")
        response.success, response.message = True, "stopped" if ended else "nothing was executed"
        return response

    def _require_aim(self) -> None:
        """Refuse where there is nothing to execute; what is true from now on ends execution instead."""
        if self._worker is not None and self._worker.failed is not None:
            raise InputError("model_failed", str(self._worker.failed))
        if self._aims.current is None or self._aims.is_reached:
            raise InputError("no_goal", "there is no goal, or the last one is met")

    def _on_execute(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        execution = self._execution
        if not request.data:
            ended = execution is not None and execution.end("switched_off", "~/execute was called with false")
            response.success, response.message = True, "off" if ended else "it was off"
            return response
        try:
            if execution is None or self._worker is None:
                raise InputError("inactive", "the node is not active")
            execution.switch_on(self._require_aim)
        except InputError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.message = True, "on"
        self._node.get_logger().warning("execution is on: plans are sent to the robot")
        self._changed()
        return response


def _failed(_request: Any, response: Any) -> Any:
    response.success, response.message = False, "an error in the node: see its log"
    return response
