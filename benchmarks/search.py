"""How long a search takes in a table that is made up: its rows are as large as a model's, and say nothing.

``tools/run.sh -m benchmarks.search`` writes a table with rows as large as those of ``vjepa2_ac_vitg`` with the whole
context, then looks for a picture and for a part of one in it, without the model's own time: once after the system has
forgotten the file, and once more. It prints JSON lines. The figures of docs/fleet.md come from here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np

from vjepa_ros.fleet import search
from vjepa_ros.fleet.looking import Looking
from vjepa_ros.fleet.store import TABLE, Store
from vjepa_ros.fleet.table import Writer

_STEP_NS = 250_000_000
_MB = 2**20


def made(path: Path, rows: int, steps: int, side: int, dim: int) -> None:
    """Write the table: contexts of (steps, side, side, dim), and a forecast of one step."""
    context = np.random.default_rng(0).standard_normal((steps, side, side, dim), np.float32).astype(np.float16)
    values = SimpleNamespace(values=np.zeros((steps, 7)))
    writer = Writer(path, {"recording": "made up"}, "0" * 64, "0" * 64, None)
    for number in range(rows):
        stamps = tuple(number * _STEP_NS + step for step in range(steps))
        window: Any = SimpleNamespace(
            epoch=0, number=number, stamp_ns=stamps[-1], late=0, held=0, step_stamps_ns=stamps, actions=values,
            states=values, future=values, frames=[SimpleNamespace(stamp_ns=stamp) for stamp in stamps],
        )  # fmt: skip
        outcome: Any = SimpleNamespace(window=window, forecast=SimpleNamespace(context=context, predicted=context[:1]))
        writer.add(outcome, None)
    writer.close()


def forgotten(path: Path) -> None:
    """Have the system read the file from the disk when it is next asked for."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    for name, default in (("rows", 1000), ("steps", 8), ("side", 16), ("dim", 1408)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="search_") as name:
        store = Store(Path(name))
        path = store.folder("made") / TABLE
        path.parent.mkdir(parents=True)
        made(path, given.rows, given.steps, given.side, given.dim)
        size = path.stat().st_size
        wanted = np.full((1, given.dim), given.dim**-0.5, np.float32)
        for what, patch in (("picture", None), ("part", (0.0, 0.0, 0.5, 0.5))):
            looking = Looking(store.out, Path("none.png"), patch=patch)
            took_s = []
            for forget in (True, False):
                if forget:
                    forgotten(path)
                started_s = time.monotonic()
                found = search.nearest(store, ["made"], wanted, looking, lambda what, done, total: None)
                took_s.append(round(time.monotonic() - started_s, 3))
            figures = {"rows": given.rows, "mb": round(size / _MB), "found": len(found)}
            figures |= {"cold_s": took_s[0], "warm_s": took_s[1], "load": round(os.getloadavg()[0], 1)}
            print(json.dumps({"what": what, **figures}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
