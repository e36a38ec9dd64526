"""Keeps invalid transition requests from ending the node. It knows rclpy's lifecycle services only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode


def answer_invalid_transitions(node: LifecycleNode) -> None:
    """Answer a transition that the current state does not allow with ``success: false``.

    Up to Jazzy rclpy lets the state machine's error escape from the service's callback, which ends the executor and
    with it the node; Kilted answers false by itself.
    """
    service: Any = getattr(node, "_service_change_state", None)
    if service is None:
        return
    inner: Callable[[ChangeState.Request, ChangeState.Response], ChangeState.Response] = service.callback

    def change_state(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        try:
            return inner(request, response)
        except rclpy_implementation.RCLError as error:
            wanted = request.transition.label or request.transition.id
            node.get_logger().warning(f"transition {wanted!r} is not possible now: {str(error).splitlines()[0]}")
            response.success = False
            return response

    service.callback = change_state
