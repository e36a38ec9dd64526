"""A recording replayed without a ROS graph: what is read, what is written and when it is whole, and the report.

Messages go in by their time of recording, which stands for the time at which a node would have received them. What
becomes of them is :mod:`vjepa_ros.replay.run`'s; the command line is :mod:`vjepa_ros.commands.replay`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vjepa_ros
from vjepa_ros import files
from vjepa_ros.config.node import resolve
from vjepa_ros.recordings.feed import Reading, Say, open_source
from vjepa_ros.replay.run import Run

REPORT = "report.json"
TOOL = "vjepa_replay"
_PROGRESS_MESSAGES = 50

Progress = Callable[[int, int], None]
"""Called with (messages read, messages to read)."""


@dataclass(frozen=True)
class Plan(Reading):
    """What to replay, and where to: ``out`` is the folder for the bag of latents and the report, with ``windows_only``
    for the report alone.

    Attributes:
        node_name: full name of the node whose topics are written.
        windows_only: leave the model out.
        dump: file for a line of JSON per window.
        export: folder for safetensors shards, see :mod:`vjepa_ros.replay.export`.
    """

    node_name: str = "/vjepa_predictor"
    windows_only: bool = False
    dump: Path | None = None
    export: Path | None = None


def replay(
    plan: Plan,
    progress: Progress = lambda done, total: None,
    say: Say = lambda sentence: None,
) -> dict[str, Any]:
    """Replay a recording.

    Args:
        plan: what and where to.
        progress: is told how far it has come.
        say: is told, once each, of what was found on the way and people should know.

    Returns:
        The report, as it was written.

    Raises:
        BagError: for a recording that cannot be used.
        OutputError: for an output that must not be written.
        ConfigError: naming a parameter that makes no sense.
        EngineError: where the model fails.
        OSError: where the disk is full or fails; it names the file. Whatever is raised, no output is left or changed.
    """
    started_s = time.monotonic()
    files.require_apart([place for place in (plan.out, plan.dump, plan.export) if place is not None], plan.inputs)
    with ExitStack() as stack:
        source = open_source(plan.bags, resolve(plan.values), plan.topics, plan.urdf, say, stack)
        recording, chosen, total = source.recording, source.chosen, source.count
        places = [place for place in (plan.dump, plan.export, plan.out) if place is not None]  # `out` appears last
        new = stack.enter_context(files.whole(*([place] for place in places), tool=TOOL, force=plan.force))
        out = new[plan.out]
        export, dump = (None if place is None else new[place] for place in (plan.export, plan.dump))
        run = Run(source, plan.node_name, plan.fallback, say, stack)
        run.open(None if plan.windows_only else out, export, dump)
        loaded_s = time.monotonic()
        for done, recorded in enumerate(recording.messages(chosen.all), start=1):
            run.take(recorded)
            if done % _PROGRESS_MESSAGES == 0:
                progress(done, total)
        run.finish()
        progress(total, total)
        ended_s = time.monotonic()
        report = {
            "vjepa_ros": vjepa_ros.__version__,
            "bags": [str(path) for path in plan.bags],
            "topics": source.named,
            "notes": recording.notes,
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
        if plan.windows_only:
            out.mkdir()
        with files.naming(out / REPORT):
            (out / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report
