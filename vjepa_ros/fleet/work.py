"""One recording of a fleet through the very code of ``vjepa_replay``, into a table that is there whole or not at all.

A :class:`Worker` holds a model and does one recording after the other; whatever goes wrong with one is an answer, not
an exception. It knows neither who calls it nor how many others there are.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import BagError, ConfigError, EngineError, OutputError, VjepaError, named, place
from vjepa_ros.fleet import places, store
from vjepa_ros.fleet.frames import FrameWriter
from vjepa_ros.fleet.names import name_of
from vjepa_ros.fleet.plan import MOST_ATTEMPTS, Plan
from vjepa_ros.fleet.rows import Rows, windows
from vjepa_ros.fleet.store import OF_LATENTS, TABLE, VIDEO, Store
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.recordings import content
from vjepa_ros.recordings.feed import Feed, open_source
from vjepa_ros.replay.run import Run

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MOST_BROKEN = 3  # failures of the model in a row: those of one recording, and one of the next
_NODE = "/vjepa_predictor"
_Started = tuple[float, float]  # on the wall's clock, and on the processor's


@dataclass(frozen=True)
class Result:
    """What became of a recording: values that travel.

    Attributes:
        name: of the recording.
        state: ``done``, ``there`` where another worker has done it, ``failed``, or ``stop``: nothing of the kind can
            go on (``fatal`` says why), and the recording was not to blame.
        windows: rows that are there for it.
        incomplete: how much of what the recording announced could not be read.
        reason: why it failed.
        fatal: kind and words of what nobody can go on with: ``disk`` has errno and file, ``model`` the parameter,
            ``output`` a sentence.
        seconds: how long it took.
    """

    name: str
    state: str
    windows: int = 0
    incomplete: int = 0
    reason: str = ""
    fatal: tuple[str, str, str] = ("", "", "")
    seconds: float = 0.0


class Worker:
    """Does recordings, one after the other, with a model that it loads for the first of them.

    Args:
        plan: how; its ``out`` is there.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._store = Store(plan.out)
        self._model: WorldModel | None = None
        self._broken = 0  # so often the model has failed in a row

    def __call__(self, recording: str) -> Result:
        """Do one, unless it is done; see :class:`Result`."""
        started_s = (time.monotonic(), time.process_time())
        name = name_of(recording)
        there = self._store.report(name, frames=self._plan.writes_dataset)
        if there is not None:
            return Result(name, "there", there["rows"], len(there["incomplete"]))
        try:
            if self._store.begun(name) > MOST_ATTEMPTS:
                raise OutputError(f"the worker that had it died, {MOST_ATTEMPTS} times")
            report = self._report(recording, name, started_s)
        except _Fatal as fatal:
            return Result(name, "stop", fatal=fatal.said)
        except OSError as error:
            if error.errno in _FULL:
                return Result(name, "stop", fatal=("disk", str(error.errno), str(error.filename or self._plan.out)))
            return self._failed(recording, name, error, started_s)
        except Exception as error:  # noqa: BLE001 - the recording's fault, whatever it is; the others go on
            return self._failed(recording, name, error, started_s)
        self._store.ended(name)
        return Result(name, "done", report["rows"], len(report["incomplete"]),
                      seconds=time.monotonic() - started_s[0])  # fmt: skip

    def _report(self, recording: str, name: str, started_s: _Started) -> Mapping[str, Any]:
        """Its report, once all that is wanted of it is there. Where the model fails, it is loaded anew, and the
        recording is tried once more."""
        try:
            config = resolve(self._plan.values)
        except ConfigError as error:
            raise _Fatal("model", error.parameter, error.reason) from error
        there = self._store.report(name)
        if there is not None:
            self._add_frames(recording, name, config, there)
            return there
        try:
            return self._done(recording, name, config, self._ready(config), started_s)
        except EngineError as error:
            self._fails(error)
        try:
            return self._done(recording, name, config, self._ready(config), started_s)
        except EngineError as error:
            self._fails(error)
            raise

    def _ready(self, config: NodeConfig) -> WorldModel:
        if self._model is None:
            try:
                self._model = load_model(config)
            except ConfigError as error:
                raise _Fatal("model", error.parameter, error.reason) from error
            except VjepaError as error:
                raise _Fatal("model", "", str(error)) from error
        return self._model

    def _fails(self, error: EngineError) -> None:
        """Count it; what fails with one recording after the other is the device, and no recording is to blame."""
        self._model = None
        self._broken += 1
        if self._broken == _MOST_BROKEN:
            raise _Fatal("model", "", str(error)) from error

    def _failed(self, recording: str, name: str, error: Exception, started_s: _Started) -> Result:
        said = str(error) if isinstance(error, VjepaError) else f"{type(error).__name__}: {error}"
        if isinstance(error, OSError) and error.strerror:
            said = f"{place(str(error.filename))}: {error.strerror}" if error.filename else error.strerror
        reason = named(" ".join(said.split()), 1000)
        kept = {"name": name, "recording": recording, "reason": reason, "kind": type(error).__name__}
        try:
            self._store.fail(name, kept)
            self._store.ended(name)
        except OSError as full:
            if full.errno in _FULL:
                return Result(name, "stop", fatal=("disk", str(full.errno), str(full.filename or self._plan.out)))
            raise
        return Result(name, "failed", reason=reason, seconds=time.monotonic() - started_s[0])

    def _done(
        self, recording: str, name: str, config: NodeConfig, model: WorldModel, started_s: _Started
    ) -> Mapping[str, Any]:
        """Its report, once all of its rows are at their place."""
        plan, said = self._plan, _Said()
        with ExitStack() as stack:
            path = stack.enter_context(places.brought(recording, self._store.work))
            source = open_source([path], config, plan.topics, plan.urdf, said, stack)
            new = stack.enter_context(self._store.writing(name))
            rows = Rows(plan, new, source.config, stack)
            run = Run(source, _NODE, plan.fallback, said, stack, [rows])
            run.use(model, keeps_context=True)
            assert run.info is not None
            self._require_same({name: run.info[name] for name in OF_LATENTS})
            bag_hash = content.content_hash(path)
            rows.begin(recording, bag_hash, run.info)
            for recorded in source.recording.messages(source.chosen.all):
                run.take(recorded)
            run.finish()
            rows.close()
            report = {
                "name": name, "recording": recording, "worker": os.getpid(), "bag_hash": bag_hash, "rows": rows.count,
                **source.report, "bags": [recording], **run.summary(), "said": said.sentences,
                "timings": {
                    "all_s": round(time.monotonic() - started_s[0], 3),
                    "cpu_s": round(time.process_time() - started_s[1], 3), "model_s": round(run.model_s, 3),
                    "recorded_s": round(run.recorded_s, 3),
                },
                "bytes": sum(file.stat().st_size for file in new.iterdir()),
            }  # fmt: skip
            self._store.publish(new, name, report)
            self._broken = 0
            return report

    def _require_same(self, latents: Mapping[str, Any]) -> None:
        """Have nobody go on with latents of another model than those that are there."""
        there, out = self._store.agreed(latents), place(self._plan.out)
        if there["info_id"] != latents["info_id"]:
            others = ", ".join(name for name in OF_LATENTS if there.get(name) != latents[name])
            raise _Fatal("output", "", f"{out}: has rows of another model in it ({others}): choose another place, or "
                         "`force` begins again")  # fmt: skip

    def _add_frames(self, recording: str, name: str, config: NodeConfig, there: Mapping[str, Any]) -> None:
        """Write the frames of rows that are there: no model runs."""
        plan = self._plan
        with ExitStack() as stack:
            path = stack.enter_context(places.brought(recording, self._store.work))
            if content.content_hash(path) != there["bag_hash"]:
                raise BagError(f"{place(recording)}: is another one than its rows were made of")
            source = open_source([path], config, plan.topics, plan.urdf, _Said(), stack)
            new = stack.enter_context(self._store.writing(name))
            frames = FrameWriter(new / VIDEO, source.config)
            stack.callback(frames.abort)
            rows = windows(self._store.folder(name) / TABLE) if there["rows"] else set()
            feed = Feed(source, plan.fallback, _Said())
            for recorded in source.recording.messages(source.chosen.all):
                for window in feed.take(recorded):
                    if (window.epoch, window.number) in rows:
                        frames.add(window)
            frames.close()
            store.write_episodes(new, frames.frame_px, frames.episodes)
            self._store.publish_frames(new, name)


class _Fatal(Exception):
    """What nobody can go on with; ``said`` is the ``fatal`` of a :class:`Result`."""

    def __init__(self, *said: str) -> None:
        super().__init__(*said)
        kind, first, second = said
        self.said = (kind, first, second)


class _Said:
    """Keeps what is said of a recording, for its report."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def __call__(self, sentence: str) -> None:
        self.sentences.append(sentence)


def with_threads(plan: Plan, cores: int | None = None) -> Plan:
    """The plan with as many of torch's threads for each worker as there are cores for it, unless it says how many.

    Args:
        plan: whose workers share this machine.
        cores: of it; None to count them.
    """
    if plan.values.get("threads") or plan.workers == 0 or plan.address is not None:
        return plan
    available = len(os.sched_getaffinity(0)) if cores is None else cores
    return replace(plan, values={**plan.values, "threads": max(1, available // plan.workers)})
