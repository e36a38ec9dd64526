"""A recording read for probing, as often as is asked: windows that end at every step, and the pairs among them.

It knows bags and the stream, no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.node import resolve
from vjepa_ros.probe.pairs import Pair, pairs, spread
from vjepa_ros.recordings.feed import Feed, Source
from vjepa_ros.recordings.reading import PROGRESS_MESSAGES, Progress, Say
from vjepa_ros.stream.pictures import Decode
from vjepa_ros.stream.window import Window

PASSES = 2
"""How often a probe reads its recording: once to see what there is, once for the windows that are chosen."""
_ITS_OWN = {"latents.horizon": 1, "latents.steps": "forecast", "latents.publish_context": False}
SET_HERE = ("hop", *_ITS_OWN)
"""The parameters that a probe sets, whatever was given."""


def one_ahead(values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, for windows that end at every step and a single forecast from each.

    Raises:
        ConfigError: naming a parameter that makes no sense.
    """
    ahead = {**values, **_ITS_OWN}
    return {**ahead, "hop": resolve(ahead).model.stride}


def counting(progress: Progress, what: str, total: int) -> Callable[[int], None]:
    """What is told how many more are done, and tells ``progress`` how many there are by now."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(what, done, total)

    return count


class PairReader:
    """Reads the pairs of a recording.

    Args:
        source: the recording.
        fallback: decodes raw images of encodings that the package does not know.
        read: is told how many messages more were read.
    """

    def __init__(self, source: Source, fallback: Decode | None, read: Callable[[int], None]) -> None:
        self._source = source
        self._fallback = fallback
        self._read = read
        self._feed: Feed | None = None

    def overview(self, say: Say) -> tuple[int, NDArray[np.float64]]:
        """How many pairs there are, and (A,) how far their actions move each dimension, added up, in units of
        ``actions.std``.

        Args:
            say: is told of what was found on the way.
        """
        config = self._source.config
        count, movement = 0, np.zeros(config.model.action_dim)
        for pair in self._pairs(say):
            count += 1
            movement += pair.movement(config.stream) / config.normalization.actions.std
        if count == 0:
            self._read(self._source.count)  # it is not read again
        return count, movement

    def chosen(self, count: int, wanted: int) -> Iterator[Pair]:
        """As many pairs as are wanted of those that :meth:`overview` has counted, evenly spread."""
        indices = set(spread(count, wanted))
        return (pair for index, pair in enumerate(self._pairs(lambda sentence: None)) if index in indices)

    def _pairs(self, say: Say) -> Iterator[Pair]:
        return pairs(self._windows(say), self._source.config.stream)

    def _windows(self, say: Say) -> Iterator[Window]:
        source, more = self._source, 0
        self._feed = Feed(source, self._fallback, say)
        for recorded in source.recording.messages(source.chosen.all):
            yield from self._feed.take(recorded)
            more += 1
            if more == PROGRESS_MESSAGES:
                self._read(more)
                more = 0
        self._read(more)
        self._feed.finish()

    def nothing(self) -> str:
        """Why :meth:`overview` has counted none, without a full stop."""
        assert self._feed is not None
        counters = self._feed.intake.counters
        return (
            f"no window is followed by one that observes its next step: {counters.frames:,} frames made "
            f"{counters.windows:,} windows, {counters.windows_skipped:,} were skipped for want of a command or state, "
            f"{counters.gaps:,} gaps, {sum(counters.rejected.values()):,} messages rejected"
        )
