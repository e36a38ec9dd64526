"""Workloads are timed in turns, and what is reported are the medians."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.timing import MIN_ROUNDS, fastest, interleaved, medians


class Machine:
    """Workloads that take as long as they are told to, by a clock that only they move."""

    def __init__(self, **durations_s: list[float]) -> None:
        self.now_s = 0.0
        self.order: list[str] = []
        self._durations_s = {name: iter(values) for name, values in durations_s.items()}

    def works(self) -> dict[str, Callable[[], None]]:
        def work(name: str) -> Callable[[], None]:
            def run() -> None:
                self.order.append(name)
                self.now_s += next(self._durations_s[name])

            return run

        return {name: work(name) for name in self._durations_s}

    def clock(self) -> float:
        return self.now_s


def test_the_works_take_turns_forwards_and_backwards() -> None:
    machine = Machine(a=[1.0] * 3, b=[2.0] * 3, c=[3.0] * 3)
    timed = interleaved(machine.works(), 3, 1e9, clock=machine.clock)
    assert "".join(machine.order) == "abc" + "cba" + "abc"
    assert timed == {"a": [1e3] * 3, "b": [2e3] * 3, "c": [3e3] * 3}


def test_each_work_has_its_own_time_and_the_median_leaves_out_the_odd_one() -> None:
    machine = Machine(ours=[0.1, 9.0, 0.3], other=[0.5, 0.4, 0.6])
    timed = interleaved(machine.works(), 3, 1e9, clock=machine.clock)
    by_name = medians(timed)
    assert {name: round(value) for name, value in by_name.items()} == {"ours": 300, "other": 500}
    assert fastest(by_name) == "ours"


def test_no_round_begins_after_the_budget_but_some_are_always_run() -> None:
    machine = Machine(a=[1.0] * 10, b=[1.0] * 10)
    assert len(interleaved(machine.works(), 10, 5.0, clock=machine.clock)["a"]) == 3  # 6 s are over then
    machine = Machine(a=[1.0] * 10)
    assert len(interleaved(machine.works(), 10, 0.0, clock=machine.clock)["a"]) == MIN_ROUNDS


def test_the_device_is_waited_for_before_the_clock_is_read() -> None:
    """A workload that returns at once and leaves its result to a device, which is done when it is waited for."""
    machine = Machine()
    pending_s = [0.0]

    def start() -> None:
        pending_s[0] += 0.25

    def wait() -> None:
        machine.now_s += pending_s[0]
        pending_s[0] = 0.0

    pending_s[0] = 7.0  # of whatever was before
    assert interleaved({"a": start}, 2, 1e9, wait, machine.clock) == {"a": [250.0, 250.0]}
