"""Execution without ROS: what is sent, and that nothing is once it has ended, whoever ends it."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from support import panda
from support.configurations import JOINTS

from vjepa_ros.config.node import resolve
from vjepa_ros.errors import InputError
from vjepa_ros.planning.arm import Arm
from vjepa_ros.planning.execution import Command, Execution
from vjepa_ros.units import S_TO_NS

READY = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])
PERIOD_S = 0.25
NOW_NS = 1_700_000_000 * S_TO_NS


class Sent:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.rests = 0

    def send(self, command: Command) -> None:
        self.commands.append(command)

    def rest(self) -> None:
        self.rests += 1


class Bench:
    """An execution that is on."""

    def __init__(self, **values: Any) -> None:
        given = {
            "enabled": True, "execute": True, "box_m": [-2.0, -2.0, -2.0, 2.0, 2.0, 2.0], "max_prediction_error": 0.5,
            **values,
        }  # fmt: skip
        parameters = {f"planner.{name}": value for name, value in given.items()}
        config = resolve({"joint_names": JOINTS, "pose.tip_link": "panda_hand", **parameters})
        self.sent = Sent()
        self.ends: list[str] = []
        self.now_ns = NOW_NS
        self.execution = Execution(
            config.planner, self.sent, lambda reason, detail: self.ends.append(reason), lambda: self.now_ns
        )
        self.arm = Arm(panda.URDF, config.planner, config.stream.pose, JOINTS)

    def on(self) -> Bench:
        self.execution.describe(self.arm)
        self.see()
        self.execution.switch_on()
        return self

    def see(self, age_s: float = 0.0) -> None:
        """Joints and a window as old as that."""
        self.joints(age_s)
        self.execution.prediction_error(0.1)
        self.execution.window(self.now_ns - round(age_s * S_TO_NS), 0.1)

    def joints(self, age_s: float = 0.0, by: float = 0.0) -> None:
        """All joints, as they were so long ago."""
        self.execution.measured(slice(None), READY + by, self.now_ns - round(age_s * S_TO_NS))

    def offer(self, energy: float = 1.0, by: float = 0.01) -> bool:
        return self.execution.offer(energy, READY + by, PERIOD_S, is_pose=False)


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


def test_a_command_says_when_its_step_begins() -> None:
    bench = Bench().on()
    assert bench.execution.offer(1.0, READY + 0.01, 0.5, is_pose=False, at_ns=12345)
    assert (bench.sent.commands[0].at_ns, bench.sent.commands[0].period_s) == (12345, 0.5)


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


def test_it_does_not_go_on_where_nobody_knows_how_wrong_forecasts_are() -> None:
    """The first has as long to come as the next; windows may supersede each other so that none is ever compared."""
    bench = Bench(max_age_s=1.0)
    bench.execution.describe(bench.arm)
    bench.joints()
    bench.execution.window(NOW_NS, 0.25)
    bench.execution.switch_on()
    for number in range(4):
        bench.now_ns += round(0.3 * S_TO_NS)
        bench.joints()
        bench.execution.window(bench.now_ns, 0.25)
        assert bench.offer()
        if number == 0:
            bench.execution.prediction_error(0.1)
    for _ in range(2):
        bench.now_ns += round(0.3 * S_TO_NS)
        bench.joints()
        bench.execution.window(bench.now_ns, 0.25)
    assert not bench.offer() and bench.ends == ["stale_input"]
    assert bench.execution.detail.startswith("prediction errors: the newest came, or was first waited for, 1.50 s ago")
    bench.execution.switch_on()
    assert bench.offer(), "it may come now"


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
    assert not bench.execution.offer(1.0, far, PERIOD_S, is_pose=True)
    assert bench.execution.is_on and bench.execution.hits == 1
    assert not bench.execution.offer(1.0, far, PERIOD_S, is_pose=True)
    assert bench.ends == ["limit_hits"] and bench.sent.commands == []
    near = bench.on().execution.offer(1.0, panda.transform(READY + 0.02), PERIOD_S, is_pose=True)
    assert near and np.allclose(
        panda.transform(bench.sent.commands[0].target), panda.transform(READY + 0.02), atol=5e-3
    )


def test_input_that_stays_away_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the machine's clock too: that of the stamps may stand still."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    bench = Bench(max_age_s=1.0).on()
    now[0] += 0.9
    bench.joints()
    bench.execution.check()
    assert bench.execution.is_on
    now[0] += 0.3  # the window came 1.2 s ago, and another comes in 0.1 s
    assert not bench.offer(), "looked at before anything is sent too"
    assert bench.ends == ["stale_input"] and bench.execution.detail.startswith("windows: the newest came 1.20 s ago")
    bench.on()
    now[0] += 1.05
    bench.execution.window(bench.now_ns, 0.1)
    bench.execution.prediction_error(0.1)
    bench.execution.check()
    assert bench.ends == ["stale_input"] * 2
    assert bench.execution.detail == "joint 'panda_joint1' was measured 1.05 s ago; planner.max_age_s is 1 s"


def test_what_comes_late_is_as_old_as_its_stamp_says() -> None:
    bench = Bench(max_age_s=1.0)
    bench.execution.describe(bench.arm)
    bench.execution.window(NOW_NS, 0.1)
    bench.execution.measured(slice(None), READY, S_TO_NS)  # a driver that has no idea of the time
    with pytest.raises(InputError, match="stale_input: joint 'panda_joint1' was measured 1699999999.00 s ago"):
        bench.execution.switch_on()
    bench.on()
    for _ in range(3):  # one that hangs, and says the same again and again
        bench.now_ns += round(0.4 * S_TO_NS)
        bench.execution.window(bench.now_ns, 0.1)
        bench.execution.measured(slice(None), READY, NOW_NS)
    assert not bench.offer() and bench.sent.commands == []
    assert bench.ends == ["stale_input"] and "was measured 1.20 s ago" in bench.execution.detail
    bench.on()
    bench.now_ns += S_TO_NS  # windows that lag
    bench.joints()
    bench.execution.window(bench.now_ns - round(1.2 * S_TO_NS), 0.1)
    bench.execution.check()
    assert bench.ends == ["stale_input"] * 2 and "windows: the newest came 1.20 s ago" in bench.execution.detail


def test_a_clock_that_is_ahead_is_no_reason_to_be_new() -> None:
    bench = Bench(max_age_s=1.0).on()
    bench.joints(age_s=-5.0)
    assert not bench.offer()
    assert bench.ends == ["stale_input"]
    assert "'panda_joint1' was stamped 5.00 s ahead of the node's clock: the clocks" in bench.execution.detail


def test_what_is_overtaken_on_its_way_changes_nothing_and_a_jump_ends_it() -> None:
    bench = Bench(max_age_s=2.0).on()
    bench.joints(age_s=0.0, by=0.01)
    with pytest.raises(InputError, match=r"out_of_order: measured 0\.500 s before what has come already"):
        bench.joints(age_s=0.5)
    assert bench.offer()
    np.testing.assert_array_equal(bench.sent.commands[0].now, READY + 0.01)
    bench.execution.measured(np.array([0, 1]), READY[:2], bench.now_ns)  # another sender, as new
    with pytest.raises(InputError, match="out_of_order"):
        bench.execution.measured(np.array([1, 2]), READY[1:3], bench.now_ns - 1)
    bench.joints(age_s=1.0, by=0.02)
    assert bench.ends == ["time_jumped"]
    assert bench.execution.detail == "measured joints are stamped 1.000 s before those that came last"
    bench.execution.switch_on()
    assert bench.offer()
    np.testing.assert_array_equal(bench.sent.commands[-1].now, READY + 0.02)
    bench.execution.measured(np.array([0]), READY[:1], bench.now_ns - 3 * S_TO_NS)
    with pytest.raises(InputError, match="joint 'panda_joint1' was measured 3.00 s ago"):
        bench.execution.switch_on()
    bench.execution.measured(np.array([0]), READY[:1], bench.now_ns)
    with pytest.raises(InputError, match="joint 'panda_joint2' was never measured"):
        bench.execution.switch_on()


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
