"""How far this package's model is from the public ones: measured in rows, for the tests and for docs/parity.md.

    make parity               every preset at its full size and depth; writes docs/parity.md
    make parity ARGS=vitl     one preset, printed only

The tests take the same rows at less depth.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from support import plain_model
from support.agreement import FOLDED_TOLERANCE, HALF_MAXIMUM, HALF_MEAN, TOLERANCE
from support.reference import encoder_pair, predictor_pair, run, transformers_encoder
from support.small_v21 import v21_encoder
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.presets import model_config
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import EXTRINSICS_DIM, Predictor
from vjepa_ros.weights.values import norm_parameters

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"
TINY_CLIP = {"encoding": "clip", "context_steps": 0}  # the public code knows windows as a whole
V21_PRESETS = ("vjepa2_1_vitb", "vjepa2_1_vitl", "vjepa2_1_vitg", "vjepa2_1_vitG")
PRESETS = ("tiny", "tiny_random", "vitl", "vith", "vitg", "vjepa2_ac_vitg", *V21_PRESETS)
V21_CLIP = {"image_size": 256, "num_frames": 4}
"""What the predictors of V-JEPA 2.1's presets are compared on, at their full width and depth."""
V21_INPUTS: tuple[dict[str, Any], ...] = (
    {"image_size": 384, "num_frames": 2}, {"image_size": 384, "num_frames": 2, "encoding": "frame"},
)  # fmt: skip
"""And the encoders: at the size of their pictures, where positions are scaled, by both tokenizers."""


@dataclass(frozen=True)
class Row:
    """One comparison; every output has values of about one.

    Attributes:
        what: part, its size and its input.
        other: what it was compared with, in float32.
        maximum, mean: of the absolute differences.
        maximum_allowed, mean_allowed: what they may be.
    """

    what: str
    other: str
    maximum: float
    mean: float
    maximum_allowed: float = TOLERANCE
    mean_allowed: float = TOLERANCE

    @property
    def holds(self) -> bool:
        return self.maximum <= self.maximum_allowed and self.mean <= self.mean_allowed

    def __str__(self) -> str:
        figures = (self.maximum, self.maximum_allowed, self.mean, self.mean_allowed)
        cells = (self.what, self.other, *(f"{figure:.1e}" for figure in figures), "yes" if self.holds else "NO")
        return "| " + " | ".join(cells) + " |"


HEAD = """\
| what | compared with | max. difference | allowed | mean | allowed | holds |
|---|---|---|---|---|---|---|"""


def compared(what: str, other: str, ours: Tensor, theirs: Tensor, tolerance: float = TOLERANCE) -> Row:
    difference = (ours - theirs).abs()
    return Row(what, other, difference.max().item(), difference.mean().item(), tolerance)


def plain_rows(config: ModelConfig, half: bool = True, seed: int = 0) -> Iterator[Row]:
    """A V-JEPA 2.1 encoder against the plain model, which gives what the public code has stored, as above."""
    ours = v21_encoder(config, seed)
    clip = torch.randn(1, 3, config.num_frames, *config.image_size, generator=torch.Generator().manual_seed(seed + 1))
    what = f"encoder {config.encoder_dim} x {config.encoder_depth}, {config.encoding} {tuple(clip.shape[2:])}"
    weights = {name: parameter.detach() for name, parameter in ours.named_parameters()}
    with torch.no_grad():
        exact, mine = plain_model.encode(config, weights, clip), run(ours, clip)
        yield compared(f"{what}, float32", "plain model", mine, exact)
        if half:
            with torch.autocast("cpu", torch.bfloat16):
                own = plain_model.encode(config, weights, clip).float()
            del weights
            to_bfloat16(ours)
            yield half_row(what, run(ours, clip.bfloat16()), own, exact, "plain model")


def encoder_rows(config: ModelConfig, half: bool = True, seed: int = 0) -> Iterator[Row]:
    """The encoder against both public ones, in float32 and, if asked for, bfloat16."""
    if config.encoder_family == "vjepa2_1":
        yield from plain_rows(config, half, seed)
        return
    ours, public = encoder_pair(config, seed)
    clip = torch.randn(1, 3, config.num_frames, *config.image_size, generator=torch.Generator().manual_seed(seed + 1))
    what = f"encoder {config.encoder_dim} x {config.encoder_depth}, {config.encoding} {tuple(clip.shape[2:])}"
    exact, mine = reference_latents(public, config, clip), run(ours, clip)
    tolerance = FOLDED_TOLERANCE if config.encoding == "frame_repeat" else TOLERANCE
    yield compared(f"{what}, float32", "public code", mine, exact, tolerance)
    if config.image_size[0] == config.image_size[1]:
        other = transformers_encoder(config, dict(ours.named_parameters()))
        yield compared(f"{what}, float32", "transformers", mine, reference_latents(other, config, clip), tolerance)
    if half:
        with torch.autocast("cpu", torch.bfloat16):
            own = reference_latents(public, config, clip)
        to_bfloat16(ours)
        yield half_row(what, run(ours, clip.bfloat16()), own, exact)


