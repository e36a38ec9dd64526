"""The tables of a fleet as recordings that are trained on: their windows, and the latents that they have already.

A fleet's folder stands for its recordings, each a folder with a table. Windows come without pictures: where a recording
is looked at for change, the latents of a step stand for its frames. It knows tables and windows, and no models.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.documents import to_json
from vjepa_ros.errors import BagError, ConfigError, listed, place
from vjepa_ros.fleet.names import name_of
from vjepa_ros.fleet.plan import MANIFEST, TOOL, WINDOWS
from vjepa_ros.fleet.store import PARTITION, REPORT, TABLE, Store
from vjepa_ros.recordings.reading import Progress, Say
from vjepa_ros.stream.actions import Steps
from vjepa_ros.stream.frame import Frame
from vjepa_ros.stream.future import Future
from vjepa_ros.stream.window import Window
from vjepa_ros.training.material import Tally
from vjepa_ros.training.plan import Plan
from vjepa_ros.training.reading import Reader, joined

if TYPE_CHECKING:
    from vjepa_ros.fleet.table import Row, Table

_WHO_COMPUTES = ("device", "threads")
_OF_OTHERS = ("planner.", "candidates.", "latents.", "queue", "image_transport", "override_convention")
"""Parameters, or how their names begin, that say nothing about windows and the encoder's latents."""


def _is_fleet(path: Path) -> bool:
    return (path / MANIFEST).is_file() and (path / WINDOWS).is_dir()


def fleet_of(recording: Path) -> Path | None:
    """The fleet's folder that a recording's folder is in; None for what is no such folder."""
    folder = Path(os.path.abspath(recording))
    is_one = folder.name.startswith(PARTITION) and folder.parent.name == WINDOWS and _is_fleet(folder.parent.parent)
    return folder.parent.parent if is_one else None


def expanded(plan: Plan, say: Say = lambda sentence: None) -> Plan:
    """The plan with a fleet's recordings in place of its folder, and its parameters where the plan has none.

    Args:
        plan: of bags, or of a fleet.
        say: is told how many recordings have the same in them as another one, and are left out.

    Raises:
        BagError: for a fleet with no recording that is done, or one whose report cannot be read.
        ConfigError: where tables and bags are mixed, or several fleets.
        OutputError: for a fleet of another version.
    """
    fleets = {Path(os.path.abspath(path)) for path in plan.bags if _is_fleet(path)}
    fleets |= {fleet for path in plan.bags if (fleet := fleet_of(path)) is not None}
    if not fleets:
        return plan
    if len(fleets) > 1 or not all(_is_fleet(path) or fleet_of(path) for path in plan.bags):
        raise ConfigError("bags", f"{place(min(fleets))} is a folder of {TOOL}: train on one such folder, or on bags")
    store = Store(fleets.pop())
    held = [_held(store, path) for path in plan.hold_back]
    bags = [one for path in plan.bags for one in (_recordings(store, held, say) if _is_fleet(path) else [path])]
    values = {name: value for name, value in store.manifest()["parameters"].items() if name not in _WHO_COMPUTES}
    return replace(plan, bags=bags, hold_back=held, values={**values, **plan.values})


def _recordings(store: Store, held: Sequence[Path], say: Say) -> list[Path]:
    """Those with a window, each content once: a copy would be trained on twice, or on both sides of what is held."""
    found = [store.folder(name) for name in store.names() if (store.folder(name) / TABLE).is_file()]
    if not found:
        raise BagError(f"{place(store.out)}: has no recording with a window in it")
    first = {content_of(path): path for path in held if fleet_of(path) is not None}
    for path in found:
        first.setdefault(content_of(path), path)
    once = set(first.values())
    kept = [path for path in found if path in once]
    if len(kept) < len(found):
        say(f"{len(found) - len(kept)} recordings have the same in them as another one, and are left out")
    return kept


def _held(store: Store, path: Path) -> Path:
    """A recording that is held back may be called by the place where it lay."""
    own = store.folder(name_of(os.path.abspath(path)))
    return own if fleet_of(path) is None and own.is_dir() else path


def content_of(recording: Path) -> str:
    """64 hex digits that stand for a recording's rows: by their hashes, so that no table is read for it."""
    report = _report(recording)
    said = {name: report[name] for name in ("bag_hash", "info_id", "sha256")}
    return hashlib.sha256(to_json(said, sort_keys=True).encode()).hexdigest()


def _report(recording: Path) -> dict[str, Any]:
    fleet = fleet_of(recording)
    report = None if fleet is None else Store(fleet).report(recording.name.removeprefix(PARTITION))
    if report is None:
        raise BagError(f"{place(recording)}: is not done, or has no {REPORT} that can be read")
    return report


