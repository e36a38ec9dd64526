"""The bare workload is that of the model: counted against torch's own count of what the real modules compute."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import bounds
from benchmarks.bounds import Bound
from benchmarks.shapes import Attention, Product, Shape, encoder_shapes, predict_shapes, rollout_shapes
from benchmarks.timing import no_wait
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.presets import model_config
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.predictor import Predictor

CPU = torch.device("cpu")


def product_flops(shapes: Sequence[Shape]) -> int:
    return sum(2 * s.rows * s.inner * s.outer * s.count for s in shapes if isinstance(s, Product))


def attention_flops(shapes: Sequence[Shape]) -> int:
    return sum(
        4 * s.sequences * s.heads * s.queries * s.keys * s.head_dim * s.count
        for s in shapes
        if isinstance(s, Attention)
    )


def counted(module: torch.nn.Module, *inputs: torch.Tensor) -> tuple[int, int]:
    """(of products, of attention) that torch counts."""
    # Its fused attention on a CPU is not counted; without it, only attention takes batched products.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    by_name = {str(name): count for name, count in counter.get_flop_counts()["Global"].items()}
    attention = sum(count for name, count in by_name.items() if "bmm" in name)
    return sum(by_name.values()) - attention, attention


@pytest.mark.parametrize("encoding", ["clip", "frame_repeat", "frame"])
def test_the_encoders_work_is_counted(encoding: str) -> None:
    family = "vjepa2_1" if encoding == "frame" else "vjepa2"
    config = model_config("tiny_random", encoding=encoding, encoder_family=family)
    encoder = Encoder(config)
    frames = config.num_frames if encoding == "clip" else 1
    tokens = Grid.of(config).tokens if encoding == "clip" else Grid.of(config).tokens_per_step
    shapes = encoder_shapes(config, 1, tokens)
    assert (product_flops(shapes), attention_flops(shapes)) == counted(encoder, torch.zeros(1, 3, frames, 64, 64))


def conditions(config: ModelConfig, batch: int, steps: int) -> int:
    """What the projections of actions and states take, which a bound leaves out."""
    return 2 * batch * steps * (config.action_dim + config.state_dim) * config.predictor_dim


def test_the_predictors_work_is_counted() -> None:
    config = model_config("tiny_random")
    grid = Grid.of(config)
    context, joints = torch.zeros(1, grid.tokens, config.encoder_dim), torch.zeros(1, grid.steps, 7)
    products, attention = counted(Predictor(config), context, joints, joints)
    shapes = predict_shapes(config, 1)
    assert product_flops(shapes) == products - conditions(config, 1, grid.steps)
    tokens = grid.steps * (2 + grid.tokens_per_step)  # of which each may look at half, less what is in its own step
    dense = 4 * tokens**2 * config.predictor_dim * config.predictor_depth
    assert attention_flops(shapes) == attention == dense * (grid.steps + 1) // (2 * grid.steps)


def test_a_rollouts_work_is_that_of_its_steps_once() -> None:
    """Three observed steps for one candidate, each computed once, are what one prediction of as many steps takes."""
    config = model_config("tiny_random", num_frames=8)
    whole, stepwise = predict_shapes(config, 1), rollout_shapes(config, 1, 3, 2)
    assert attention_flops(stepwise) == attention_flops(whole)  # four steps attend, in both
    size, dim, wide = Grid.of(config).tokens_per_step, config.predictor_dim, config.encoder_dim
    assert product_flops(whole) - product_flops(stepwise) == 2 * 2 * size * dim * wide  # two steps are not projected
    more = rollout_shapes(config, 10, 3, 2)
    history = rollout_shapes(config, 1, 3, 2)[1:7]
    assert [s for s in more if isinstance(s, Attention)][:2] == [s for s in history if isinstance(s, Attention)]
    assert {s.sequences for s in more if isinstance(s, Attention)} == {1, 10}


def test_every_kernel_is_there_and_each_shape_gets_one() -> None:
    """Private names of torch are among them: this is where their going would show."""
    shapes: list[Shape] = [Product(8, 16, 32, 3), Attention(1, 2, 4, 8, 16, 2)]
    bound = Bound(shapes, CPU, torch.float32, no_wait)
    assert bound.missing == set()
    assert bound.kernels[shapes[0]] in bounds.PRODUCTS and bound.kernels[shapes[1]] in bounds.ATTENTIONS
    bound()


def test_all_kernels_compute_the_same() -> None:
    x, weight = torch.randn(8, 16), torch.randn(32, 16)
    for make in bounds.PRODUCTS.values():
        torch.testing.assert_close(make(x, weight)(), x @ weight.T)
    q, k, v = torch.randn(1, 2, 4, 16), torch.randn(1, 2, 8, 16), torch.randn(1, 2, 8, 16)
    mixed = torch.softmax(q @ k.transpose(2, 3) / 4, dim=-1) @ v
    for attend in bounds.ATTENTIONS.values():
        torch.testing.assert_close(attend(q, k, v)().reshape(mixed.shape), mixed)


def test_a_kernel_that_torch_does_not_have_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(x: torch.Tensor, weight: torch.Tensor) -> bounds.Kernel:
        raise AttributeError("no such operator")

    monkeypatch.setitem(bounds.PRODUCTS, "packed", absent)
    bound = Bound([Product(8, 16, 32)], CPU, torch.float32, no_wait)
    assert bound.missing == {"packed"}
    assert set(bound.kernels.values()) <= {"linear", "mm"}