def reference_latents(public: nn.Module, config: ModelConfig, clip: Tensor) -> Tensor:
    """What a public encoder makes of a clip in the encoding of the configuration, which it knows nothing of."""
    if config.encoding == "clip":
        return run(public, clip).float()
    frames = clip.transpose(1, 2).flatten(0, 1)  # (N, 3, H, W)
    repeated = frames.unsqueeze(2).repeat(1, 1, config.tubelet_size, 1, 1)
    return run(public, repeated).float().reshape(len(clip), -1, config.encoder_dim)


def predictor_rows(config: ModelConfig, half: bool = True, seed: int = 0) -> Iterator[Row]:
    """The predictor against the public one: without and with extrinsics, and, if asked for, in bfloat16."""
    for use_extrinsics in (False, True):
        ours, public = predictor_pair(config, use_extrinsics, seed)
        inputs = predictor_inputs(ours, seed + 1)
        what = (
            f"AC predictor {config.predictor_dim} x {config.predictor_depth}"
            f"{', extrinsics' if use_extrinsics else ''}, {ours.grid.shape}"
        )
        exact = run(public, *inputs)
        yield compared(f"{what}, float32", "public code", run(ours, *inputs), exact)
        if half and not use_extrinsics:
            with torch.autocast("cpu", torch.bfloat16):
                own = run(public, *inputs).float()
            to_bfloat16(ours)
            yield half_row(what, run(ours, *(value.bfloat16() for value in inputs)), own, exact)


def predictor_inputs(predictor: Predictor, seed: int) -> list[Tensor]:
    """Random context, actions, states and, where they are used, extrinsics."""
    config, steps = predictor.config, predictor.grid.steps
    sizes = [(predictor.grid.tokens, config.encoder_dim), (steps, config.action_dim), (steps, config.state_dim)]
    sizes += [(steps, EXTRINSICS_DIM)] * predictor.use_extrinsics
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(1, *size, generator=generator) for size in sizes]


def half_row(what: str, mine: Tensor, own: Tensor, exact: Tensor, other: str = "public code") -> Row:
    """Our bfloat16 against the public code's float32; what bfloat16 (autocast) costs the public code sets the limit."""
    row = compared(f"{what}, bfloat16", other, mine.float(), exact)
    public = compared("", "", own, exact)
    return replace(row, maximum_allowed=HALF_MAXIMUM * public.maximum, mean_allowed=HALF_MEAN * public.mean)


def to_bfloat16(module: Encoder | Predictor) -> None:
    """As the engine does it unless it is told not to be fast: the weights, but not those of norms, and not the tables.

    One by one: the giant's are 7 GB.
    """
    for name in set(module.state_dict()) - norm_parameters(module):
        module.load_state_dict({name: module.get_parameter(name).detach().bfloat16()}, strict=False, assign=True)


def rows_of(name: str) -> Iterator[Row]:
    """The rows of a preset at its full size and depth."""
    is_v21 = name in V21_PRESETS
    config = model_config(name, **(V21_CLIP if is_v21 else TINY_CLIP if name == "tiny" else {}))
    for encoded in [model_config(name, **given) for given in V21_INPUTS] if is_v21 else [config]:
        yield from encoder_rows(encoded)
        gc.collect()  # the giant's weights are 4 GB, or 7
    yield from predictor_rows(config)
    gc.collect()


def page(rows: list[Row], seconds: float) -> str:
    """docs/parity.md."""
    return f"""\
# Parity with the public V-JEPA 2 code

Written by `make parity`, which compares every preset at its full size and depth with the public implementations: the
same random weights, the same input, outputs with values of about one; 0.0e+00 is bit for bit. `make test` holds the
same rows at less depth, several head sizes (32, 64, 80) and grids that are not square, and the stored results of the
public code from checkpoint to rollout.

* *public code*: cc-vjepa2 {version("cc-vjepa2")}, a fork of the public V-JEPA 2 code whose encoder is the original's.
* *transformers*: VJEPA2Model of transformers {version("transformers")}: the encoder, for square images.
* *plain model*: of the tests, for V-JEPA 2.1, which neither of the two has: the model once more in simple words. It
  gives what the public V-JEPA 2.1 code gave for a small model, as stored in `test/data/reference`. At full width and
  depth and at 384 px, where positions are scaled, of 2 frames as a clip, and each as an image (`frame`).
* float32: no value may differ by more than {TOLERANCE:.0e}; by {FOLDED_TOLERANCE:.0e} in `frame_repeat`, where this
  package sums the kernel over time before it is used: another order of addition, on average nearer to float64 than the
  public code's.
* bfloat16 is compared with the public code's float32, from which the public code's own bfloat16 (autocast) differs as
  well: ours may differ by {HALF_MEAN:g} times as much on average, and by {HALF_MAXIMUM:g} times as much in the worst
  value. The weights of norms stay float32, as the engine has them unless `engine.fast` is false.

This run: torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {seconds / 60:.0f} minutes.

{HEAD}
{chr(10).join(map(str, rows))}
"""


def main(names: list[str]) -> int:
    """Measure, print and, where all presets were measured, write the page; 1 where a row does not hold."""
    start, rows = time.monotonic(), []
    print(HEAD)
    for name in names or PRESETS:
        for row in rows_of(name):
            row = replace(row, what=f"`{name}` {row.what}")
            print(row, flush=True)
            rows.append(row)
    if not names:
        PAGE.write_text(page(rows, time.monotonic() - start), encoding="utf-8")
        print(f"written to {PAGE.relative_to(Path.cwd())}")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