class TableReader(Reader):
    """Reads the recordings of a fleet, see :class:`~vjepa_ros.training.reading.Reader`."""

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the fleet was made by."""
        fleet = fleet_of(self.plan.recordings[0])
        assert fleet is not None
        return Store(fleet).manifest()

    def require_fit(self, inputs: Callable[[NodeConfig, Mapping[str, str]], Mapping[str, Any]]) -> None:
        """Refuse tables of other windows than the plan asks for.

        Args:
            inputs: all that decides which windows are made of a recording, by name.

        Raises:
            ConfigError: naming a parameter.
        """
        from vjepa_ros.training.reading import configured

        parameters, stride = self.manifest["parameters"], self.config.stream.stride
        if parameters["hop"] != stride:
            raise ConfigError("hop", f"was {parameters['hop']} when the tables were made, and training needs a window "
                              f"at every step: make them with {stride}")  # fmt: skip
        theirs = configured(replace(self.plan, values=parameters))
        if inputs(theirs, self.manifest["topics"]) == inputs(self.config, self.plan.topics or self.manifest["topics"]):
            return
        other = [
            name for name, value in self.config.parameters.items()
            if parameters.get(name) != value and not name.startswith((*_OF_OTHERS, *_WHO_COMPUTES, "hop"))
        ]  # fmt: skip
        raise ConfigError(other[0] if other else "topics", "is not what the tables were made with: leave it as it was, "
                          "or make them anew")  # fmt: skip

    def require_encoder(self, encoder_hash: str) -> None:
        """Refuse another encoder than that whose latents are there.

        Raises:
            ConfigError: naming ``checkpoint``.
        """
        theirs = {_report(path)["encoder_hash"] for path in self.plan.recordings}
        if theirs != {encoder_hash}:
            raise ConfigError("checkpoint", f"has an encoder with the hash {encoder_hash[:12]}, and the tables have "
                              f"latents of {listed((one[:12] for one in theirs), show=str)}")  # fmt: skip

    def windows(self, index: int, progress: Progress = lambda what, done, total: None) -> Iterator[Window]:
        for row in self._rows(index, progress):
            yield _window(row, self.config.stream.stride)
        self._tally = _tally(self.plan.recordings[index], _report(self.plan.recordings[index]))

    def _rows(self, index: int, progress: Progress = lambda what, done, total: None) -> Iterator[Row]:
        path = self.plan.recordings[index]
        table = _table(path / TABLE)
        try:
            kept, needed = table.shape("context")[0], _needed(self.config)
            if kept < needed:
                raise BagError(f"{place(path)}: has {kept} steps of each window's context, and training needs {needed}"
                               ": make the tables anew, with as many")  # fmt: skip
            for number, row in enumerate(table, 1):
                yield row
                progress("windows", number, table.rows)
        finally:
            table.close()

    def latents(self, first: int) -> Iterator[memoryview]:
        """The bytes of each unit's rows, bfloat16, from this unit on; see :mod:`vjepa_ros.training.latents`."""
        config, count = self.config, 0
        for index in range(len(self.plan.recordings)):
            rows = self._rows(index)
            keep: list[Row] = []

            def windows(rows: Iterator[Row] = rows, keep: list[Row] = keep) -> Iterator[Window]:
                for row in rows:
                    keep[:] = [row]
                    yield _window(row, config.stream.stride)

            for begins, _ in joined(windows(), config.stream.stride):
                context = keep[0].context
                if config.model.way.is_whole:
                    units = [context[-config.model.most_context :]]
                else:
                    steps = range(0 if begins else len(context) - 1, len(context))
                    units = [context[step : step + 1] for step in steps]
                for unit in units:
                    if count >= first:
                        yield _bytes(unit)
                    count += 1


def _table(path: Path) -> Table:
    try:
        from vjepa_ros.fleet.table import Table  # here, because who trains on bags does without pyarrow
    except ImportError as error:
        raise BagError(
            f"{place(path)}: is a table, and these need the package pyarrow ({error}): install it, or the package with "
            "its extra fleet"
        ) from error
    return Table(path)


def _needed(config: NodeConfig) -> int:
    """Steps of the context: in ``clip`` those that forecasts are made from, else those of a run's first window too."""
    return config.model.most_context if config.model.way.is_whole else config.stream.steps


def _bytes(latents: NDArray[np.float16]) -> memoryview:
    rounded = torch.from_numpy(latents.copy()).to(torch.bfloat16)
    content: Any = rounded.view(torch.int16).numpy()
    return memoryview(content).cast("B")


def _window(row: Row, stride: int) -> Window:
    latents = row.context.astype(np.float32)
    last, steps = len(latents) - 1, len(row.step_stamps_ns)
    frames = tuple(
        Frame(stamp_ns, "", latents[max(last - (steps - 1 - number // stride), 0)])
        for number, stamp_ns in enumerate(row.frame_stamps_ns.tolist())
    )
    actions, states = (Steps(values, (None,) * steps, 0, True) for values in (row.actions, row.states))
    future = Future.none(row.actions.shape[1])
    return Window(row.epoch, row.number, frames, tuple(row.step_stamps_ns.tolist()), actions, states, 0, future)


def _tally(path: Path, report: Mapping[str, Any]) -> Tally:
    counts = dict(report["counts"])
    rejected = {f"{topic}: {why}": n for topic, reasons in counts.pop("rejected").items() for why, n in reasons.items()}
    return Tally(
        path=str(report["recording"]), topics=dict(report["topics"]), messages=dict(report["messages"]), counts=counts,
        rejected=rejected, reports=dict.fromkeys(rejected, f"those that {place(path / REPORT)} tells of"),
        missing_joints=[], notes=list(report["notes"]), incomplete=[str(one) for one in report["incomplete"]],
        unresolved=int(counts["windows_unresolved"]), changes=0.0,
    )  # fmt: skip
