"""The rules of time once more, on whole lists of stamped messages, in plain numpy; it imports nothing of the package.

``windows`` gets what a recording holds, in order of arrival, and gives what must come out, whatever the interleaving.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def epochs(messages: list[Any], jump_back_ns: int) -> list[list[Any]]:
    """Split (stamp, ...) tuples where the stamp falls back by ``jump_back_ns`` or more against the newest so far."""
    parts: list[list[Any]] = [[]]
    newest = None
    for message in messages:
        if newest is not None and message[0] <= newest - jump_back_ns:
            parts.append([])
            newest = None
        parts[-1].append(message)
        newest = message[0] if newest is None else max(newest, message[0])
    return parts


def runs(stamps: list[int], frame_rate: float, max_gap_ns: int) -> Iterator[list[int]]:
    """Lists of sampled stamps, one per restart (rules 2 and 3)."""
    newest = np.maximum.accumulate(stamps, dtype=np.int64)
    kept = [s for i, s in enumerate(stamps) if i == 0 or s > newest[i - 1]]  # out of order: dropped
    cuts = [0, *(i for i in range(1, len(kept)) if kept[i] - kept[i - 1] > max_gap_ns), len(kept)]
    for first, end in zip(cuts, cuts[1:], strict=False):
        source = np.array(kept[first:end], dtype=np.int64)
        if frame_rate == 0 or len(source) == 0:
            yield source.tolist()
            continue
        ticks: list[int] = []
        while (tick := int(source[0]) + round(len(ticks) * 1e9 / frame_rate)) <= source[-1]:
            ticks.append(tick)
        yield [int(source[np.argmin(np.abs(source - tick))]) for tick in ticks]  # argmin: the earlier one on a tie


def values(messages: list[Any], dim: int, times: list[int], timeout_ns: int, on_missing: str) -> Any:
    """Zero-order hold at the given times (rule 5), (len(times), dim); None where the window must be skipped."""
    messages = sorted(messages, key=lambda message: message[0])  # stable: of equal stamps the last one counts
    stamps = np.array([stamp for stamp, _ in messages], dtype=np.int64)
    rows = []
    for time in times:
        index = int(np.searchsorted(stamps, time, side="right")) - 1
        missing = index < 0 or time - stamps[index] > timeout_ns
        if missing and (on_missing == "skip" or (on_missing == "hold" and index < 0)):
            return None
        rows.append(np.zeros(dim) if missing and on_missing == "zero" else messages[index][1])
    return np.array(rows)


def windows(
    frames: list[Any], commands: list[Any], states: list[Any], *, num_frames: int, stride: int, phase: int, hop: int,
    frame_rate: float, max_gap_ns: int, jump_back_ns: int, max_wait_ns: int, timeout_ns: int, on_missing: str,
    dims: tuple[int, int] = (7, 7),
) -> list[dict[str, Any]]:  # fmt: skip
    """All windows, in order: dicts with epoch, frame_stamps, step_stamps, actions, states.

    ``frames`` are (stamp,) tuples, ``commands`` and ``states`` (stamp, vector) tuples; after a jump back of time the
    n-th stretch of each belongs to the n-th of the others.
    """
    out = []
    streams = [epochs(messages, jump_back_ns) for messages in (frames, commands, states)]
    for epoch, stretch in enumerate(streams[0]):
        joints = [stream[epoch] if epoch < len(stream) else [] for stream in streams[1:]]
        stamps = [message[0] for message in stretch]
        for sampled in runs(stamps, frame_rate, max_gap_ns):
            for end in range(num_frames, len(sampled) + 1, hop):
                window = sampled[end - num_frames : end]
                times = window[phase::stride]  # e(k) = k * stride + phase (rule 6)
                delivered = all(max((m[0] for m in messages), default=-1) >= times[-1] for messages in joints)
                if not delivered and max(stamps) < times[-1] + max_wait_ns:
                    continue  # never resolved (rule 4)
                actions, observed = (
                    values(messages, dim, times, timeout_ns, on_missing)
                    for messages, dim in zip(joints, dims, strict=True)
                )
                if actions is not None and observed is not None:
                    row = {"epoch": epoch, "frame_stamps": window, "step_stamps": times}
                    out.append({**row, "actions": actions, "states": observed})
    return out
