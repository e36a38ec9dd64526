"""The executor that spins a node: no callback ends it, and a message costs little more than its callback.

It knows no topics.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rclpy.event_handler import EventHandler
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.guard_condition import GuardCondition
from rclpy.service import Service

from vjepa_ros.ros.last_line import LastLine

# Where an exception comes from the waiting for work, not from the work: to go on would be to go round in a circle.
_WAITING = {"wait_for_ready_callbacks", "_wait_for_ready_callbacks"}
_SERVICES_S, _EVENTS_S = 0.02, 1.0  # how long they are left out


class Executor(SingleThreadedExecutor):
    """One thread for all callbacks, which none of them ends.

    Also an error in taking a message or request over from the middleware, before any callback is called: rclpy would
    leave the callback group taken, and no callback of the node would be called any more.

    What is waited for is put together anew for each message, which costs more than the message itself. So this is done
    once for it, where rclpy does it twice, and what a message need not wait for is left out for a while: services for
    20 ms, the middleware's events (incompatible qualities of service and types), two of each topic, for a second. Both
    stay until they are taken.

    Args:
        last_line: gives who is told, None before there is a node.
    """

    def __init__(self, last_line: Callable[[], LastLine | None]) -> None:
        super().__init__()
        self._last_line = last_line
        self._services, self._events = _Seldom(_SERVICES_S), _Seldom(_EVENTS_S)
        self._made: Any = None  # the newest call of a callback, made after a wait
        self._thread: int | None = None  # in which such a call runs
        guard: Any = getattr(self, "_guard", None)
        if isinstance(guard, GuardCondition):
            guard.destroy()
            self._guard: Any = _Wake(lambda: self._thread)
        self._left_out, self._is_closed = threading.Event(), False
        self._reminding = threading.Thread(target=self._look_again, name="services", daemon=True)
        self._reminding.start()

    def get_nodes(self) -> list[Any]:
        """The nodes; asked for whenever what is waited for is put together."""
        now_s = time.monotonic()
        self._services.look(now_s)
        self._events.look(now_s)
        if not self._services.is_due:
            self._left_out.set()
        nodes: list[Any] = super().get_nodes()
        return nodes

    def can_execute(self, entity: Any) -> bool:
        """Whether to wait for this."""
        if isinstance(entity, EventHandler) and not self._events.is_due:
            return False
        if isinstance(entity, Service) and not self._services.is_due:
            return False
        return bool(super().can_execute(entity))

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """End it."""
        self._is_closed = True
        self._left_out.set()
        self._reminding.join()
        return bool(super().shutdown(timeout_sec))

    def _look_again(self) -> None:
        """Wake whoever waits without the services, and later whoever waits without the events."""
        while not self._is_closed:
            if self._left_out.wait(None if self._events.is_due else _EVENTS_S):
                time.sleep(_SERVICES_S)
                self._left_out.clear()
            if not self._is_closed:
                with suppress(InvalidHandle):  # of an executor that has just been closed
                    self.wake()

    def wait_for_ready_callbacks(self, *arguments: Any, **options: Any) -> Any:
        """The next call; whether it was made after a wait, and is no task that goes on before the next one."""
        self._thread = None
        found = super().wait_for_ready_callbacks(*arguments, **options)
        self._thread = threading.get_ident() if found[0] is self._made else None
        return found

    def _make_handler(self, *arguments: Any) -> Any:
        self._made = super()._make_handler(*arguments)
        return self._made

    def spin(self) -> None:
        """Call callbacks until a signal comes: by :meth:`spin_once`, which rclpy's own no longer asks from 7.1.9 on."""
        while self.context.ok() and not self._is_closed:
            self.spin_once()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback and call it."""
        try:
            super().spin_once(timeout_sec)
        except ExternalShutdownException:
            raise
        except Exception as error:
            names = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
            if names & _WAITING or not self._caught("a callback", error):
                raise
        finally:
            self._thread = None
            now_s = time.monotonic()
            self._services.seen(now_s)
            self._events.seen(now_s)

    def _caught(self, place: str, error: Exception) -> bool:
        last_line = self._last_line()
        if last_line is None or not self.context.ok():
            return False
        last_line.caught(place, error)
        return True

    def _take(self, take: Callable[[Any], Any], entity: Any, name: str) -> Any:
        try:
            return take(entity)
        except Exception as error:  # noqa: BLE001 - the last line
            self._caught(str(getattr(entity, name, "an event")), error)
            return None

    # What rclpy takes over by; where a version of it has no such method, none of these is called.

    def _take_subscription(self, sub: Any) -> Any:
        return self._take(super()._take_subscription, sub, "topic_name")

    def _take_service(self, srv: Any) -> Any:
        return self._take(super()._take_service, srv, "srv_name")

    def _take_waitable(self, waitable: Any) -> Any:
        return self._take(super()._take_waitable, waitable, "topic")

    def _take_timer(self, tmr: Any) -> Any:
        return self._take(super()._take_timer, tmr, "timer")


class _Seldom:
    """What need not be waited for with each message.

    Attributes:
        is_due: whether it is waited for this time.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s, self._due_s, self.is_due = period_s, 0.0, True

    def look(self, now_s: float) -> None:
        """What is waited for is being put together."""
        self.is_due = now_s >= self._due_s

    def seen(self, now_s: float) -> None:
        """The waiting is over."""
        if self.is_due:
            self._due_s = now_s + self._period_s


class _Wake(GuardCondition):
    """Ends an executor's waiting.

    rclpy triggers it after each callback, for executors of several threads. In one thread, what to do and what to wait
    for is looked up anew between a callback that was waited for and the next wait. Between a task and that wait it is
    not: what a task triggers counts.

    Args:
        calling: the thread that calls a callback that was waited for, None where none does.
    """

    def __init__(self, calling: Callable[[], int | None]) -> None:
        super().__init__(None, None)
        self._calling = calling

    def trigger(self) -> None:
        """Wake the executor, unless such a callback does."""
        if threading.get_ident() != self._calling():
            super().trigger()
