"""A recording replayed without a ROS graph: what is read, what is written and when it is whole, and the report.

Messages go in by their time of recording, which stands for the time at which a node would have received them. What
becomes of them is :mod:`vjepa_ros.replay.run`'s; the command line is :mod:`vjepa_ros.commands.replay`.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_ros import files
from vjepa_ros.config.node import resolve
from vjepa_ros.config.ros_names import full_node_name
from vjepa_ros.documents import to_json
from vjepa_ros.errors import OutputError
from vjepa_ros.errors import place as shown
from vjepa_ros.recordings.feed import open_source
from vjepa_ros.recordings.reading import PROGRESS_MESSAGES, Progress, Say
from vjepa_ros.replay.plan import REPORT, TOOL, Plan
from vjepa_ros.replay.run import Run

if TYPE_CHECKING:
    from vjepa_ros.replay.html import Page
    from vjepa_ros.replay.rerun_log import Log

_BAG_SUFFIX, _BAG_METADATA = ".mcap", "metadata.yaml"  # of the files that the bag consists of
_TOPICS = ("latent_info", "window_info", "predicted_latents", "context_latents")  # below the node's name


def replay(
    plan: Plan,
    progress: Progress = lambda what, done, total: None,
    say: Say = lambda sentence: None,
) -> dict[str, Any]:
    """Replay a recording. What it writes lies in ``out``, which is moved to its place whole; what has a place elsewhere
    is moved before.

    Args:
        plan: what and where to.
        progress: is told how far it has come.
        say: is told, once each, of what was found on the way and people should know.

    Returns:
        The report, as it was written.

    Raises:
        BagError: for a recording that cannot be used.
        OutputError: for an output that must not be written.
        ConfigError: naming a parameter that makes no sense, or a node's name that ROS would refuse.
        EngineError: where the model fails.
        OSError: where the disk is full or fails; it names the file. Whatever is raised, no output is left or changed.
    """
    started_s = time.monotonic()
    node_name = full_node_name(plan.node_name, () if plan.windows_only else _TOPICS)
    wanted = plan.beside
    inside = {place: _inside(plan.out, place) for place in wanted}
    outside = [place for place in wanted if inside[place] is None]
    files.require_apart([plan.out, *outside], plan.inputs)
    files.require_apart(wanted, plan.inputs)
    with ExitStack() as stack:
        source = open_source(plan.bags, resolve(plan.values), plan.topics, plan.urdf, say, stack)
        recording, chosen, total = source.recording, source.chosen, source.count
        groups = ([place] for place in (*outside, plan.out))  # `out` appears last
        new = stack.enter_context(files.whole(*groups, tool=TOOL, force=plan.force))
        out = new[plan.out]
        new |= {place: out / within for place, within in inside.items() if within is not None}
        export, dump = (None if place is None else new[place] for place in (plan.export, plan.dump))
        page = None if plan.html is None else _page(new[plan.html])
        log = None if plan.rrd is None else stack.enter_context(_log(new[plan.rrd]))
        if plan.windows_only:
            out.mkdir()
        watchers = [watcher for watcher in (page, log) if watcher is not None]
        run = Run(source, node_name, plan.fallback, say, stack, watchers)
        run.open(None if plan.windows_only else out, export, dump)
        loaded_s = time.monotonic()
        for done, recorded in enumerate(recording.messages(chosen.all), start=1):
            run.take(recorded)
            if done % PROGRESS_MESSAGES == 0:
                progress("messages", done, total)
        run.finish()
        progress("messages", total, total)
        ended_s = time.monotonic()
        report = {
            **source.report,
            "windows_only": plan.windows_only,
            "parameters": dict(source.config.parameters),
            **run.summary(),
            "timings": {
                "load_s": round(loaded_s - started_s, 3),
                "replay_s": round(ended_s - loaded_s, 3),
                "model_s": round(run.model_s, 3),
                "recorded_s": round(run.recorded_s, 3),
            },
        }
        with files.naming(out / REPORT):
            (out / REPORT).write_text(to_json(report, indent=2) + "\n", encoding="utf-8")
        if page is not None:
            page.write(report, run.info)
        if log is not None:
            log.close()
    return report


def _page(file: Path) -> Page:
    """What writes the page; imported here, because what it needs may be missing where nobody wants one."""
    from vjepa_ros.replay.html import Page

    return Page(file)


def _log(file: Path) -> Log:
    """The same for Rerun."""
    from vjepa_ros.replay.rerun_log import Log

    return Log(file)


def _inside(out: Path, place: Path) -> Path | None:
    """The path of a place relative to the folder of outputs; None for one that lies elsewhere.

    Paths are taken as they are written: links that lie there today are not followed.

    Raises:
        OutputError: for a place that the folder needs itself.
    """
    folder, whole = Path(os.path.abspath(out)), Path(os.path.abspath(place))
    if folder not in whole.parents:
        return None
    within = whole.relative_to(folder)
    if within.parts[0] in (REPORT, _BAG_METADATA) or Path(within.parts[0]).suffix == _BAG_SUFFIX:
        raise OutputError(f"{shown(place)}: would replace {within.parts[0]} of `out`; choose another place")
    return within
