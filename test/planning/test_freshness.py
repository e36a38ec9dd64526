"""What execution is judged on is as old as its stamps say, and as the machine's clock does."""

from __future__ import annotations

import time

import numpy as np
import pytest
from support.execution_bench import NOW_NS, READY, Bench

from vjepa_ros.errors import InputError
from vjepa_ros.units import S_TO_NS


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
