"""``make gpu``, or ``tools/gpu.sh`` on a machine with torch and no ROS: what only a GPU shows, in under 8 minutes.

The tests that need a GPU; then, at full size in bfloat16, encoders, the released predictor and planning as in the
V-JEPA 2 paper against the public code as it is and compiled; V-JEPA 2.1 against the tests' plain model. Each part's
results are written as soon as they are there.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks import table
from benchmarks.cases import CASES, PLAIN, RELEASED, V21, Case, planning
from benchmarks.measure import Line, Plan, measure
from benchmarks.setups import Settings
from vjepa_ros.devices import find_device
from vjepa_ros.errors import VjepaError

PROGRAM = "python -m benchmarks.gpu"
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
ROOT = Path(__file__).parents[1]
ROUNDS, BUDGET_S = 30, 3.0  # per line

PLANNING = Case("planning", "planning: 10 iterations of 800 candidates, 1 step", {},
                partial(planning, candidates=800, iterations=10))  # fmt: skip

_BY_NAME = {case.name: case for case in CASES}
MODELS: dict[str, tuple[str, tuple[Case, ...]]] = {
    "vitl": ("vitl", (_BY_NAME["encoder"], _BY_NAME["frame"], _BY_NAME["predictor"], _BY_NAME["rollout-2x32"])),
    "vitg": ("vitg", (_BY_NAME["encoder"],)),
    "2.1": (V21, (_BY_NAME["encoder-2.1"], _BY_NAME["image-2.1"])),
    "released": (RELEASED, (_BY_NAME["frame"], _BY_NAME["predictor-released"], _BY_NAME["rollout-5x16"])),
    "planning": (RELEASED, (PLANNING,)),
}
"""By part: a preset, and what is measured with its sizes."""
PARTS = ("tests", *MODELS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=(__doc__ or "").split("\n\n")[1].replace("``", ""))
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "build" / "gpu", metavar="FOLDER",
                        help="for gpu.json and gpu.md (default: build/gpu of the checkout)")  # fmt: skip
    parser.add_argument("--device", default="cuda", help="as torch names it (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that it runs; times mean nothing")
    return parser


class Results:
    """What has been found so far, in two files that are written anew with each part.

    Args:
        folder: for them.
        settings: what is the same for all parts.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._json, self._markdown = folder / "gpu.json", folder / "gpu.md"
        self._settings = settings
        self._machine = table.machine(settings.device)
        self._known = {"machine": self._machine, "toy": settings.toy, "layers": settings.layers}
        self.parts: dict[str, dict[str, Any]] = {}
        self.lines: list[Line] = []

    def add(self, part: str, found: dict[str, Any], lines: Sequence[Line] = ()) -> None:
        """Keep what a part has found, and write down everything."""
        self.parts[part] = found | ({"lines": [asdict(line) for line in lines]} if lines else {})
        self.lines = [line for line in self.lines if line not in lines] + list(lines)
        left_out = self._settings.left_out or {}
        text = json.dumps({**self._known, "parts": self.parts, "left_out": left_out}, indent=1)
        self._json.write_text(text + "\n", encoding="utf-8")
        self._markdown.write_text(self.markdown() + "\n", encoding="utf-8")

    def markdown(self) -> str:
        """The figures as a table, and what was left out."""
        head = ("model", "work", "ours ms", *COLUMNS, "bound ms", "warm-up s", "MB, reference", "agrees")
        where = self._machine
        text = [f"Measured on {where['device']} in bfloat16, torch {where['torch']}.", ""]
        text += [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *map(_cells, self.lines))]
        text += [f"\n{part}: {found['failed']}" for part, found in self.parts.items() if found.get("failed")]
        text += [f"\nLeft out: {name} ({why})." for name, why in (self._settings.left_out or {}).items()]
        return "\n".join(text)


COLUMNS = ("public code", "public code, compiled", "transformers", PLAIN)


def _cells(line: Line) -> tuple[str, ...]:
    references = (line.references_ms.get(name) for name in COLUMNS)
    return (
        line.preset,
        line.what,
        f"{line.ours_ms:.2f}",
        *("" if ms is None else f"{ms:.2f} ({line.ours_ms / ms:.2f})" for ms in references),
        f"{line.bound_ms:.2f}",
        f"{line.warm_up_s:.1f}",
        f"{line.ours_peak_mb:.0f}, {line.reference_peak_mb:.0f}",
        "yes" if line.agreement.holds else f"NO: {line.agreement}",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    try:
        return _run(given)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (VjepaError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return FAILED


def _run(given: argparse.Namespace) -> int:
    device = find_device(given.device)
    layers = 1 if given.smoke else None
    settings = Settings("vitl", device, layers, toy=given.smoke, compiled=device.type == "cuda", left_out={})
    results = Results(given.out, settings)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 180)
    failed = False
    for part in given.parts or PARTS:
        began_s = time.monotonic()
        lines: list[Line] = []
        try:
            found = _tests() if part == "tests" else _measured(part, settings, lines, partial(results.add, part))
        except (VjepaError, RuntimeError, AssertionError) as error:  # torch's are RuntimeErrors; the next part may go
            found = {"failed": f"{type(error).__name__}: {str(error)[:1000]}"}
        found["took_s"] = round(time.monotonic() - began_s, 1)
        results.add(part, found, lines)
        failed |= "failed" in found or not all(line.agreement.holds for line in lines)
        console.print(f"{part}: {found.get('failed') or 'done'} ({found['took_s']} s)", markup=False)
    console.print(results.markdown(), markup=False)
    return FAILED if failed else OK


def gpu_tests() -> list[str]:
    """The files with tests that need a GPU, relative to the checkout."""
    marked = re.compile(r"^@pytest\.mark\.gpu$", re.MULTILINE)  # at the start of a line: not in a test about such tests
    files = sorted((ROOT / "test").rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if marked.search(file.read_text(encoding="utf-8"))]


def _tests() -> dict[str, Any]:
    """The tests that need a GPU, in a process of their own."""
    chosen = gpu_tests()
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-s", "-p", "no:cacheprovider", "--durations=5", *chosen],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(ran.stdout[-6000:], ran.stderr[-2000:])
    last = (ran.stdout.strip().splitlines() or [""])[-1]
    return {"files": chosen, "said": last} | ({} if ran.returncode == 0 else {"failed": f"tests: {last}"})


def _measured(
    part: str, settings: Settings, lines: list[Line], keep: Callable[[dict[str, Any], Sequence[Line]], None]
) -> dict[str, Any]:
    """A part's lines; each is kept as soon as it is there."""
    preset, cases = MODELS[part]
    for line in _lines(replace(settings, preset=preset), cases):
        lines.append(line)
        keep({}, lines)
        said = ", ".join(f"{name} {ms:.2f}" for name, ms in line.references_ms.items())
        print(f"{preset}, {line.what}: {line.ours_ms:.2f} ms (bound {line.bound_ms:.2f}, {said})", flush=True)
    return {}


def _lines(settings: Settings, cases: Sequence[Case]) -> Iterator[Line]:
    yield from measure(cases, settings, Plan(ROUNDS, BUDGET_S, ("bfloat16",)))
    if settings.device.type == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
