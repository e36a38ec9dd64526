"""The executor of the node: how often it puts together what it waits for, and that it misses nothing by that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.event_handler import EventHandler, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.task import Future
from std_msgs.msg import Int32
from std_srvs.srv import Trigger

from vjepa_ros.ros.executor import Executor
from vjepa_ros.ros.last_line import LastLine

LONG_S = 30.0
pytestmark = pytest.mark.timeout(120)  # what is missed is waited for for ever
DEEP = QoSProfile(depth=100)


class Counting(Executor):
    """Counts how often it waits for subscriptions, and how often for the middleware's events."""

    def __init__(self) -> None:
        super().__init__(lambda: None)
        self.waits, self.event_waits = 0, 0

    def can_execute(self, entity: Any) -> bool:
        """As it does, counted."""
        can = super().can_execute(entity)
        self.waits += isinstance(entity, Subscription)
        self.event_waits += can and isinstance(entity, EventHandler)
        return can

    def until(self, holds: Callable[[], bool]) -> None:
        """Spin until something holds."""
        deadline_s = time.monotonic() + LONG_S
        while not holds():
            assert time.monotonic() < deadline_s, "it never comes"
            self.spin_once(timeout_sec=1.0)


@pytest.fixture
def executor(ros: None) -> Iterator[Counting]:
    spinning = Counting()
    yield spinning
    spinning.shutdown()


@pytest.fixture
def node(executor: Counting) -> Iterator[Node]:
    made = rclpy.create_node("spun", start_parameter_services=False)
    executor.add_node(made)
    yield made
    made.destroy_node()


def numbered(executor: Counting, node: Node) -> tuple[list[int], Publisher]:
    """What comes on a topic of numbers, and who sends there."""
    came: list[int] = []
    node.create_subscription(Int32, "numbers", lambda message: came.append(message.data), DEEP)
    publisher = node.create_publisher(Int32, "numbers", DEEP)
    executor.until(lambda: publisher.get_subscription_count() == 1)
    return came, publisher


def watched(executor: Counting, node: Node) -> tuple[list[int], list[int], Publisher]:
    """The same, behind the events of senders whose quality of service does not fit on another topic."""
    seen: list[int] = []
    callbacks = SubscriptionEventCallbacks(incompatible_qos=lambda event: seen.append(event.total_count))
    node.create_subscription(Int32, "odd", lambda _: None, DEEP, event_callbacks=callbacks)
    return (seen, *numbered(executor, node))


def test_each_message_is_waited_for_once(executor: Counting, node: Node) -> None:
    came, publisher = numbered(executor, node)
    reminders = 48.0
    for _ in range(10):  # too many reminders where the machine was too slow to tell
        came.clear()
        began_s, before = time.monotonic(), executor.waits
        for number in range(50):
            publisher.publish(Int32(data=number))
            executor.until(lambda: len(came) > number)  # noqa: B023
        assert came == list(range(50))
        reminders = (time.monotonic() - began_s) / 0.02
        assert executor.waits - before <= 52 + reminders
        if reminders < 48:
            break
    assert reminders < 48


def test_what_a_callback_adds_is_waited_for(executor: Counting, node: Node) -> None:
    came: list[int] = []

    def begin(_message: Int32) -> None:
        node.create_subscription(Int32, "later", lambda message: came.append(message.data), DEEP)

    node.create_subscription(Int32, "numbers", begin, DEEP)
    first, later = node.create_publisher(Int32, "numbers", DEEP), node.create_publisher(Int32, "later", DEEP)
    executor.until(lambda: first.get_subscription_count() == 1)
    first.publish(Int32())
    executor.until(lambda: later.get_subscription_count() == 1)
    later.publish(Int32(data=7))
    executor.until(lambda: came == [7])


def test_another_thread_wakes_it(executor: Counting, node: Node) -> None:
    done: list[str] = []
    threads = [
        threading.Timer(0.3, executor.create_task, [lambda: done.append("task")]),
        threading.Timer(0.6, lambda: node.create_timer(0.01, lambda: done.append("timer"))),
    ]
    for thread in threads:
        thread.start()
    while {*done} != {"task", "timer"}:
        executor.spin_once()  # for ever, if nothing wakes it
    for thread in threads:
        thread.join()


def test_what_tasks_begin_is_waited_for(executor: Counting, node: Node) -> None:
    done: list[str] = []
    both = [Future(executor=executor), Future(executor=executor)]
    both[1].add_done_callback(lambda _: done.append("told"))

    async def wait_for(place: int) -> None:
        await both[place]
        done.append(f"resumed {place}")
        if place == 0:
            both[1].set_result(None)

    def first() -> None:
        done.append("first")
        executor.create_task(lambda: done.append("second"))

    for place in (0, 1):
        executor.create_task(wait_for, place)
    executor.create_task(first)
    threading.Timer(0.3, both[0].set_result, [None]).start()
    while {*done} != {"first", "second", "resumed 0", "resumed 1", "told"}:
        executor.spin_once()


def test_an_event_after_the_last_message_is_seen(executor: Counting, node: Node) -> None:
    seen, came, publisher = watched(executor, node)
    publisher.publish(Int32())
    executor.until(lambda: len(came) == 1)
    other = rclpy.create_node("other", start_parameter_services=False)
    other.create_publisher(Int32, "odd", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    while not seen:
        executor.spin_once()
    other.destroy_node()


def test_a_service_that_was_left_out_is_soon_looked_at(executor: Counting, node: Node) -> None:
    came, publisher = numbered(executor, node)
    node.create_service(Trigger, "ask", lambda _request, response: response)
    client = node.create_client(Trigger, "ask")
    executor.until(client.service_is_ready)
    for number in range(20):
        publisher.publish(Int32(data=number))
        executor.until(lambda: len(came) > number)  # noqa: B023
        answer = client.call_async(Trigger.Request())
        while not answer.done():
            executor.spin_once()  # for ever, if nothing wakes it


def test_events_are_seen_beside_messages_but_not_with_each(executor: Counting, node: Node) -> None:
    seen, came, publisher = watched(executor, node)
    node.create_publisher(Int32, "odd", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    began_s, before = time.monotonic(), executor.event_waits
    while not seen or len(came) < 300:
        publisher.publish(Int32())
        executor.spin_once(timeout_sec=1.0)
        assert time.monotonic() - began_s < LONG_S
    handlers = sum(isinstance(one, EventHandler) for one in node.waitables)
    assert 0 < executor.event_waits - before <= handlers * (2 + time.monotonic() - began_s)


def test_what_a_callback_raises_does_not_end_the_spinning(
    executor: Counting, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever rclpy's own spin() does: newer ones go past spin_once()."""
    caught: list[str] = []

    class Said(LastLine):
        def caught(self, place: str, error: Exception) -> None:
            caught.append(str(error))

    def fail() -> None:
        timer.cancel()
        node.create_timer(0.01, lambda: done.set())
        raise ValueError("of a callback")

    done = threading.Event()
    executor._last_line = lambda: Said(node)
    monkeypatch.setattr("rclpy.executors.Executor.spin", lambda _: pytest.fail("rclpy's own"))
    timer = node.create_timer(0.01, fail)
    spinning = threading.Thread(target=executor.spin, daemon=True)
    spinning.start()
    assert done.wait(LONG_S) and caught == ["of a callback"]
    executor.shutdown()
    spinning.join(LONG_S)
    assert not spinning.is_alive()
