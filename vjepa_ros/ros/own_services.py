"""rclpy's own services and clock, made to answer and to go on whatever they are sent.

Up to Jazzy several of them let an exception through that ends the node: a transition that is not possible now, a
parameter of a type that does not exist, a time before 1970. There is no public way to get at them; where rclpy keeps
them otherwise, the executor's last line still holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

from vjepa_ros.errors import InputError, quoted
from vjepa_ros.ros.last_line import LastLine
from vjepa_ros.stream.bounds import checked_stamp_ns

CLOCK_TOPIC = "/clock"
MOST_PARAMETERS = 1000  # in one request; the node has a tenth of that


Prepare = Callable[[], Awaitable[str]]
"""What is done before a configure transition while the executor goes on; gives why it must not begin, or nothing."""


def guard(
    node: Node, last_line: LastLine, warn: Callable[[str, str, str], None], prepare: Prepare | None = None
) -> None:
    """Guard all services that a node has now, and its clock.

    Args:
        node: whose they are.
        last_line: told of what must not happen; counts times that cannot be.
        warn: told of these: (topic, reason, detail).
        prepare: awaited before each configure transition.
    """
    for service in list(node.services):
        _prepare(service, node, prepare)
        last_line.guard_service(service, _failed)
    _guard_clock(node, last_line, warn)


def _prepare(service: Any, node: Node, prepare: Prepare | None) -> None:
    """Let the mistakes that are known be answered in words."""
    if service.srv_type is ChangeState:
        service.callback = _change_state(node, service.callback)
        if prepare is not None:
            service.callback = _prepared(node, service.callback, prepare)
            # The group that all else is in would be taken until the transition has ended.
            service.callback_group = ReentrantCallbackGroup()
            service.callback_group.add_entity(service)
    elif service.srv_type is SetParameters:
        service.callback = _set_parameters(service.callback)
    elif service.srv_type is SetParametersAtomically:
        service.callback = _set_atomically(service.callback)


def _failed(_request: Any, response: Any) -> Any:
    """An answer that says no, where one can be said."""
    if isinstance(response, SetParametersAtomically.Response):
        response.result = SetParametersResult(successful=False, reason="an error in the node: see its log")
    return response


def _change_state(node: Node, inner: Callable[..., Any]) -> Callable[..., Any]:
    """Answer a transition that the current state does not allow with ``success: false``, as Kilted does."""

    def change_state(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        try:
            return inner(request, response)
        except rclpy_implementation.RCLError as error:
            wanted = quoted(request.transition.label) if request.transition.label else request.transition.id
            if node.context.ok():  # else a signal has ended everything during the transition
                node.get_logger().warning(f"transition {wanted} is not possible now: {str(error).splitlines()[0]}")
            response.success = False
            return response

    return change_state


def _prepared(node: Node, inner: Callable[..., Any], prepare: Prepare) -> Callable[..., Any]:
    """Before a configure transition, do what takes long; a reason not to begin it is answered as a refusal."""

    async def change_state(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        asked = request.transition
        is_configure = asked.label == "configure" if asked.label else asked.id == Transition.TRANSITION_CONFIGURE
        reason = await prepare() if is_configure else ""
        if not reason:
            return inner(request, response)
        if node.context.ok():
            node.get_logger().warning(f"configure: {reason}")
        response.success = False
        return response

    return change_state


def _set_parameters(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Set one parameter after the other, so that one which cannot be set does not keep the others from it."""

    def set_parameters(request: SetParameters.Request, response: SetParameters.Response) -> SetParameters.Response:
        for number, parameter in enumerate(request.parameters):
            try:
                if number >= MOST_PARAMETERS:
                    raise InputError("too_large", f"at most {MOST_PARAMETERS} parameters at once")
                one = inner(SetParameters.Request(parameters=[parameter]), SetParameters.Response())
                response.results.append(one.results[0])
            except Exception as error:  # noqa: BLE001 - rclpy raises what it likes; this is the answer
                response.results.append(SetParametersResult(successful=False, reason=_reason(parameter, error)))
        return response

    return set_parameters


def _set_atomically(inner: Callable[..., Any]) -> Callable[..., Any]:
    def set_atomically(
        request: SetParametersAtomically.Request, response: SetParametersAtomically.Response
    ) -> SetParametersAtomically.Response:
        try:
            if len(request.parameters) > MOST_PARAMETERS:
                raise InputError("too_large", f"at most {MOST_PARAMETERS} parameters at once")
            return inner(request, response)
        except Exception as error:  # noqa: BLE001 - as above
            names = [parameter.name for parameter in request.parameters[:1]]
            response.result = SetParametersResult(successful=False, reason=f"{names}: {quoted(str(error), 200)}"[:400])
            return response

    return set_atomically


def _reason(parameter: Any, error: Exception) -> str:
    return f"{quoted(parameter.name)}: {quoted(str(error), 200)}"


def _guard_clock(node: Node, last_line: LastLine, warn: Callable[[str, str, str], None]) -> None:
    """Drop times on /clock that no clock can have, before rclpy's time source gets them."""
    source: Any = getattr(node, "_time_source", None)
    if source is None or not hasattr(source, "clock_callback"):
        return
    inner = source.clock_callback

    def on_clock(message: Any) -> None:
        try:
            checked_stamp_ns(message.clock)
        except InputError as error:
            last_line.dropped[CLOCK_TOPIC, error.reason] += 1
            warn(CLOCK_TOPIC, error.reason, error.detail)
            return
        inner(message)

    source.clock_callback = last_line.guarded(CLOCK_TOPIC, on_clock, lambda _message: None)
    subscription = getattr(source, "_clock_sub", None)  # made already where the node was started with use_sim_time
    if subscription is not None:
        subscription.callback = source.clock_callback
