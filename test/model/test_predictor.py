"""The action-conditioned predictor against the public code; causality; refusals."""

from __future__ import annotations

import pytest
import torch
from support import plain_model
from support.forms import FORMS, in_form, weights_of
from support.reference import STACKS, predictor_pair, run, small_config, stack
from torch import Tensor

from vjepa_ros.config.presets import model_config
from vjepa_ros.errors import ShapeError
from vjepa_ros.model.predictor import Predictor

TOLERANCE = 1e-5


def inputs_of(predictor: Predictor, steps: int, batch: int = 2, extrinsics: bool = False) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    sizes = [(predictor.grid.with_steps(steps).tokens, 64), (steps, 7), (steps, 7)] + [(steps, 6)] * extrinsics
    return tuple(torch.randn(batch, *size, generator=generator) for size in sizes)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("extrinsics", [False, True])
@pytest.mark.parametrize("size", [(64, 64), (32, 80), (80, 32)])
@pytest.mark.parametrize("steps", [8, 3])
def test_equals_the_public_predictor(name, extrinsics, size, steps):
    ours, public = predictor_pair(small_config(image_size=size, **stack("predictor", name)), extrinsics)
    inputs = inputs_of(ours, steps, extrinsics=extrinsics)
    expected = run(public, *inputs)
    for form in FORMS:
        output = run(in_form(ours, form), *inputs)
        difference = (output - expected).abs()
        print(f"{form}: maximum {difference.max():.2e}, mean {difference.mean():.2e}")
        torch.testing.assert_close(output, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("extrinsics", [False, True])
def test_so_does_the_arbiter(extrinsics):
    ours, public = predictor_pair(small_config(image_size=(32, 80)), extrinsics)
    inputs = inputs_of(ours, 3, extrinsics=extrinsics)
    plain = plain_model.predict(ours.config, weights_of(ours), *inputs)
    torch.testing.assert_close(plain, run(public, *inputs), rtol=0, atol=TOLERANCE)


def test_the_arbiters_mask_is_full_inside_a_step_and_to_all_earlier_ones():
    assert plain_model.frame_causal_mask(3, 2).int().tolist() == [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1],
    ]


@pytest.mark.parametrize("which", [0, 1, 2], ids=["context", "actions", "states"])
@pytest.mark.parametrize("step", [1, 4, 7])
@pytest.mark.parametrize("form", FORMS)
def test_what_comes_later_never_changes_an_earlier_output(form, which, step):
    ours = in_form(predictor_pair(small_config())[0], form)
    inputs = list(inputs_of(ours, 8))
    before = ours.grid.unflatten(run(ours, *inputs))
    rows = step * (16 if which == 0 else 1)
    inputs[which] = inputs[which].clone()
    inputs[which][:, rows:] *= -3
    after = ours.grid.unflatten(run(ours, *inputs))
    assert torch.equal(before[:, :step], after[:, :step])
    assert ((before[:, step:] - after[:, step:]).abs().amax(dim=(2, 3, 4)) > 1e-3).all()  # and every later one it does


def test_fewer_steps_give_the_first_outputs():
    ours, _ = predictor_pair(small_config())
    context, actions, states = inputs_of(ours, 8)
    short = run(ours, context[:, : 3 * 16], actions[:, :3], states[:, :3])
    torch.testing.assert_close(short, run(ours, context, actions, states)[:, : 3 * 16], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "shapes, named",
    [
        ([(1, 8 * 9, 64), (1, 8, 7), (1, 8, 7)], ["(1, 72, 64)", "(8, 4, 4)"]),  # a 3x3 feature map
        ([(1, 9 * 16, 64), (1, 9, 7), (1, 9, 7)], ["(1, 144, 64)", "(8, 4, 4)"]),  # more steps than the grid
        ([(1, 8 * 16, 32), (1, 8, 7), (1, 8, 7)], ["(1, 128, 32)", "(1, 128, 64)"]),
        ([(1, 8 * 16, 64), (1, 7, 7), (1, 8, 7)], ["actions", "(1, 7, 7)", "(1, 8, 7)"]),
        ([(1, 8 * 16, 64), (1, 8, 7), (2, 8, 7)], ["states", "(2, 8, 7)", "(1, 8, 7)"]),
        ([(1, 8 * 16, 64), (1, 8, 7), (1, 8, 6)], ["states", "(1, 8, 6)", "(1, 8, 7)"]),
        ([(1, 8, 4, 4, 64), (1, 8, 7), (1, 8, 7)], ["(1, 8, 4, 4, 64)", "(8, 4, 4)"]),
    ],
)
def test_what_does_not_fit_is_refused_with_both_shapes(shapes, named):
    ours, _ = predictor_pair(small_config())
    with pytest.raises(ShapeError) as error:
        run(ours, *(torch.zeros(shape) for shape in shapes))
    assert all(text in str(error.value) for text in named), str(error.value)


@pytest.mark.parametrize("use_extrinsics", [False, True])
def test_extrinsics_only_where_they_are_used(use_extrinsics):
    ours, _ = predictor_pair(small_config(), use_extrinsics)
    with pytest.raises(ShapeError, match="extrinsics"):
        run(ours, *inputs_of(ours, 8, extrinsics=not use_extrinsics))


def test_the_tiny_predictor_has_less_than_a_million_parameters():
    with torch.device("meta"):
        predictor = Predictor(model_config("tiny_random"))
    assert 100_000 < sum(parameter.numel() for parameter in predictor.parameters()) < 1_000_000
