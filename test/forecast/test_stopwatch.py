"""How long the parts of a computation take."""

from __future__ import annotations

import time

import pytest
import torch

from vjepa_ros.devices import memory_in_use, name_of
from vjepa_ros.forecast.stopwatch import Stopwatch


def test_laps_follow_each_other() -> None:
    began_s = time.perf_counter()
    watch = Stopwatch(torch.device("cpu"))
    time.sleep(0.02)
    watch.lap("first")
    watch.lap("second")
    time.sleep(0.01)
    watch.lap("third")
    laps_ms, whole_ms = watch.laps_ms, (time.perf_counter() - began_s) * 1e3
    assert list(laps_ms) == ["first", "second", "third"]
    assert laps_ms["first"] >= 20 and laps_ms["third"] >= 10 and laps_ms["second"] >= 0
    assert sum(laps_ms.values()) <= whole_ms


def test_what_a_cpu_is_called_and_holds(tmp_path) -> None:  # type: ignore[no-untyped-def]
    cpu = torch.device("cpu")
    assert name_of(cpu) == "cpu"
    (resident,) = memory_in_use(cpu).values()
    assert resident > 10_000_000
    assert memory_in_use(cpu, tmp_path / "no") == {}


@pytest.mark.gpu
def test_a_gpu_is_measured_by_its_own_clock() -> None:
    device = torch.device("cuda")
    watch = Stopwatch(device)
    big = torch.ones(4096, 4096, device=device)
    for _ in range(10):
        big = big @ big
    watch.lap("products")
    assert watch.laps_ms["products"] > 0
    assert set(memory_in_use(device)) == {"allocated", "reserved", "free"} and memory_in_use(device)["allocated"] > 0
    assert "cuda" in name_of(device)
