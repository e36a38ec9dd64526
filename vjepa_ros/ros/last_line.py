"""The last line for whatever a callback of the node lets through: said once, counted, and the node goes on.

An exception that leaves a callback ends rclpy's executor and with it the process, whoever made the callback: the node,
or rclpy itself for its own services and its clock. It knows neither what callbacks do nor what is published of it.
"""

from __future__ import annotations

import inspect
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.service import Service

REASON = "internal_error"
_MOST_KINDS = 100  # kinds of errors whose tracebacks are told


class LastLine:
    """Counts what went wrong by where it did, and says the first of each kind with its traceback.

    Args:
        node: whose log is used.

    Attributes:
        counts: errors by the topic, service or callback that they came from.
        dropped: messages to rclpy's own subscriptions that cannot be used, by (topic, reason).
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._told: set[tuple[str, str, str]] = set()
        self.counts: Counter[str] = Counter()
        self.dropped: Counter[tuple[str, str]] = Counter()

    def caught(self, place: str, error: Exception) -> None:
        """Take in an exception that nobody else did; once a signal has ended everything, they are no news."""
        if not self._node.context.ok():
            return
        self.counts[place] += 1
        frames = traceback.extract_tb(error.__traceback__)
        kind = (place, type(error).__name__, f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "")
        if kind in self._told or len(self._told) >= _MOST_KINDS:
            return
        self._told.add(kind)
        text = "".join(traceback.format_exception(error))
        self._node.get_logger().error(
            f"{place}: {REASON}: this is a mistake in the node, which goes on; it is told once, and counted in "
            f"/diagnostics:\n{text}"
        )

    def guarded(self, place: str, callback: Callable[..., Any], otherwise: Callable[..., Any]) -> Callable[..., Any]:
        """The callback, with what is done instead where it fails, given the same arguments."""

        def call(*arguments: Any) -> Any:
            try:
                return callback(*arguments)
            except Exception as error:  # noqa: BLE001 - the last line
                self.caught(place, error)
                return otherwise(*arguments)

        async def call_later(*arguments: Any) -> Any:
            try:
                return await callback(*arguments)
            except Exception as error:  # noqa: BLE001 - the last line
                self.caught(place, error)
                return otherwise(*arguments)

        return call_later if inspect.iscoroutinefunction(callback) else call

    def guard_service(
        self, service: Service, otherwise: Callable[..., Any] = lambda _request, response: response
    ) -> None:
        """Let a service answer where its callback fails: with ``otherwise``, or a response in which nothing stands."""
        name = service.srv_name
        service.callback = self.guarded(name, service.callback, otherwise)
