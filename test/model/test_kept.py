"""Rollouts that go on from kept keys and values, packed and not, against the arbiter, which computes all of it anew."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from support import plain_model
from support.forms import FORMS, TOLERANCE, compared, drawn, in_form, predictor_inputs, weights_of, wide_config
from support.reference import predictor_pair, run
from torch import Tensor

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ShapeError
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.kernels import choose_kernels, joined_attention

FAST = [False, True]


@cache
def world_model(fast: bool, dtype: str = "float32", context_steps: int = 0) -> WorldModel:
    """8 steps of 16 tokens."""
    return vjepa_ros.load("tiny_random", fast=fast, dtype=dtype, context_steps=context_steps)


def asked(steps: int, candidates: int, horizon: int, seed: int = 0) -> tuple[Tensor, ...]:
    context = layer_normalize(drawn(1, steps * 16, 128, seed=seed))
    seeds = range(seed + 1, seed + 4)
    shapes = (1, steps - 1, 7), (1, steps, 7), (candidates, horizon, 7)
    return context, *(drawn(*shape, seed=seed) for shape, seed in zip(shapes, seeds, strict=True))


def arbiter(inputs: tuple[Tensor, ...], dtype: torch.dtype = torch.float32, context_steps: int = 0) -> Tensor:
    wm = world_model(False, context_steps=context_steps)
    with torch.inference_mode():
        return plain_model.rollout(wm.config, weights_of(wm.predictor, dtype), wm.state_model, *inputs)


@pytest.mark.parametrize("fast", FAST)
@pytest.mark.parametrize(
    "steps, candidates, horizon",
    [(1, 1, 1), (1, 3, 8), (3, 5, 4), (7, 2, 2), (8, 2, 1)]  # all of it is kept
    + [(1, 2, 9), (7, 2, 4), (8, 3, 3)],  # the oldest steps are pushed out on the way
)
def test_rollouts_go_on_from_what_is_kept(fast: bool, steps: int, candidates: int, horizon: int) -> None:
    inputs = asked(steps, candidates, horizon)
    ours = world_model(fast).rollout(*inputs)
    assert ours.shape == (candidates, horizon, 16, 128)
    compared(f"{steps} steps, {candidates} candidates, {horizon} ahead", ours, arbiter(inputs))


@pytest.mark.parametrize("fast", FAST)
@pytest.mark.parametrize("steps, candidates, horizon", [(3, 5, 4), (8, 2, 1)])
def test_candidates_that_attend_to_copies_as_on_a_gpu(
    fast: bool, steps: int, candidates: int, horizon: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wm, inputs = world_model(fast), asked(steps, candidates, horizon)
    monkeypatch.setattr(wm.predictor, "_joined", None)
    compared("together", wm.rollout(*inputs), arbiter(inputs))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch, rows, own, shared", [(1, 18, 18, 18), (5, 18, 54, 36), (3, 200, 200, 700)])
def test_joined_attention(dtype: torch.dtype, batch: int, rows: int, own: int, shared: int) -> None:
    shapes = (batch, 2, rows, 32), *[(batch, 2, own, 32)] * 2, *[(1, 2, shared, 32)] * 2
    q, k, v, *of_all = (drawn(*shape, seed=seed).to(dtype) for seed, shape in enumerate(shapes))
    q = q / 32**0.5
    of_all[0] *= 3  # so that now one part, now the other weighs more
    seen = zip(of_all, (k, v), strict=True)
    keys, values = (torch.cat([shared.expand(batch, -1, -1, -1), own], 2).double() for shared, own in seen)
    plain = (torch.softmax(q.double() @ keys.transpose(2, 3), dim=-1) @ values).transpose(1, 2)
    joined = joined_attention(q, k, v, *of_all)
    assert joined.dtype == dtype and joined.shape == (batch, rows, 2, 32)
    assert (joined - plain).abs().max() <= (1e-5 if dtype == torch.float32 else 0.05)


def test_this_machine_joins() -> None:
    """The fused operator whose sums are joined is private to torch: another version may have lost it."""
    assert choose_kernels(torch.device("cpu"), torch.float32).attend_shared is joined_attention


def test_more_candidates_than_go_through_a_layer_together() -> None:
    inputs = asked(3, 400, 2)
    wm = world_model(True)
    observed = wm.observe(*inputs[:3])
    some = [0, 1, 176, 177, 178, 398, 399]  # 18 tokens a step, 3200 at once: 177 candidates, then the next
    rolled = wm.rollout_from(observed, inputs[3])
    compared("400 candidates", rolled[some], arbiter((*inputs[:3], inputs[3][some])))
    parts = [wm.rollout_from(observed, inputs[3][start : start + 100]) for start in range(0, 400, 100)]
    compared("400 candidates, all of them", rolled, torch.cat(parts))


@pytest.mark.parametrize("fast", FAST)
def test_one_history_serves_many_rollouts_and_is_not_changed_by_them(fast: bool) -> None:
    wm = world_model(fast)
    context, actions, states, future = asked(4, 5, 3)
    history = wm.observe(context, actions, states)
    first = wm.rollout_from(history, future)
    wm.rollout_from(history, -future[:2, :2])
    wm.rollout_from(history, torch.cat([future, -future]))
    assert torch.equal(wm.rollout_from(history, future), first)
    assert torch.equal(wm.rollout(context, actions, states, future), first)


@pytest.mark.parametrize("fast", FAST)
def test_context_steps_limit_rollouts_alike(fast: bool) -> None:
    for steps in (1, 3, 8):
        inputs = asked(steps, 2, 4)
        rolled = world_model(fast, context_steps=3).rollout(*inputs)
        compared(f"{steps} steps", rolled, arbiter(inputs, context_steps=3))


@pytest.mark.parametrize("fast", FAST)
def test_rollout_in_bfloat16(fast: bool) -> None:
    inputs = asked(3, 4, 3)
    ours = world_model(fast, dtype="bfloat16").rollout(*inputs)
    compared("rollout", ours, arbiter(inputs, torch.bfloat16), arbiter(inputs))


# -- several windows


@pytest.mark.parametrize("fast", FAST)
@pytest.mark.parametrize(
    "steps, candidates, horizon", [(1, 3, 2), (3, 1, 4), (3, 5, 4), (8, 3, 1), (7, 2, 4), (2, 60, 2)]
)
def test_several_windows_equal_one_by_one(fast: bool, steps: int, candidates: int, horizon: int) -> None:
    """Also where steps are pushed out, and where 180 candidates go through the layers in chunks of 177."""
    wm = world_model(fast)
    windows = [asked(steps, candidates, horizon, seed) for seed in (0, 10, 20)]
    alone = torch.stack([wm.rollout(*window) for window in windows])
    *seen, future = (torch.stack(values) for values in zip(*windows, strict=True))
    together = wm.rollout(*(value[:, 0] for value in seen), future)
    assert together.shape == (3, candidates, horizon, 16, 128)
    difference = (together - alone).abs()
    print(f"maximum {difference.max():.2e}, mean {difference.mean():.2e}")
    assert difference.max() <= TOLERANCE and difference.mean() <= 1e-6
    assert (alone[0] - alone[1]).abs().max() > 0.1
    observed = wm.observe(*(value[:, 0] for value in seen))
    assert torch.equal(wm.rollout_from(observed, future), together)


def test_one_window_may_say_so() -> None:
    wm = world_model(True)
    *seen, future = asked(3, 2, 2)
    assert torch.equal(wm.rollout(*seen, future[None]), wm.rollout(*seen, future)[None])


@pytest.mark.parametrize("shape", [(2, 3, 7), (3, 2, 3, 7), (1, 2, 3, 7), (2, 2, 3, 6), (2, 0, 3, 7), (2, 2, 0, 7)])
def test_futures_of_other_windows_are_refused(shape: tuple[int, ...]) -> None:
    wm = world_model(True)
    seen = [value.expand(2, -1, -1) for value in asked(2, 1, 1)[:3]]
    with pytest.raises(ShapeError, match=r"future_actions of shape .* where \(2, K, H, 7\) is needed"):
        wm.rollout(*seen, torch.zeros(shape))


# -- extrinsics


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("observed, horizon", [(1, 3), (4, 2)])
def test_extrinsics_in_rollouts_equal_the_public_codes(form: str, observed: int, horizon: int) -> None:
    """The public predictor computes each step anew from all before it."""
    exact, public = predictor_pair(wide_config(), use_extrinsics=True)
    ours, size, last = in_form(exact, form), exact.grid.tokens_per_step, observed + horizon - 1
    context, *given = predictor_inputs(exact, last, 2)  # two windows, one candidate each
    context = context[:, : observed * size]
    with torch.inference_mode():
        history = ours.observe(context, *(value[:, : observed - 1] for value in given))
        rolled = ours.roll_out(history, *(value[:, None, observed - 1 :] for value in given))
    latents = context
    for stop in range(observed, last + 1):
        predicted = run(public, latents, *(value[:, :stop] for value in given))[:, -size:]
        latents = torch.cat([latents, layer_normalize(predicted)], dim=1)
    compared(form, rolled[:, 0].flatten(1, 2), latents[:, observed * size :])
    with torch.inference_mode():
        given[2] = -given[2]
        other = ours.roll_out(history, *(value[:, None, observed - 1 :] for value in given))
    assert (other - rolled).abs().max() > 0.01


@pytest.mark.parametrize("use_extrinsics", [False, True])
def test_extrinsics_only_where_they_are_used(use_extrinsics: bool) -> None:
    ours, _ = predictor_pair(wide_config(), use_extrinsics)
    context, *given = predictor_inputs(ours, 2, 1)
    wrong = given[:2] if use_extrinsics else [*given, torch.zeros(1, 2, 6)]
    with pytest.raises(ShapeError, match="extrinsics"):
        ours.observe(context, *(value[:, :1] for value in wrong))
    with torch.inference_mode():
        history = ours.observe(context, *(value[:, :1] for value in given))
        with pytest.raises(ShapeError, match="extrinsics"):
            ours.roll_out(history, *(value[:, None, 1:] for value in wrong))


# -- inference mode, no gradients, gradients


def test_what_is_kept_under_inference_mode_serves_without_it_and_the_other_way_round() -> None:
    ours, _ = predictor_pair(wide_config())
    context, *given = predictor_inputs(ours, 5, 2)
    seen, ahead = [value[:, :2] for value in given], [value[:, None, 2:] for value in given]
    context = context[:, : 3 * 24]

    def mode(inference: bool) -> torch.autograd.grad_mode.inference_mode | torch.no_grad:
        return torch.inference_mode() if inference else torch.no_grad()

    rolled = {}
    for first in (True, False):
        for then in (True, False):
            with mode(first):
                history = ours.observe(context, *seen)
            for attempt in range(2):
                with mode(then):
                    rolled[first, then, attempt] = ours.roll_out(history, *ahead)
    for result in rolled.values():
        compared("modes", result, rolled[True, True, 0])
