"""Modules that are not packed are trained: their gradients against the arbiter's, through rollouts too."""

from __future__ import annotations

import pytest
import torch
from support import plain_model
from support.forms import drawn, predictor_inputs, weights_of, wide_config
from support.reference import encoder_pair, predictor_pair
from support.small_v21 import v21_config, v21_encoder
from torch import Tensor, nn

from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.graphs import Graphs
from vjepa_ros.model.rollout import Observed, roll_out

TOLERANCE = 1e-4  # of a gradient's largest value


def compared(name: str, ours: Tensor | None, plain: Tensor | None) -> None:
    assert ours is not None and plain is not None, f"{name} has no gradient"
    difference, largest = (ours - plain).abs(), plain.abs().max()
    print(f"{name}: maximum {difference.max() / largest:.2e}, mean {difference.mean() / largest:.2e} of the largest")
    assert largest > 0 and difference.max() <= TOLERANCE * largest, name


def compare_gradients(module: nn.Module, loss: Tensor, weights: dict[str, Tensor], plain_loss: Tensor) -> None:
    """The gradient of every parameter is compared, by its name."""
    module.zero_grad()
    loss.backward()
    plain_loss.backward()
    for name, parameter in module.named_parameters():
        compared(name, parameter.grad, weights[name].grad)


def leaves(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone().requires_grad_() for name, tensor in weights_of(module).items()}


def distance(latents: Tensor) -> Tensor:
    """A loss as in training: to something else, by the mean absolute difference."""
    return (latents - drawn(*latents.shape, seed=99)).abs().mean()


@pytest.mark.parametrize("encoding", ["clip", "tubelet", "frame_repeat"])
def test_encoder(encoding: str) -> None:
    config = wide_config(encoding=encoding)
    ours, _ = encoder_pair(config)
    weights, clip = leaves(ours), drawn(2, 3, 4, 64, 96)
    compare_gradients(ours, distance(ours(clip)), weights, distance(plain_model.encode(config, weights, clip)))


@pytest.mark.parametrize("encoding", ["clip", "frame"])
def test_encoder_of_v_jepa_2_1(encoding: str) -> None:
    """All its levels: each norm and each block has a gradient; of the tokenizers, the one that is used."""
    config = v21_config(encoding=encoding, latent_levels="all")
    ours = v21_encoder(config)
    weights, clip = leaves(ours), drawn(2, 3, 4, 64, 96)
    idle = ("patch_embed.", "video_mod_embed") if encoding == "frame" else ("patch_embed_img.", "img_mod_embed")
    distance(ours(clip)).backward()
    distance(plain_model.encode(config, weights, clip)).backward()
    for name, parameter in ours.named_parameters():
        if name.startswith(idle):
            assert parameter.grad is None and weights[name].grad is None
        else:
            compared(name, parameter.grad, weights[name].grad)


@pytest.mark.parametrize("extrinsics", [False, True])
def test_predictor(extrinsics: bool) -> None:
    ours, _ = predictor_pair(wide_config(), extrinsics)
    weights, (context, *given) = leaves(ours), predictor_inputs(ours, 8, 2)
    mine, theirs = context.clone().requires_grad_(), context.clone().requires_grad_()
    plain = plain_model.predict(ours.config, weights, theirs, *given)
    compare_gradients(ours, distance(ours(mine, *given)), weights, distance(plain))
    compared("context", mine.grad, theirs.grad)


