"""What a fleet costs over plain replays, with 1 and 2 workers, and what many recordings do to who hands them out.

``tools/run.sh -m benchmarks.fleet`` replays recordings of a minute, one after another in one process, then does the
same as a fleet; ``--tiny 10000`` hands out so many links to a recording of half a second, and looks at the memory of
this process meanwhile. Both print JSON lines. The figures of docs/fleet.md come from here.

Both sides write the same latents and load a model once in each process, and of both every process is counted that has
to do with it: this one, Ray's own, its workers. Each side is run twice: with a recording of a second for each worker,
which is what starting costs, and with them and those of a minute; the difference is what those cost.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import psutil
from support import bags, fleets, recorded

from benchmarks.memory import status_mb
from vjepa_ros.config.node import resolve
from vjepa_ros.fleet import running
from vjepa_ros.fleet.plan import Plan
from vjepa_ros.fleet.store import Store
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.replay import plan as replay_plan
from vjepa_ros.replay import replaying, run

VALUES: dict[str, Any] = {"joint_names": list(recorded.JOINTS), "threads": 1, "device": "cpu"}
_GAP_NS = 50 * bags.MS
_MB = 2**20
_LOOKS = 20
_LOOK_S = 0.1  # at the processes there are: what one computes after the last look at it is missed


def long_bag(folder: Path, seconds: float) -> Path:
    """The sample bag over and over, as one recording without a gap."""
    sample, messages, shift_ns = bags.sample(), [], 0
    first_ns, last_ns = sample[0].received_ns, sample[-1].received_ns
    while shift_ns < seconds * bags.S:
        messages += [
            one._replace(received_ns=one.received_ns + shift_ns, stamp_ns=one.stamp_ns + shift_ns)
            for one in sample
            if one.received_ns - first_ns + shift_ns < seconds * bags.S
        ]
        shift_ns += last_ns - first_ns + _GAP_NS
    # One message of a bag is one object, and its stamp is set when it is written: one writer at a time.
    return bags.write(folder, messages)


def told(what: str, **figures: Any) -> None:
    """Print a line."""
    load = round(os.getloadavg()[0], 1)
    print(json.dumps({"what": what, "load": load, **figures}), flush=True)


class Spent:
    """Seconds on the wall's clock, and of the processor: of this process and all that it has started, and they."""

    def __init__(self) -> None:
        self.whole_s = self.cpu_s = 0.0
        self._of: dict[tuple[int, float], float] = {}

    def look(self) -> None:
        """Count anew those that are there; of those that are gone stays what was last seen."""
        for one in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                times = one.cpu_times()
                self._of[one.pid, one.create_time()] = times.user + times.system

    @property
    def of_others_s(self) -> float:
        """Of all but this process, so far."""
        return sum(self._of.values())


@contextmanager
def spent() -> Iterator[Spent]:
    """What the block costs."""
    found, over = Spent(), threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_S):
            found.look()

    found.look()
    before_s, started_s, own_s = found.of_others_s, time.monotonic(), time.process_time()
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
        found.whole_s = time.monotonic() - started_s
        found.cpu_s = time.process_time() - own_s + found.of_others_s - before_s


def replays(paths: list[Path], out: Path, *, context: bool = True) -> None:
    """One after another, as a loop over vjepa_replay's own function that keeps its model; with the context, it writes
    the latents that a fleet writes."""
    values = {**VALUES, "latents.publish_context": context}
    model = load_model(resolve(values))
    with mock.patch.object(run, "load_model", lambda config: model):
        for number, path in enumerate(paths):
            replaying.replay(replay_plan.Plan([path], values, out / f"replay{number}"))


def fleet(paths: list[Path], out: Path, workers: int) -> None:
    """The same as a fleet."""
    running.run(Plan([str(path) for path in paths], VALUES, out / "fleet", workers=workers))


def compared(shorts: list[Path], paths: list[Path], folder: Path, workers: list[int]) -> None:
    """Print what each side costs, and how much more than the first one."""
    plain_s = 0.0
    sides: list[tuple[str, int, Callable[[list[Path], Path], None]]] = [
        ("replay", 1, replays), ("replay_without_context", 1, partial(replays, context=False)),
        *((f"fleet{count}", max(count, 1), partial(fleet, workers=count)) for count in workers),
    ]  # fmt: skip
    for name, count, side in sides:
        outs = [folder / f"{name}_{which}" for which in ("start", "whole")]
        for out in outs:
            out.mkdir()
        with spent() as start:
            side(shorts[:count], outs[0])
        with spent() as whole:
            side([*shorts[:count], *paths], outs[1])
        each_s = (whole.cpu_s - start.cpu_s) / len(paths)
        plain_s = plain_s or each_s
        of_table: dict[str, float] = {}
        if name.startswith("fleet"):
            of_workers = [Store(out / "fleet").manifest()["timings"]["cpu_s"] for out in outs]
            mb = max(file.stat().st_size for file in outs[1].rglob("*.parquet")) / _MB
            of_table = {"worker_cpu_s_each": round((of_workers[1] - of_workers[0]) / len(paths), 2), "mb": round(mb, 2)}
        told(name, recordings=len(paths), start_cpu_s=round(start.cpu_s, 2), start_s=round(start.whole_s, 2),
             cpu_s_each=round(each_s, 2), s_each=round((whole.whole_s - start.whole_s) / len(paths), 2),
             overhead_of_cpu=round(each_s / plain_s - 1, 4), **of_table)  # fmt: skip
        for out in outs:
            shutil.rmtree(out)


def tiny(count: int, folder: Path, workers: int, most_s: float) -> None:
    """Many recordings, and the memory of the process that hands them out; ended after a while, where that is asked."""
    first = bags.sample()[0].received_ns
    bag = bags.write(folder / "tiny", [one for one in bags.sample() if one.received_ns < first + bags.S // 2])
    (folder / "links").mkdir()
    listing = folder / "all.txt"
    for number in range(count):
        (folder / "links" / f"{number}").symlink_to(bag)
    listing.write_text("".join(f"{folder}/links/{number}\n" for number in range(count)))
    seen: list[float] = []
    started_s = time.monotonic()

    def progress(_what: str, done: int, total: int) -> None:
        if done % max(total // _LOOKS, 1) == 0 or done == 1:
            seen.append(round(status_mb("VmRSS"), 1))
            told("tiny", done=done, rss_mb=seen[-1], seconds=round(time.monotonic() - started_s, 1))
        if 0 < most_s < time.monotonic() - started_s:
            raise KeyboardInterrupt

    values = {**fleets.VALUES, "num_frames": 4, "context_steps": 1}
    out = folder / "out"
    with suppress(KeyboardInterrupt):
        running.run(Plan([str(listing)], values, out, workers=workers), progress)
    manifest = Store(out).manifest()
    counts = {name: manifest[name] for name in ("done", "failed", "left", "windows")}
    told("tiny", **counts, rss_mb=seen, seconds=round(time.monotonic() - started_s, 1))


def main() -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--recordings", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--tiny", type=int, default=0)
    parser.add_argument("--most-seconds", type=float, default=0.0)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="fleet_") as name:
        folder = Path(name)
        if given.tiny:
            tiny(given.tiny, folder, max(given.workers), given.most_seconds)
            return 0
        shorts = [long_bag(folder / f"short{number}", 1.0) for number in range(max([1, *given.workers]))]
        first = long_bag(folder / "bag0", given.seconds)
        paths = [first, *(shutil.copytree(first, folder / f"bag{number}") for number in range(1, given.recordings))]
        compared(shorts, list(paths), folder, given.workers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
