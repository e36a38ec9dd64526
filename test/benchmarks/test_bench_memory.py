"""The peak of a workload is what it needs while it runs, not what the process had before."""

from __future__ import annotations

import pytest
import torch

from benchmarks.memory import MB, peak_of, status_mb

CPU = torch.device("cpu")


def test_the_peak_is_the_works_own() -> None:
    kept = torch.ones(50_000_000 // 4)  # 50 MB that were there before
    _, small_mb = peak_of(lambda: torch.ones(1000).sum(), CPU)
    result, large_mb = peak_of(lambda: torch.ones(100_000_000 // 4).sum(), CPU)
    assert result.item() == 25_000_000 and kept[0] == 1
    assert small_mb < 10 < 90 < large_mb < 130


@pytest.mark.gpu
def test_the_peak_on_a_gpu_is_that_of_its_memory() -> None:
    device = torch.device("cuda")
    _, megabytes = peak_of(lambda: torch.ones(100_000_000 // 4, device=device).sum(), device)
    assert 100_000_000 / MB <= megabytes < 130


def test_a_process_has_more_in_memory_than_is_its_own() -> None:
    assert status_mb("VmHWM") >= status_mb("VmRSS") > status_mb("RssAnon") > 10
