"""Commands in time: how far a step may lead, which plans are still sent, and what is noted of them."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from support.execution_bench import NOW_NS, READY, Bench

from vjepa_ros.errors import InputError
from vjepa_ros.planning.command import Command, Step
from vjepa_ros.units import S_TO_NS


def stamped(bench: Bench, begins_s: float, target: float) -> bool:
    """Offer joint 1 at a place, by a step that begins so long after :data:`NOW_NS`."""
    joints, begins_ns = READY.copy(), NOW_NS + round(begins_s * S_TO_NS)
    joints[0] = target
    return bench.execution.offer(Step(1.0, joints, False, begins_ns, begins_ns + S_TO_NS // 2), bench.noted.append)


@pytest.mark.parametrize("early_s", [0.475, 0.25, 0.0])
def test_a_command_that_is_stamped_ahead_has_one_step_for_its_way(early_s: float) -> None:
    """Until its step begins the arm stands: 2.2 rad/s for half a second, however early it was sent."""
    bench = Bench(command_type="JointState").on()
    assert stamped(bench, early_s, 2.0)
    (command,) = bench.sent.commands
    assert command.at_ns == NOW_NS + round(early_s * S_TO_NS) and command.period_s == 0.5
    assert command.target[0] == pytest.approx(1.1) and command.is_cut
    assert bench.execution.hits == 1


def test_a_command_that_comes_in_its_step_has_what_is_left_of_it() -> None:
    bench = Bench(command_type="JointState").on()
    assert stamped(bench, -0.45, 1.0)
    assert bench.sent.commands[0].target[0] == pytest.approx(2.2 * 0.05)
    assert not stamped(bench, -0.5, 0.0) and bench.execution.is_on, "its step is over"


def test_a_command_that_is_stamped_ahead_begins_where_the_one_before_it_leads() -> None:
    """Not where the arm is now: it will have gone on by then; but not too far from there either, if it has not."""
    bench = Bench(command_type="JointState").on()
    assert stamped(bench, 0.0, 1.0)
    bench.now_ns += round(0.05 * S_TO_NS)
    assert stamped(bench, 0.5, 2.0), "1 rad in half a second"
    assert bench.execution.hits == 0 and bench.sent.commands[-1].target[0] == pytest.approx(2.0)
    bench.on()
    assert stamped(bench, 0.05, 1.0) and stamped(bench, 0.55, -0.5)
    assert bench.sent.commands[-1].target[0] == pytest.approx(1.0 - 1.1), "from the last target, not from here"
    bench.on()
    assert stamped(bench, 0.05, 1.1)
    bench.now_ns += round(0.45 * S_TO_NS)
    bench.execution.measured(np.array([0]), np.zeros(1), bench.now_ns)  # it has not moved at all
    assert stamped(bench, 0.55, 2.1)
    assert bench.sent.commands[-1].target[0] == pytest.approx(2.2 * 0.55)
    bench.execution.measured(np.array([0]), np.array([-2.5]), bench.now_ns)  # nor is it where anybody has sent it
    assert not stamped(bench, 1.05, 1.3) and bench.execution.is_on and bench.execution.hits == 2


def test_what_was_sent_is_noted_as_it_was_sent_and_before_it_ends() -> None:
    bench = Bench(max_step=[0.02], max_limit_hits=2).on()
    assert bench.offer(by=0.01) and bench.offer(by=0.5)
    assert bench.noted == bench.sent.commands and [command.is_cut for command in bench.noted] == [False, True]
    assert np.abs(bench.noted[1].target - READY).max() == pytest.approx(0.02)
    bench.on()

    def end(_command: Command) -> None:
        thread = threading.Thread(target=lambda: bench.execution.end("stopped", ""))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive() and "stopped" not in bench.ends, "it waits"
        threads.append(thread)

    threads: list[threading.Thread] = []
    assert bench.execution.offer(bench.step(READY), end)
    threads[0].join()
    assert bench.ends[-1] == "stopped"


def test_a_plan_that_was_begun_before_it_was_switched_on_is_not_sent() -> None:
    bench = Bench().on()
    begun_s = time.monotonic()
    assert bench.offer(begun_s=begun_s)
    bench.execution.end("stopped", "")
    bench.execution.switch_on()
    assert not bench.offer(begun_s=begun_s) and bench.execution.is_on
    assert bench.offer(begun_s=time.monotonic())
    assert len(bench.sent.commands) == 2


def test_what_speaks_against_it_is_asked_while_nothing_can_end_it() -> None:
    """Else it could be switched on for a goal that has just been met: whoever says so waits, and then ends it."""
    bench = Bench().on()
    bench.execution.end("stopped", "")
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(bench.execution.end("reached", "")))

    def asked() -> None:
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()

    bench.execution.switch_on(asked)
    thread.join()
    assert ended == [True] and not bench.execution.is_on

    def refuse() -> None:
        raise InputError("no_goal", "")

    with pytest.raises(InputError, match="no_goal"):
        bench.execution.switch_on(refuse)
    assert not bench.execution.is_on
