"""Measures cases: ours, the references and the bare workload in turns in one process, and whether the outputs agree.

It knows neither what the cases compute nor how the figures are shown.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from support.agreement import Agreement, agreement
from torch import Tensor

from benchmarks.bounds import Bound
from benchmarks.busy import busy_core
from benchmarks.cases import Case
from benchmarks.memory import peak_of
from benchmarks.setups import Settings, Setup
from benchmarks.shapes import Product, Shape
from benchmarks.timing import fastest, interleaved, medians, no_wait

OURS, BOUND, NOT_PACKED = "ours", "bound", "ours, not packed"


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    Attributes:
        rounds: how often each workload is run after its warm-up.
        budget_s: per line; no round begins later.
        dtypes: ``float32`` and ``bfloat16``, or one of them.
        loaded: measure ours and the references again, beside a process that keeps a core busy.
    """

    rounds: int
    budget_s: float
    dtypes: Sequence[str] = ("float32", "bfloat16")
    loaded: bool = False


@dataclass(frozen=True)
class Line:
    """One case in one dtype.

    Attributes:
        name, what: of the case.
        dtype: of ours; the reference computes in the same, by autocast where that is not float32.
        layers: how many were measured.
        preset: whose sizes.
        ours_ms, bound_ms, references_ms: medians; of ours, the bare workload and each reference.
        runtimes_ms: medians of other runtimes that compute the same model, where they are installed and can.
        loaded_ms: medians of ours and the references beside a busy process; empty where not asked for.
        reference: the fastest of the references, which the ratio is to.
        ratio, bound_ratio: of ours and of the bare workload to the reference.
        aim: the ratio that this project is after, on a CPU with two cores and for the default preset; None elsewhere.
        rounds: how often each was run.
        agreement: of the outputs.
        ours_peak_mb, reference_peak_mb: memory at the peak of one run, on top of weights and inputs.
        kernels: the fastest kernel of each shape of the bare workload.
        kernels_missing: those that torch does not have for this device and dtype.
        warm_up_s: how long the first window took; on a GPU that of compiling and recording.
    """

    name: str
    what: str
    dtype: str
    layers: int
    preset: str
    ours_ms: float
    bound_ms: float
    references_ms: Mapping[str, float]
    runtimes_ms: Mapping[str, float]
    loaded_ms: Mapping[str, float]
    reference: str
    ratio: float
    bound_ratio: float
    aim: float | None
    rounds: int
    agreement: Agreement
    ours_peak_mb: float
    reference_peak_mb: float
    kernels: Mapping[str, str]
    kernels_missing: Sequence[str]
    warm_up_s: float

    def slowed(self, name: str) -> float | None:
        """How many times as long ours or a reference takes beside a busy process; None where not measured."""
        alone_ms = self.ours_ms if name == OURS else self.references_ms[name]
        return self.loaded_ms[name] / alone_ms if name in self.loaded_ms else None


def measure(cases: Sequence[Case], settings: Settings, plan: Plan) -> Iterator[Line]:
    """The lines of these cases, one after another."""
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="bench_") as folder:
            setup = case.build(settings, Path(folder))
            yield from measure_case(case, setup, settings, plan)
            del setup
        gc.collect()  # the giant's weights are 4 GB


def measure_case(case: Case, setup: Setup, settings: Settings, plan: Plan) -> Iterator[Line]:
    """One case's lines: one for each dtype."""
    exact: Tensor | None = None
    wait = waiting(settings.device)
    for dtype in plan.dtypes:
        ours = setup.ours(dtype)
        warm_up_s, recorded_mb = setup.warm_up_s, setup.recorded_mb
        references = {name: _in_dtype(work, dtype, settings.device) for name, work in setup.references.items()}
        if not references:
            references = {NOT_PACKED: setup.ours(dtype, fast=False)}
        bound = Bound(setup.shapes, settings.device, getattr(torch, dtype), wait)
        # One run of each is its warm-up: what it gives is compared, and what memory it takes is measured.
        output, ours_peak_mb = peak_of(ours, settings.device)
        runs = {name: peak_of(work, settings.device) for name, work in references.items()}
        first = next(iter(runs))
        if exact is None:
            public = setup.references.get(first)
            exact = runs[first][0] if dtype == "float32" else (public or setup.ours("float32", fast=False))()
        agrees = agreement(output, exact, None if dtype == "float32" else runs[first][0], case.worst)
        peaks_mb = {name: peak_mb for name, (_, peak_mb) in runs.items()}
        del output, runs
        runtimes = setup.by_runtimes(dtype)
        for work in runtimes.values():
            work()
        works: dict[str, Callable[[], object]] = {OURS: ours, **references, **runtimes, BOUND: bound}
        timed = interleaved(works, plan.rounds, plan.budget_s, wait)
        by_name = medians(timed)
        loaded_ms: dict[str, float] = {}
        if plan.loaded:
            with busy_core():
                loaded_ms = medians(interleaved({OURS: ours, **references}, plan.rounds, plan.budget_s, wait))
        references_ms = {name: by_name[name] for name in references}
        reference = fastest(references_ms)
        of_interest = settings.device.type == "cpu" and not settings.toy and setup.config.preset in DEFAULT_PRESETS
        yield Line(
            name=case.name,
            what=case.what,
            dtype=dtype,
            layers=_layers(setup),
            preset=setup.config.preset,
            ours_ms=by_name[OURS],
            bound_ms=by_name[BOUND],
            references_ms=references_ms,
            runtimes_ms={name: by_name[name] for name in runtimes},
            loaded_ms=loaded_ms,
            reference=reference,
            ratio=by_name[OURS] / references_ms[reference],
            bound_ratio=by_name[BOUND] / references_ms[reference],
            aim=case.aims.get(dtype) if of_interest else None,
            rounds=len(timed[OURS]),
            agreement=agrees,
            ours_peak_mb=ours_peak_mb + recorded_mb,  # a replay takes no memory anew
            reference_peak_mb=peaks_mb[reference],
            kernels={_words(shape): kernel for shape, kernel in bound.kernels.items()},
            kernels_missing=sorted(bound.missing),
            warm_up_s=warm_up_s,
        )


DEFAULT_PRESETS = ("vitl", "vjepa2_ac_vitg", "vjepa2_1_vitb")
"""Those that the aims are about."""


def waiting(device: torch.device) -> Callable[[], None]:
    """What waits until everything asked of a device is done."""
    return partial(torch.cuda.synchronize, device) if device.type == "cuda" else no_wait


def _in_dtype(work: Callable[[], Tensor], dtype: str, device: torch.device) -> Callable[[], Tensor]:
    """The reference's work under autocast, which is how it is used in half precision."""

    def run() -> Tensor:
        with torch.autocast(device.type, getattr(torch, dtype)) if dtype != "float32" else nullcontext():
            return work()

    return run


def _layers(setup: Setup) -> int:
    """Those of the part that is measured; the other has one."""
    return max(setup.config.encoder_depth, setup.config.predictor_depth)


def _words(shape: Shape) -> str:
    if isinstance(shape, Product):
        return f"{shape.rows}x{shape.inner} by {shape.inner}x{shape.outer}"
    return f"attention {shape.sequences}x{shape.heads}x{shape.queries} to {shape.keys}, {shape.head_dim} channels"
