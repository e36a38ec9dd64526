"""A fleet from its plan to its tables: which recordings are left, what becomes of them, and what is written about it.

It holds one line of what a worker said at a time: what is done stands on the disk, and is looked up there.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import vjepa_ros
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.documents import to_json
from vjepa_ros.errors import ConfigError, EngineError, OutputError, place
from vjepa_ros.fleet import places, pool, store
from vjepa_ros.fleet.names import is_address, name_of
from vjepa_ros.fleet.plan import LEROBOT, RECORDINGS, Plan
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
    copies: int = 0


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
        _require_same(found, asked)
        names = {name_of(recording): recording for recording in recordings}
        # What was done before and is not named now stays, and is a part of the fleet.
        others = [name for name in found.names() if name not in names]
        names |= {name: report["recording"] for name in others if (report := found.report(name)) is not None}
        left = [one for name, one in names.items() if found.report(name, frames=plan.writes_dataset) is None]
        store.write_manifest(plan.out, {**asked, "state": "unfinished", **(found.latents() or {})})
        store.write_lines(plan.out, ({"name": name, "recording": one} for name, one in names.items()))
        say(f"{len(names):,} recordings, {len(names) - len(left):,} of them done before")
        try:
            _work(plan, left, len(names), progress, say)
            manifest = _concluded(plan, found, asked, names, started_s, say)
            if plan.writes_dataset and manifest["done"]:
                from vjepa_ros.fleet import lerobot  # here, because only this needs PyAV

                lerobot.write(found, plan.out / LEROBOT, config, plan.task, progress, say)
                manifest = _concluded(plan, found, asked, names, started_s, dataset="written")
        except BaseException:
            with suppress(OSError):  # where the disk is full, what is done can be seen all the same
                _concluded(plan, found, asked, names, started_s)
            raise
    return manifest


def _work(plan: Plan, left: Sequence[str], total: int, progress: Progress, say: Say) -> None:
    before = total - len(left)
    if not left:
        return
    with closing(pool.results(plan, left)) as results:
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
    if kind == "output":
        raise OutputError(second)
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
    }
    key = hashlib.sha256(to_json(asked, sort_keys=True).encode()).hexdigest()
    return {"vjepa_ros": vjepa_ros.__version__, "key": key, **asked, "parameters": parameters,
            "formats": sorted(plan.formats), "workers": plan.workers, "task": plan.task,
            "urdf_file": None if plan.urdf is None else str(plan.urdf.absolute())}  # fmt: skip


def _require_same(found: Store, asked: Mapping[str, Any]) -> None:
    """Refuse to go on with rows of other parameters. Whether they are of the same weights, the workers say.

    Raises:
        OutputError: naming what differs.
    """
    if not found.names():
        return
    before = found.manifest()
    if before.get("key") == asked["key"]:
        return
    others = [name for name in ("topics", "urdf", "kept_steps") if before.get(name) != asked[name]]
    was = before.get("parameters") or {}
    others += [name for name, value in asked["parameters"].items() if name not in _HARMLESS and was.get(name) != value]
    raise OutputError(f"{place(found.out)}: has rows of other parameters in it ({', '.join(others[:5]) or 'version'}): "
                      "choose another place, or `force` begins again")  # fmt: skip


def _concluded(
    plan: Plan, found: Store, asked: Mapping[str, Any], names: Mapping[str, str], started_s: float,
    say: Say = lambda sentence: None, dataset: str = "left",
) -> dict[str, Any]:  # fmt: skip
    """Write the list of recordings and the manifest, from what is on the disk; the dataset is as ``dataset`` says."""
    counts, first_with = _Counts(), dict[str, str]()
    timings = dict.fromkeys(("all_s", "cpu_s", "model_s", "recorded_s"), 0.0)

    def lines() -> Iterator[dict[str, Any]]:
        for name, recording in names.items():
            report, line = found.report(name, frames=plan.writes_dataset), {"name": name, "recording": recording}
            if report is not None:
                counts.done += 1
                counts.windows += report["rows"]
                counts.incomplete += bool(report["incomplete"])
                for key in timings:
                    timings[key] += report["timings"][key]
                line |= {"state": "done", "windows": report["rows"], "bag_hash": report["bag_hash"],
                         "sha256": report["sha256"], "incomplete": report["incomplete"]}  # fmt: skip
                same = first_with.setdefault(report["bag_hash"], name)
                if same != name:
                    counts.copies += 1
                    line["copy_of"] = same
            elif (failure := found.failure(name)) is not None:
                counts.failed += 1
                line |= {"state": "failed", "reason": failure["reason"]}
            else:
                line |= {"state": "left"}
            yield line

    store.write_lines(plan.out, lines())
    if counts.copies:
        say(f"{counts.copies} recordings have the same in them as another one; {RECORDINGS} has which")
    left = len(names) - counts.done - counts.failed
    of_dataset = dataset if plan.writes_dataset else None
    manifest = {
        **asked, "state": "unfinished" if left or of_dataset == "left" else "finished", "info_id": "",
        **(found.latents() or {}), "dataset": of_dataset, "recordings": len(names), "left": left, **asdict(counts),
        "timings": {**{key: round(value, 3) for key, value in timings.items()},
                    "last_run_s": round(time.monotonic() - started_s, 3)},
    }  # fmt: skip
    store.write_manifest(plan.out, manifest)
    return manifest
