"""Attention by step, and the keys and values that it keeps.

The frame-causal mask of the public code says that each step attends to itself and to all earlier ones. Here that is
computed step by step, without a mask: so keys and values of a step never change once later steps come. A rollout keeps
them and computes its own tokens only, and all candidates share those of the steps that were observed.

Under inference mode they are written into memory that is taken once. Everywhere else each addition makes new tensors,
so that gradients go through. It knows neither layers nor what a step's tokens are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from vjepa_ros.model.kernels import Attend, AttendShared


class KeyValues:
    """Of one layer: keys and values of the first tokens of some sequences.

    Args:
        room: (2, B, heads, tokens, head_dim), memory for them, to be written under inference mode only. Without it,
            every addition makes a new tensor of all that is kept, which gradients go through.

    Attributes:
        filled: how many tokens are kept.
    """

    def __init__(self, room: Tensor | None = None) -> None:
        self._memory = room
        self._in_place = room is not None
        self.filled = 0

    @classmethod
    def of_all(cls, kept: Tensor) -> KeyValues:
        """That keep all of (2, B, heads, n, head_dim)."""
        made = cls(kept)
        made.filled = kept.shape[3]
        return made

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keep (B, heads, n, head_dim) of the next n tokens; all keys, and all values, up to there."""
        if self._in_place:
            seen = self._write(key, value)
        else:
            new = torch.stack([key, value])
            seen = self._memory = new if self._memory is None else torch.cat([self._memory, new], dim=3)
        self.filled = seen.shape[3]
        keys, values = seen.unbind(0)
        return keys, values

    def of(self, sequences: Sequence[int]) -> Tensor:
        """What is kept of these sequences, in their order; (2, len(sequences), heads, filled, head_dim)."""
        assert self._memory is not None, "nothing is kept"
        return choose(self._memory[..., : self.filled, :], sequences, dim=1)

    def of_first(self, batch: int) -> KeyValues:
        """The same room for the first sequences only, with nothing kept."""
        assert self._memory is not None
        return KeyValues(self._memory[:, :batch])

    def holds(self, batch: int, tokens: int) -> bool:
        """Whether so many sequences of so many tokens would fit, were nothing kept."""
        return self._memory is not None and self._memory.shape[1] >= batch and self._memory.shape[3] >= tokens

    def _write(self, key: Tensor, value: Tensor) -> Tensor:
        assert self._memory is not None
        seen = self._memory[..., : self.filled + key.shape[2], :]
        seen[0][..., self.filled :, :] = key
        seen[1][..., self.filled :, :] = value
        return seen


def choose(tensor: Tensor, indices: Sequence[int], dim: int) -> Tensor:
    """The slices of these indices along an axis; without copying where it is always the same one."""
    if len(set(indices)) == 1:
        shape = [-1] * tensor.ndim
        shape[dim] = len(indices)
        return tensor.narrow(dim, indices[0], 1).expand(shape)
    return tensor.index_select(dim, torch.tensor(indices, device=tensor.device))


@dataclass(frozen=True)
class Shared:
    """What is kept of steps that come before those of some sequences: all candidates share their window's.

    Attributes:
        kept: of all windows.
        windows: the window of each sequence; the sequences of a window follow each other.
        joined: how those of a window attend together, with no copy of what they share, where there is such a kernel.
    """

    kept: KeyValues
    windows: Sequence[int]
    joined: AttendShared | None

    def attend(self, attend: Attend, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """One step's queries (B, heads, n, head_dim) to what is shared and to (B, heads, m, head_dim) of their own."""
        runs = [] if self.joined is None else [(window, len(list(same))) for window, same in groupby(self.windows)]
        if self.joined is None or len(runs) == len(self.windows) > 1:  # a copy each is all that is needed
            shared_keys, shared_values = self.kept.of(self.windows).unbind(0)
            return attend(query, torch.cat([shared_keys, keys], dim=2), torch.cat([shared_values, values], dim=2))
        mixed, start = [], 0
        for window, count in runs:
            these = slice(start, start + count)
            shared = self.kept.of([window]).unbind(0)
            mixed.append(self.joined(query[these], keys[these], values[these], *shared))
            start += count
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)


@dataclass(frozen=True)
class BySteps:
    """How the tokens of whole steps attend: each step's to all of that step, and to all of the steps before it.

    Attributes:
        size: tokens of a step.
        first: the place of their first token in the whole sequence.
        own: what is kept of the same sequences' steps before these, which are added to it; None where nothing is kept.
        shared: of the steps before all of those; None where there are none.
    """

    size: int
    first: int = 0
    own: KeyValues | None = None
    shared: Shared | None = None

    def attend(self, attend: Attend, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B, heads, n, head_dim) of whole steps -> (B, n, heads, head_dim)."""
        keys, values = (key, value) if self.own is None else self.own.append(key, value)
        earlier = keys.shape[2] - key.shape[2]
        look = attend if self.shared is None else lambda *step: self.shared.attend(attend, *step)
        mixed = []
        for start in range(0, key.shape[2], self.size):
            stop = start + self.size
            seen = slice(earlier + stop)
            mixed.append(look(query[:, :, start:stop], keys[:, :, seen], values[:, :, seen]))
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed, dim=1)
