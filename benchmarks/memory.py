"""How much memory a workload takes at its peak, and what a process has. Linux only: the figures stand in /proc.

It knows no models.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

MB = 1e6  # bytes

ResultT = TypeVar("ResultT")


def status_mb(field: str, pid: int | str = "self") -> float:
    """A field of a process's status, in MB: ``VmHWM``, its peak; ``VmRSS``, now; ``RssAnon``, now and its own."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    match = re.search(rf"^{field}:\s+(\d+) kB", status, flags=re.MULTILINE)
    assert match is not None, f"/proc has no {field} of {pid}"
    return int(match[1]) * 1024 / MB


def peak_mb() -> float:
    """The most memory that this process has had since :func:`forget_peak`."""
    return status_mb("VmHWM")


def forget_peak() -> None:
    """Let the peak begin at what is in use now: what the allocator keeps of the past is given back before."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def recorded_mb(device: torch.device) -> float:
    """What recorded graphs keep of a GPU for what they compute in between: taken, and not given to anybody; in MB."""
    if device.type != "cuda":
        return 0.0
    torch.cuda.empty_cache()
    return (torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)) / MB


def peak_of(work: Callable[[], ResultT], device: torch.device) -> tuple[ResultT, float]:
    """(what the workload gives, the memory that it needed at its peak on top of what was in use before, in MB).

    On a GPU the GPU's memory counts, as torch's allocator has it.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        result = work()
        torch.cuda.synchronize(device)
        return result, (torch.cuda.max_memory_allocated(device) - before) / MB
    forget_peak()
    before_mb = peak_mb()
    result = work()
    return result, peak_mb() - before_mb
