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
from pathlib import Path
from typing import Any

from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, OutputError, VjepaError, named, place
from vjepa_ros.fleet import places
from vjepa_ros.fleet.frames import FrameWriter
from vjepa_ros.fleet.names import name_of
from vjepa_ros.fleet.plan import MOST_ATTEMPTS, Plan
from vjepa_ros.fleet.store import TABLE, VIDEO, Store
from vjepa_ros.fleet.table import Writer
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.recordings import content
from vjepa_ros.recordings.feed import open_source
from vjepa_ros.replay.run import Run
from vjepa_ros.replay.written import Written

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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
        fatal: kind and words of what nobody can go on with: ``disk`` has errno and file, ``model`` the parameter.
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
        expected: ``info_id`` of the rows that are there already, empty for none.
    """

    def __init__(self, plan: Plan, expected: str = "") -> None:
        self._plan = plan
        self._expected = expected
        self._store = Store(plan.out)
        self._config: NodeConfig | None = None
        self._model: WorldModel | None = None

    def __call__(self, recording: str) -> Result:
        """Do one, unless it is done; see :class:`Result`."""
        started_s = (time.monotonic(), time.process_time())
        name = name_of(recording)
        there = self._store.report(name)
        if there is not None:
            return Result(name, "there", there["counts"]["windows"], len(there["incomplete"]))
        try:
            config, model = self._ready()
        except ConfigError as error:
            return Result(name, "stop", fatal=("model", error.parameter, error.reason))
        except VjepaError as error:
            return Result(name, "stop", fatal=("model", "", str(error)))
        try:
            if self._store.begun(name) > MOST_ATTEMPTS:
                raise OutputError(f"the worker that had it died, {MOST_ATTEMPTS} times")
            report = self._done(recording, name, config, model, started_s)
        except OSError as error:
            if error.errno in _FULL:
                return Result(name, "stop", fatal=("disk", str(error.errno), str(error.filename or self._plan.out)))
            return self._failed(recording, name, error, started_s)
        except Exception as error:  # noqa: BLE001 - the recording's fault, whatever it is; the others go on
            return self._failed(recording, name, error, started_s)
        self._store.ended(name)
        return Result(name, "done", report["counts"]["windows"], len(report["incomplete"]),
                      seconds=time.monotonic() - started_s[0])  # fmt: skip

    def _ready(self) -> tuple[NodeConfig, WorldModel]:
        if self._config is None or self._model is None:
            config = resolve(self._plan.values)
            self._model = load_model(config)
            self._config = config
        return self._config, self._model

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
            path = stack.enter_context(places.brought(recording))
            source = open_source([path], config, plan.topics, plan.urdf, said, stack)
            new = stack.enter_context(self._store.writing(name))
            bag_hash = content.content_hash(path)
            about = {"recording": recording, "bag_hash": bag_hash}
            rows = _Rows(plan, new, about, source.config, stack)
            run = Run(source, _NODE, plan.fallback, said, stack, [rows])
            run.use(model, keeps_context=True)
            assert run.info is not None
            rows.begin(run.info)
            if self._expected and run.info["info_id"] != self._expected:
                raise OutputError(f"its latents would be of another model than those that are there: info_id "
                                  f"{run.info['info_id']}, not {self._expected}")  # fmt: skip
            for recorded in source.recording.messages(source.chosen.all):
                run.take(recorded)
            run.finish()
            rows.close()
            report = {
                "name": name, "recording": recording, "worker": os.getpid(), "bag_hash": bag_hash, "rows": rows.count,
                **source.report, "bags": [recording], **run.summary(), **rows.seen, "said": said.sentences,
                "timings": {
                    "all_s": round(time.monotonic() - started_s[0], 3),
                    "cpu_s": round(time.process_time() - started_s[1], 3), "model_s": round(run.model_s, 3),
                    "recorded_s": round(run.recorded_s, 3),
                },
                "bytes": sum(file.stat().st_size for file in new.iterdir()),
            }  # fmt: skip
            self._store.publish(new, name, report)
            return report


class _Said:
    """Keeps what is said of a recording, for its report."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def __call__(self, sentence: str) -> None:
        self.sentences.append(sentence)


class _Rows:
    """What is written of a recording's windows: the table, and frames for a dataset where one is wanted."""

    def __init__(
        self, plan: Plan, folder: Path, about: Mapping[str, Any], config: NodeConfig, stack: ExitStack
    ) -> None:
        self._plan, self._folder, self._about, self._stack = plan, folder, about, stack
        self._config = config
        self._writer: Writer | None = None
        self._frames: FrameWriter | None = None

    def begin(self, info: Mapping[str, Any]) -> None:
        """Say what the latents are."""
        about = {**self._about, "latent_info": info}
        self._writer = Writer(
            self._folder / TABLE, about, str(self._about["bag_hash"]), info["info_id"], self._plan.kept_steps
        )
        self._stack.callback(self._writer.abort)
        if self._plan.writes_dataset:
            self._frames = FrameWriter(self._folder / VIDEO, self._config)
            self._stack.callback(self._frames.abort)

    def open(self) -> None:
        """The model decides what the table is: see :meth:`begin`."""

    def add(self, written: Written) -> None:
        """Take in a window."""
        assert self._writer is not None and written.outcome is not None, "a model computes"
        self._writer.add(written.outcome, written.error)
        if self._frames is not None:
            self._frames.add(written.window)

    def close(self) -> None:
        """Write what is left."""
        assert self._writer is not None
        self._writer.close()
        if self._frames is not None:
            self._frames.close()

    @property
    def count(self) -> int:
        """Rows of the table."""
        return 0 if self._writer is None else self._writer.rows

    @property
    def seen(self) -> dict[str, Any]:
        """What a dataset needs besides the table, where one is wanted: see :class:`FrameWriter`."""
        return {} if self._frames is None else {"episodes": self._frames.episodes, "frame_px": self._frames.frame_px}


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
