"""Execution without ROS: what is sent, and that nothing is once it has ended, whoever ends it."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from support import panda
from support.execution_bench import NOW_NS, PERIOD_S, READY, Bench

from vjepa_ros.errors import InputError


def test_it_is_off_until_it_is_switched_on() -> None:
    bench = Bench()
    assert not bench.offer()
    with pytest.raises(InputError, match="no_limits: no robot description"):
        bench.execution.switch_on()
    bench.execution.describe(bench.arm)
    with pytest.raises(InputError, match="stale_input: joint 'panda_joint1' was never measured"):
        bench.execution.switch_on()
    bench.execution.measured(np.arange(6), READY[:6], NOW_NS)
    with pytest.raises(InputError, match="joint 'panda_joint7' was never measured"):
        bench.execution.switch_on()
    bench.execution.measured(np.array([6]), READY[6:], NOW_NS)
    with pytest.raises(InputError, match="stale_input: windows: none has come"):
        bench.execution.switch_on()
    bench.execution.window(NOW_NS, 0.1)
    bench.execution.switch_on()
    assert bench.offer()
    (command,) = bench.sent.commands
    np.testing.assert_allclose(command.target, READY + 0.01)
    np.testing.assert_array_equal(command.now, READY)


def test_where_it_is_not_allowed_it_is_never_on() -> None:
    bench = Bench(execute=False)
    bench.execution.describe(bench.arm)
    bench.see()
    with pytest.raises(InputError, match="not_allowed: planner.execute is false"):
        bench.execution.switch_on()
    assert not bench.offer() and bench.sent.commands == []


def test_once_the_end_has_returned_nothing_is_sent_whatever_another_thread_is_at() -> None:
    """Again and again, at a random moment of a thread that sends without a pause."""
    bench = Bench(patience=1_000_000).on()
    is_over = threading.Event()

    def send() -> None:
        while not is_over.is_set():
            bench.offer()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        for number in range(40):
            before = len(bench.sent.commands)
            while len(bench.sent.commands) < before + 2:
                time.sleep(1e-4)
            assert bench.execution.end("stopped", "")
            at_the_end = len(bench.sent.commands)
            time.sleep(2e-3)
            assert len(bench.sent.commands) == at_the_end
            assert bench.sent.rests == number + 1, "once at every end"
            bench.on()
    finally:
        is_over.set()
        thread.join()
    assert bench.ends == ["stopped"] * 40


def test_an_end_is_one_end() -> None:
    bench = Bench().on()
    assert bench.execution.end("stopped", "why")
    assert not bench.execution.end("deactivated", "too")
    assert (bench.execution.reason, bench.execution.detail, bench.ends) == ("stopped", "why", ["stopped"])
    assert bench.sent.rests == 1


def test_progress_is_judged_after_so_many_plans_and_anew_for_another_goal() -> None:
    bench = Bench(patience=3).on()
    assert [bench.offer(energy) for energy in (1.0, 1.2, 1.1, 0.9, 0.99)] == [True] * 5
    bench.execution.restart()
    assert [bench.offer(energy) for energy in (2.0, 2.0, 2.0)] == [True] * 3
    assert not bench.offer(2.0)
    assert bench.ends == ["no_progress"] and len(bench.sent.commands) == 8
    assert bench.execution.detail == "after 3 plans the energy is 2, and was 2 at the start"


def test_it_ends_by_itself_after_so_many_commands_and_not_before_the_last_has_had_its_step() -> None:
    bench = Bench(execute_steps=3).on()
    assert [bench.offer() for _ in range(3)] == [True] * 3
    assert bench.execution.is_on and bench.sent.rests == 0
    assert not bench.offer()
    assert bench.ends == ["steps_done"] and len(bench.sent.commands) == 3
    assert bench.execution.detail == "planner.execute_steps is 3"
    bench.on()
    assert [bench.offer() for _ in range(4)] == [True, True, True, False], "counted anew"


@pytest.mark.parametrize("energy", [np.nan, np.inf])
def test_an_energy_that_is_no_number_ends_it(energy: float) -> None:
    bench = Bench().on()
    assert not bench.offer(energy)
    assert bench.ends == ["not_finite"] and bench.sent.commands == []


def test_prediction_errors_end_it() -> None:
    bench = Bench().on()
    bench.execution.prediction_error(0.5)
    assert bench.execution.is_on
    bench.execution.prediction_error(0.51)
    assert bench.ends == ["prediction_error"]
    bench.on().execution.prediction_error(float("nan"))
    assert bench.ends == ["prediction_error", "not_finite"]


def test_hits_are_counted_and_what_is_cut_is_sent() -> None:
    bench = Bench(max_limit_hits=3, max_step=[0.02]).on()
    assert bench.offer(by=0.01) and bench.execution.hits == 0
    assert bench.offer(by=0.5) and bench.execution.hits == 1
    assert np.abs(bench.sent.commands[-1].target - READY).max() == pytest.approx(0.02)
    assert bench.offer(by=-0.5) and bench.execution.hits == 2
    assert not bench.offer(by=0.5)
    assert bench.ends == ["limit_hits"] and len(bench.sent.commands) == 3
    bench.on()
    assert bench.execution.hits == 0, "counted anew"


def test_what_is_out_of_reach_is_a_hit_and_not_sent() -> None:
    bench = Bench(max_limit_hits=2).on()
    far = panda.transform(READY)
    far[0, 3] += 3.0
    assert not bench.pose(far)
    assert bench.execution.is_on and bench.execution.hits == 1
    assert not bench.pose(far)
    assert bench.ends == ["limit_hits"] and bench.sent.commands == []
    near = bench.on().pose(panda.transform(READY + 0.02))
    assert near and np.allclose(
        panda.transform(bench.sent.commands[0].target), panda.transform(READY + 0.02), atol=5e-3
    )


def test_a_speed_that_nobody_renews_becomes_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    bench = Bench(command_type="TwistStamped").on()
    assert bench.offer()
    now[0] += PERIOD_S - 0.01
    bench.execution.check()
    assert bench.sent.rests == 0
    now[0] += 0.02
    bench.execution.check()
    bench.execution.check()
    assert bench.sent.rests == 1 and bench.execution.is_on
    assert bench.offer() and bench.execution.end("stopped", "") and bench.sent.rests == 2


def test_another_robot_ends_it_and_has_to_be_measured_first() -> None:
    bench = Bench().on()
    bench.execution.describe(bench.arm)
    assert bench.ends == ["new_robot"]
    with pytest.raises(InputError, match="never measured"):
        bench.execution.switch_on()
