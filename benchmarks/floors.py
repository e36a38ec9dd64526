"""The floor of each line of ``make gpu``, on paper: the time that a device takes at least for its operations, or
for reading what has to be read, whichever is longer.

    tools/run.sh -m benchmarks.floors [--tflops 989.4 --gb-per-s 3350]

Operations are those of the bare matrix products and attentions (:mod:`benchmarks.shapes`). Read are all weights once a
step, what goes in and what comes out; all that is computed in between may stay on the chip.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.cases import Case
from benchmarks.gpu import MODELS
from benchmarks.shapes import Product, Shape, encoder_shapes, predict_shapes, rollout_shapes
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.presets import model_config
from vjepa_ros.model.grid import Grid

BYTES = 2  # of a number in bfloat16
H100_TFLOPS, H100_GB_PER_S = 989.4, 3350.0  # NVIDIA's data sheet: bfloat16 without sparsity, SXM5 with 80 GB


@dataclass(frozen=True)
class Work:
    """A line, on paper.

    Attributes:
        preset, what: as the tables have it.
        shapes: its products and attentions.
        outside: numbers that go in and come out.
    """

    preset: str
    what: str
    shapes: list[Shape]
    outside: int

    @property
    def flop(self) -> float:
        """Operations; a product of (n, m) with (m, k) has 2 n m k."""
        return float(sum(_flop(shape) for shape in self.shapes))

    @property
    def read_bytes(self) -> float:
        """What has to be read or written at least, in bytes."""
        return float(BYTES * (self.outside + sum(_read(shape) for shape in self.shapes)))

    def floor_ms(self, tflops: float, gb_per_s: float) -> float:
        """The longer of both, on a device with so many operations and bytes a second."""
        return max(self.flop / tflops / 1e9, self.read_bytes / gb_per_s / 1e6)


def _flop(shape: Shape) -> int:
    if isinstance(shape, Product):
        return 2 * shape.rows * shape.inner * shape.outer * shape.count
    return 4 * shape.sequences * shape.heads * shape.queries * shape.keys * shape.head_dim * shape.count


def _read(shape: Shape) -> int:
    """Numbers: a product's weights; what attends has been computed just before."""
    return shape.inner * shape.outer * shape.count if isinstance(shape, Product) else 0


def works() -> list[Work]:
    """The lines of ``make gpu``."""
    return [
        Work(preset, case.what, *_SHAPES[case.name](model_config(preset), **_sizes_of(case)))
        for preset, cases in MODELS.values()
        for case in cases
    ]


_Paper = tuple[list[Shape], int]  # shapes, and how many numbers go in and come out


def _sizes_of(case: Case) -> dict[str, Any]:
    """What a case is built with, besides a preset."""
    given = case.build.keywords if isinstance(case.build, partial) else {}
    return {name: value for name, value in given.items() if name != "preset"}


def _window(config: ModelConfig) -> _Paper:
    tokens, pixels = Grid.of(config).tokens, 3 * config.num_frames * math.prod(config.image_size)
    return encoder_shapes(config, 1, tokens), pixels + tokens * config.encoder_dim


def _frame(config: ModelConfig, encoding: str = "frame_repeat") -> _Paper:
    alone = model_config(config.preset, encoding=encoding)
    tokens, pixels = Grid.of(alone).tokens_per_step, 3 * math.prod(alone.image_size)
    return encoder_shapes(alone, 1, tokens), pixels + tokens * alone.encoder_dim


def _steps(config: ModelConfig) -> _Paper:
    return predict_shapes(config, 1), 2 * Grid.of(config).tokens * config.encoder_dim


def _ahead(config: ModelConfig, candidates: int, observed: int = 1, horizon: int = 1, iterations: int = 1) -> _Paper:
    size = Grid.of(config).tokens_per_step
    shapes = rollout_shapes(config, candidates, observed, horizon, iterations)
    return shapes, size * config.encoder_dim * (observed + candidates * horizon * iterations)


_SHAPES: dict[str, Callable[..., _Paper]] = {
    "encoder": _window,
    "encoder-2.1": _window,
    "frame": _frame,
    "image-2.1": _frame,
    "predictor": _steps,
    "predictor-released": _steps,
    "rollout-2x32": _ahead,
    "rollout-5x16": _ahead,
    "planning": _ahead,
}


def markdown(tflops: float, gb_per_s: float) -> str:
    """The table, for a device with so many operations and bytes a second."""
    head = ("model", "work", "TFLOP", "GB", "floor ms", "of")
    rows = [
        (work.preset, work.what, f"{work.flop / 1e12:.2f}", f"{work.read_bytes / 1e9:.2f}",
         f"{work.floor_ms(tflops, gb_per_s):.2f}",
         "operations" if work.flop / tflops / 1e3 > work.read_bytes / gb_per_s else "bytes")
        for work in works()
    ]  # fmt: skip
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floors", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tflops", type=float, default=H100_TFLOPS, help="bfloat16 (default: %(default)s)")
    parser.add_argument("--gb-per-s", type=float, default=H100_GB_PER_S, help="of its memory (default: %(default)s)")
    given = parser.parse_args(arguments)
    print(markdown(given.tflops, given.gb_per_s))


if __name__ == "__main__":
    main()