@pytest.mark.parametrize("extrinsics", [False, True])
@pytest.mark.parametrize("observed, horizon", [(1, 3), (4, 2)])
def test_rollouts(observed: int, horizon: int, extrinsics: bool) -> None:
    """Two windows with a candidate each: through what is kept, as through computing all of it anew."""
    ours, _ = predictor_pair(wide_config(), extrinsics)
    weights, (context, *given) = leaves(ours), predictor_inputs(ours, observed + horizon - 1, 2)
    context = context[:, : observed * ours.grid.tokens_per_step]
    mine, theirs = context.clone().requires_grad_(), context.clone().requires_grad_()
    history = ours.observe(mine, *(value[:, : observed - 1] for value in given))
    rolled = ours.roll_out(history, *(value[:, None, observed - 1 :] for value in given))[:, 0]
    plain = plain_model.roll_out(ours.config, weights, theirs, *given)
    assert rolled.shape == plain.shape and (rolled - plain).abs().max() <= 1e-5
    compare_gradients(ours, distance(rolled), weights, distance(plain))
    compared("context", mine.grad, theirs.grad)


def test_rollouts_of_several_candidates_that_leave_the_window() -> None:
    """A rollout over three steps at most computes its last forecasts anew; each window has two candidates."""
    ours, _ = predictor_pair(wide_config(context_steps=3))
    weights, (context, *given) = leaves(ours), predictor_inputs(ours, 2, 2)
    future = [drawn(2, 2, 4, 7, seed=seed) for seed in (5, 6)]
    past, seen = given[0][:, :1], torch.cat([given[1][:, :1], future[1][:, 0, :1]], dim=1)
    future[1][:, :, 0] = seen[:, None, -1]
    history = ours.observe(context, past, seen[:, :-1])

    observed, graphs = Observed(context, past, seen, seen[:, -1], history), Graphs(torch.device("cpu"), False)
    rolled = roll_out(graphs, ours, ours.grid.with_steps(3), observed, *future)
    assert rolled.shape == (2, 2, 4, 24, 128)
    plain = []
    for window in range(2):
        for candidate in range(2):
            actions = torch.cat([past[window], future[0][window, candidate]])[None]
            states = torch.cat([seen[window, :-1], future[1][window, candidate]])[None]
            plain.append(plain_model.roll_out(ours.config, weights, context[window, None], actions, states))
    theirs = torch.cat(plain).unflatten(0, (2, 2))
    assert (rolled - theirs).abs().max() <= 1e-5
    compare_gradients(ours, distance(rolled), weights, distance(theirs))


def test_training_goes_on_after_inference() -> None:
    """Inference in between leaves nothing behind that a gradient meets, nor anything that new weights make stale."""
    encoder, _ = encoder_pair(wide_config(encoding="frame_repeat"))
    predictor, _ = predictor_pair(wide_config(encoding="frame_repeat", num_frames=8))
    optimizer = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.1)
    clip, actions, states = drawn(1, 3, 2, 64, 96), drawn(1, 1, 3, 7, seed=1), drawn(1, 1, 3, 7, seed=2)

    def forecasts() -> Tensor:
        context = layer_normalize(encoder(clip))
        return predictor.roll_out(predictor.observe(context, actions[:, 0, :1], states[:, 0, :1]), actions, states)

    losses = []
    for _ in range(3):
        with torch.inference_mode():
            before = forecasts()
        loss = distance(forecasts())
        assert (forecasts() - before).abs().max() <= 1e-5
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[2] < losses[1] < losses[0]


def test_autocast_computes_products_in_bfloat16_and_sums_in_float32() -> None:
    ours, _ = predictor_pair(wide_config())
    inputs = predictor_inputs(ours, 8, 1)
    exact, seen = ours(*inputs), []
    ours.predictor_blocks[0].register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        half = ours(*inputs)
    half.float().sum().backward()
    assert seen == [torch.float32] and half.dtype == torch.bfloat16
    assert 0 < (half.float() - exact).abs().mean() < 0.05
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in ours.parameters())


def test_names_are_those_of_a_checkpoint() -> None:
    """What is trained can be loaded strictly by whoever has the public code's names."""
    for ours, public in (encoder_pair(wide_config()), predictor_pair(wide_config(), True)):
        public.load_state_dict(ours.state_dict(), strict=True)
        ours.load_state_dict(public.state_dict(), strict=True)
