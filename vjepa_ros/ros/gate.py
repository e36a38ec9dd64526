"""Lets messages in, or leaves them where the middleware keeps them, while everything else in the executor goes on.

It knows no topics and no windows.
"""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import CallbackGroup


class Gate(CallbackGroup):
    """The callbacks of another group that can be held up without the others: an executor does not even ask for them.

    Args:
        inner: the group that they are of besides: its callbacks and these run one at a time.

    Attributes:
        is_open: whether messages are let in.
    """

    def __init__(self, inner: CallbackGroup) -> None:
        super().__init__()
        self._inner = inner
        self.is_open = True

    def add_entity(self, entity: Any) -> None:
        """Add a subscription or whatever else has a callback."""
        super().add_entity(entity)
        self._inner.add_entity(entity)

    def can_execute(self, entity: Any) -> bool:
        """Whether the callback may run now."""
        return self.is_open and bool(self._inner.can_execute(entity))

    def beginning_execution(self, entity: Any) -> bool:
        """Whether the callback begins now."""
        return self.is_open and bool(self._inner.beginning_execution(entity))

    def ending_execution(self, entity: Any) -> None:
        """The callback has ended."""
        self._inner.ending_execution(entity)
