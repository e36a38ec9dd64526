"""A fleet from its plan to its tables: which recordings are left, what becomes of them, and what is written about it.

It holds one line of what a worker said at a time: what is done stands on the disk, and is looked up there.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vjepa_ros
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.documents import to_json
from vjepa_ros.errors import ConfigError, EngineError, OutputError, place
from vjepa_ros.fleet import places, pool, store
from vjepa_ros.fleet.names import is_address, name_of
from vjepa_ros.fleet.plan import LEROBOT, Plan
from vjepa_ros.fleet.store import Store
from vjepa_ros.fleet.work import Result, with_threads
from vjepa_ros.recordings import content
from vjepa_ros.recordings.reading import Progress, Say

_HARMLESS = ("threads", "device", "image_transport")
"""Parameters that say who computes, not what."""


@dataclass
class _Counts:
    done: int = 0
    failed: int = 0
    incomplete: int = 0
    windows: int = 0


def run(
    plan: Plan,
    progress: Progress = lambda what, done, total: None,
    say: Say = lambda sentence: None,
) -> dict[str, Any]:
    """Do what is left of a fleet. What was done before stays as it is; what failed before is tried once more.

    Args:
        plan: which recordings, how, and where to.
        progress: is told how far it has come.
        say: is told, once each, of what people should know: each recording that failed.

    Returns:
        The manifest, as it was written.

    Raises:
        BagError: for a place with no recording.
        ConfigError: naming a parameter or a field of the plan that makes no sense.
        OutputError: where something else lies at ``out``, rows of other parameters, or another run is at it.
        EngineError: where the model cannot be loaded, or Ray fails.
        OSError: where the disk is full or fails; it names the file. Whatever is raised, what is done is complete.
    """
    started_s = time.monotonic()
    plan = with_threads(plan)
    config = resolve(plan.values)
    recordings = places.find(plan.bags)
    _require_apart(plan, recordings)
    asked = _asked(plan, config)
    with store.opened(plan.out, force=plan.force) as found:
        expected = _expected(plan, found, asked)
        names = {name_of(recording): recording for recording in recordings}
        left = [recording for name, recording in names.items() if found.report(name) is None]
        store.write_manifest(plan.out, {**asked, "state": "unfinished", "info_id": expected})
        store.write_lines(plan.out, ({"name": name, "recording": one} for name, one in names.items()))
        say(f"{len(names):,} recordings, {len(names) - len(left):,} of them done before")
        try:
            _work(plan, left, expected, len(names), progress, say)
        except BaseException:
            with suppress(OSError):  # where the disk is full, what is done can be seen all the same
                _concluded(plan, found, asked, names, time.monotonic() - started_s)
            raise
        manifest = _concluded(plan, found, asked, names, time.monotonic() - started_s)
        if plan.writes_dataset:
            from vjepa_ros.fleet import lerobot  # here, because only this needs PyAV

            lerobot.write(found, plan.out / LEROBOT, config, plan.task, progress, say)
    return manifest


def _work(plan: Plan, left: Sequence[str], expected: str, total: int, progress: Progress, say: Say) -> None:
    before = total - len(left)
    if not left:
        return
    with closing(pool.results(plan, left, expected)) as results:
        for number, result in enumerate(results, start=1):
            if result.state == "stop":
                _stop(result)
            if result.state == "failed":
                say(f"{result.name}: failed: {result.reason}")
            elif result.incomplete:
                say(f"{result.name}: {result.incomplete} parts of it could not be read")
            progress("recordings", before + number, total)


def _stop(result: Result) -> None:
    """Raise what nobody can go on with."""
    kind, first, second = result.fatal
    if kind == "disk":
        error = OSError(int(first), os.strerror(int(first)))
        error.filename = second
        raise error
    raise ConfigError(first, second) if first else EngineError(second)


def _require_apart(plan: Plan, recordings: Sequence[str]) -> None:
    """Refuse an output in which the recordings lie, or that lies in one of them."""
    out = plan.out.resolve()
    for recording in recordings:
        if is_address(recording):
            continue
        one = Path(recording).resolve()
        if out == one or out in one.parents or one in out.parents:
            raise OutputError(f"{place(plan.out)}: would replace, or lie in, {place(recording)}; choose another place")


def _asked(plan: Plan, config: NodeConfig) -> dict[str, Any]:
    """What decides which rows come out, and what they were asked for by."""
    parameters = dict(config.parameters)
    asked = {
        "parameters": {name: value for name, value in parameters.items() if name not in _HARMLESS},
        "topics": dict(plan.topics),
        "urdf": None if plan.urdf is None else content.content_hash(plan.urdf),
        "kept_steps": plan.kept_steps,
        "formats": sorted(plan.formats),
    }
    key = hashlib.sha256(to_json(asked, sort_keys=True).encode()).hexdigest()
    return {"vjepa_ros": vjepa_ros.__version__, "key": key, **asked, "parameters": parameters,
            "workers": plan.workers, "task": plan.task,
            "urdf_file": None if plan.urdf is None else str(plan.urdf.absolute())}  # fmt: skip


def _expected(plan: Plan, found: Store, asked: Mapping[str, Any]) -> str:
    """``info_id`` of the rows that are there.

    Raises:
        OutputError: where they are of other parameters.
    """
    try:
        before = found.manifest()
    except OutputError:
        return ""
    if before.get("key") != asked["key"] and found.names():
        others = [name for name in ("topics", "urdf", "kept_steps", "formats") if before.get(name) != asked[name]]
        was = before.get("parameters") or {}
        others += [
            name for name, value in asked["parameters"].items() if name not in _HARMLESS and was.get(name) != value
        ]
        raise OutputError(f"{place(plan.out)}: has rows of other parameters in it ({', '.join(others[:5]) or 'version'}"
                          "): choose another place, or `force` begins again")  # fmt: skip
    return str(before.get("info_id") or "") if before.get("key") == asked["key"] else ""


def _concluded(
    plan: Plan, found: Store, asked: Mapping[str, Any], names: Mapping[str, str], took_s: float
) -> dict[str, Any]:
    """Write the list of recordings and the manifest, from what is on the disk."""
    counts, info_ids, of_model = _Counts(), set(), {}
    timings = dict.fromkeys(("all_s", "cpu_s", "model_s", "recorded_s"), 0.0)

    def lines() -> Iterator[dict[str, Any]]:
        for name, recording in names.items():
            report, line = found.report(name), {"name": name, "recording": recording}
            if report is not None:
                counts.done += 1
                counts.windows += report["rows"]
                counts.incomplete += bool(report["incomplete"])
                info_ids.add(report["info_id"])
                of_model.update({key: report[key] for key in ("encoder_hash", "predictor_hash")})
                for key in timings:
                    timings[key] += report["timings"][key]
                line |= {"state": "done", "windows": report["rows"], "bag_hash": report["bag_hash"],
                         "sha256": report["sha256"], "incomplete": report["incomplete"]}  # fmt: skip
            elif (failure := found.failure(name)) is not None:
                counts.failed += 1
                line |= {"state": "failed", "reason": failure["reason"]}
            else:
                line |= {"state": "left"}
            yield line

    store.write_lines(plan.out, lines())
    left = len(names) - counts.done - counts.failed
    manifest = {
        **asked, "state": "finished" if not left else "unfinished", "info_id": min(info_ids, default=""), **of_model,
        "recordings": len(names), "done": counts.done, "failed": counts.failed, "left": left,
        "incomplete": counts.incomplete, "windows": counts.windows,
        "timings": {**{key: round(value, 3) for key, value in timings.items()}, "last_run_s": round(took_s, 3)},
    }  # fmt: skip
    store.write_manifest(plan.out, manifest)
    return manifest
