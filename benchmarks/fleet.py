"""What a fleet costs over plain replays, with 1 and 2 workers, and what many recordings do to who hands them out.

``tools/run.sh -m benchmarks.fleet`` replays recordings of a minute, one after another in one process, then does the
same as a fleet; ``--tiny 10000`` hands out so many links to a recording of half a second, and looks at the memory of
this process meanwhile. Both print JSON lines. The figures of docs/fleet.md come from here.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support import bags, fleets, recorded

from benchmarks.memory import status_mb
from vjepa_ros.fleet import running
from vjepa_ros.fleet.plan import Plan
from vjepa_ros.fleet.store import Store
from vjepa_ros.replay import plan as replay_plan
from vjepa_ros.replay import replaying

VALUES: dict[str, Any] = {"joint_names": list(recorded.JOINTS), "threads": 1, "device": "cpu"}
_GAP_NS = 50 * bags.MS
_MB = 2**20
_LOOKS = 20


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


def replays(paths: list[Path], folder: Path) -> float:
    """Seconds of the processor per recording, one after another, as a loop over vjepa_replay's own function.

    The wall's clock says nothing where something else is busy on this machine.
    """
    started_s, cpu_s = time.monotonic(), time.process_time()
    for number, path in enumerate(paths):
        report = replaying.replay(replay_plan.Plan([path], VALUES, folder / f"replay{number}"))
    each_s = (time.process_time() - cpu_s) / len(paths)
    whole_s = round(time.monotonic() - started_s, 2)
    told("replay", recordings=len(paths), whole_s=whole_s, cpu_s_each=round(each_s, 2), timings=report["timings"])
    return each_s


def fleet(paths: list[Path], folder: Path, workers: int, plain_s: float) -> None:
    """The same as a fleet, and what it costs more."""
    out = folder / f"fleet{workers}"
    started_s = time.monotonic()
    manifest = running.run(Plan([str(path) for path in paths], VALUES, out, workers=workers))
    all_s = time.monotonic() - started_s
    each = {name: round(value / len(paths), 2) for name, value in manifest["timings"].items() if name != "last_run_s"}
    size = sum(file.stat().st_size for file in out.rglob("*.parquet"))
    told("fleet", workers=workers, recordings=len(paths), whole_s=round(all_s, 2), each=each,
         overhead_of_cpu=round(each["cpu_s"] / plain_s - 1, 4), mb_each=round(size / len(paths) / _MB, 2))  # fmt: skip


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
        first = long_bag(folder / "bag0", given.seconds)
        paths = [first, *(shutil.copytree(first, folder / f"bag{number}") for number in range(1, given.recordings))]
        plain_s = replays(list(paths), folder)
        for workers in given.workers:
            fleet(list(paths), folder, workers, plain_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
