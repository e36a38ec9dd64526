"""Recordings as runs of steps: read through the streams of the node, so that what is trained is what will be fed.

It knows recordings, windows and steps, and neither models nor files of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.config.checks import require
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.errors import BagError, place
from vjepa_ros.recordings.feed import Feed, Source, open_source
from vjepa_ros.recordings.reading import Progress, Say
from vjepa_ros.stream.pictures import Decode
from vjepa_ros.stream.window import Window
from vjepa_ros.training.material import Material, Tally, units_of
from vjepa_ros.training.plan import ONE_AHEAD, Plan
from vjepa_ros.training.runs import Run

_PROGRESS_MESSAGES = 500


def configured(plan: Plan) -> NodeConfig:
    """What the plan's parameters come to, for windows that end at every step.

    Raises:
        ConfigError: naming the parameter that makes no sense, or not for training.
    """
    config = resolve(plan.values_read(resolve({**plan.values, **ONE_AHEAD}).model.stride))
    require(
        config.stream.steps >= 2, "num_frames",
        "is one step: no two windows share a frame, so nothing shows that one goes on where the other ends; for "
        "forecasts from a single step, set context_steps: 1",
    )  # fmt: skip
    return config


class _Heard(Feed):
    """A feed that keeps what is reported, and tells it the first time that any recording has it."""

    def __init__(self, source: Source, fallback: Decode | None, say: Say, told: set[tuple[str, str]]) -> None:
        self.reports: dict[str, str] = {}
        self._everywhere = told
        super().__init__(source, fallback, say)

    def report(self, topic: str, reason: str, detail: str) -> None:
        self.reports.setdefault(f"{topic}: {reason}", detail)
        if (topic, reason) not in self._everywhere:
            self._everywhere.add((topic, reason))
            super().report(topic, reason, detail)


@dataclass
class Reader:
    """Reads the recordings of a plan as windows, as often as is asked.

    Attributes:
        plan: which, and how.
        config: of :func:`configured`.
        say: is told, once for all recordings, of what people should know.
    """

    plan: Plan
    config: NodeConfig
    say: Say = lambda sentence: None
    _told: set[tuple[str, str]] = field(default_factory=set)
    _tally: Tally | None = None

    def windows(self, index: int, progress: Progress = lambda what, done, total: None) -> Iterator[Window]:
        """The windows of a recording, one ending at every step; behind the last one, :meth:`tally` tells of it.

        Raises:
            BagError: for a recording that cannot be used; it names it.
            ConfigError: naming a parameter that makes no sense for it.
        """
        plan, path = self.plan, self.plan.recordings[index]
        with ExitStack() as stack:
            first = self.say if not self._told else _silent  # which topics are read is said of the first one
            self._told.add(("", ""))
            try:
                source = open_source([path], self.config, plan.topics, plan.urdf, first, stack)
            except BagError as error:
                raise error if str(path) in str(error) else BagError(f"{place(path)}: {error}") from error
            feed = _Heard(source, plan.fallback, self.say, self._told)
            total = source.count
            for number, recorded in enumerate(source.recording.messages(source.chosen.all), 1):
                yield from feed.take(recorded)
                if number % _PROGRESS_MESSAGES == 0:
                    progress("messages", number, total)
            progress("messages", total, total)
            feed.finish()
            self._tally = _tally(path, source, feed)

    def tally(self, changes: float) -> Tally:
        """What became of the recording that was just read to its end."""
        assert self._tally is not None
        return replace(self._tally, changes=changes)


def _silent(_sentence: str) -> None:
    pass


def _tally(path: Path, source: Source, feed: _Heard) -> Tally:
    counters = feed.intake.counters
    return Tally(
        path=str(path),
        topics=source.named,
        messages=dict(sorted(feed.messages.items())),
        counts={name: value for name, value in asdict(counters).items() if name != "rejected"}
        | {"late": counters.late},
        rejected={f"{topic}: {reason}": count for (topic, reason), count in sorted(counters.rejected.items())},
        reports=feed.reports,
        missing_joints=list(dict.fromkeys(feed.intake.complaints)),
        notes=list(source.recording.notes),
        incomplete=[str(found) for found in source.recording.incomplete],
        unresolved=feed.intake.stream.unresolved,
        changes=0.0,
    )


def joined(windows: Iterable[Window], stride: int) -> Iterator[tuple[bool, Window]]:
    """Windows in order, each with whether it begins a run: whether it does not follow the one before it."""
    before: Window | None = None
    for window in windows:
        yield before is None or not window.follows(before, stride), window
        before = window


class _Growing:
    """The steps of a run, as far as they are known."""

    def __init__(self, window: Window) -> None:
        self.stamps_ns = list(window.step_stamps_ns)
        self.actions = list(window.actions.values)
        self.states = list(window.states.values)

    def add(self, window: Window, *, reaches_ahead: bool) -> None:
        """Take in the window that ends a step later: its newest step, and the true values of the one before.

        A step has its values from where neither end of the window is near: there the action may be a guess, where the
        reduction reaches ahead, and before a window's first step no other is known. Windows of two steps have no
        inside: there the end is taken that is right.
        """
        inside = len(window.step_stamps_ns) > 2
        if inside or reaches_ahead:
            self.actions[-1] = window.actions.values[-2]
        if inside:
            self.states[-1] = window.states.values[-2]
        self.stamps_ns.append(window.step_stamps_ns[-1])
        self.actions.append(window.actions.values[-1])
        self.states.append(window.states.values[-1])

    def run(self, recording: int, first_row: int) -> Run:
        """What came; nobody knows yet where the last step's action leads."""
        actions = np.stack(self.actions)
        actions[-1] = 0.0
        return Run(recording, first_row, np.array(self.stamps_ns, np.int64), actions, np.stack(self.states))


def read(
    reader: Reader, key: str, hashes: Sequence[str], progress: Progress = lambda what, done, total: None
) -> Material:
    """All recordings, from their first message to their last.

    Args:
        reader: of them.
        key, hashes: see :class:`Material`.
        progress: is told how far it has come.

    Raises:
        BagError, ConfigError: as :meth:`Reader.windows` does.
    """
    config, paths = reader.config, reader.plan.recordings
    runs: list[Run] = []
    tallies: list[Tally] = []
    rows = 0
    single = progress if len(paths) == 1 else (lambda what, done, total: None)
    for index in range(len(paths)):
        found: list[_Growing] = []
        changes, picture = 0.0, None
        for begins, window in joined(reader.windows(index, single), config.stream.stride):
            newest = window.frames[-1].image
            if begins:
                found.append(_Growing(window))
                picture = window.frames[-1 - config.stream.stride].image
            else:
                found[-1].add(window, reaches_ahead=config.stream.reaches_ahead)
            changes = max(changes, _difference(picture, newest))
            picture = newest
        for growing in found:
            runs.append(growing.run(index, rows))
            rows += units_of(runs[-1], config)
        tallies.append(reader.tally(changes))
        if len(paths) > 1:
            progress("recordings", index + 1, len(paths))
    return Material(key, tuple(hashes), tuple(runs), tuple(tallies))


def _difference(before: NDArray[np.float32] | None, after: NDArray[np.float32]) -> float:
    return 0.0 if before is None else float(np.abs(after - before).mean())
