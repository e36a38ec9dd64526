"""How long the parts of a computation take, on a CPU and on a GPU, which computes behind the caller's back.

It knows no parts and no model.
"""

from __future__ import annotations

import time

import torch


class Stopwatch:
    """Measures laps from when it is made on. The GPU is not waited for before the laps are asked for.

    Args:
        device: where is computed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._names: list[str] = []
        self._marks: list[float | torch.cuda.Event] = [self._mark()]

    def lap(self, name: str) -> None:
        """A part has ended, and the next one begins."""
        self._names.append(name)
        self._marks.append(self._mark())

    @property
    def laps_ms(self) -> dict[str, float]:
        """How long each part took."""
        ends = zip(self._names, self._marks, self._marks[1:], strict=False)
        return {name: _between_ms(before, after) for name, before, after in ends}

    def _mark(self) -> float | torch.cuda.Event:
        if self._device.type != "cuda":
            return time.perf_counter()
        event: torch.cuda.Event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event


def _between_ms(before: float | torch.cuda.Event, after: float | torch.cuda.Event) -> float:
    if isinstance(before, float) or isinstance(after, float):
        assert isinstance(before, float) and isinstance(after, float)
        return (after - before) * 1e3
    after.synchronize()
    return float(before.elapsed_time(after))
