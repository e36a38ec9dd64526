"""RoPE's tables against the formula, written out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from vjepa_ros.model.grid import Grid
from vjepa_ros.model.rope import Rope, axis_channels, in_halves, token_positions


def angle(position: tuple[float, float, float], channel: int, head_dim: int) -> float:
    """The angle of one channel in radians: three axes of d channels, frequencies tiled over each, the rest zero."""
    d = 2 * ((head_dim // 3) // 2)
    axis, index = divmod(channel, d)
    if axis > 2:
        return 0.0
    return position[axis] * 10000 ** (-(index % (d // 2)) / (d / 2))


@pytest.mark.parametrize("head_dim, channels", [(64, 20), (32, 10), (80, 26), (6, 2), (48, 16)])
def test_channels_of_an_axis(head_dim, channels):
    assert axis_channels(head_dim) == channels


@pytest.mark.parametrize("head_dim", [6, 32, 48, 64, 80])
@pytest.mark.parametrize("condition_tokens, col_scale", [(0, 1.0), (2, 2 / 3)])
def test_rotation_equals_the_formula(head_dim, condition_tokens, col_scale):
    grid = Grid(3, 2, 3)
    positions = [
        place
        for step in range(grid.steps)
        for place in [(step, 0, 0)] * condition_tokens
        + [(step, row, col * col_scale) for row in range(grid.rows) for col in range(grid.cols)]
    ]
    qk = torch.randn(2, 1, 1, len(positions), head_dim, generator=torch.Generator().manual_seed(0))
    x, rope = qk[0], Rope(token_positions(grid, condition_tokens, col_scale), head_dim)
    rotated = rope(qk)[0]
    for token, position in enumerate(positions):
        for even in range(0, head_dim, 2):
            a, b = x[0, 0, token, even].item(), x[0, 0, token, even + 1].item()
            # Each member of the pair turns by its own channel's angle: the released weights' oddity.
            first, second = angle(position, even, head_dim), angle(position, even + 1, head_dim)
            assert rotated[0, 0, token, even].item() == pytest.approx(
                a * math.cos(first) - b * math.sin(first), abs=2e-6
            )
            assert rotated[0, 0, token, even + 1].item() == pytest.approx(
                b * math.cos(second) + a * math.sin(second), abs=2e-6
            )


@pytest.mark.parametrize("head_dim", [6, 32, 80])
@pytest.mark.parametrize("first, tokens", [(0, 14), (4, 8)])
def test_packed_it_turns_halves_alike_and_scales_queries(head_dim, first, tokens):
    rope, packed = (Rope(token_positions(Grid(2, 2, 3), 1), head_dim) for _ in range(2))
    packed.pack()
    qk = torch.randn(2, 3, 4, tokens, head_dim, generator=torch.Generator().manual_seed(0))
    order = in_halves(head_dim, head_dim)
    assert order.tolist() == [*range(0, head_dim, 2), *range(1, head_dim, 2)]
    expected = rope(qk, first)[..., order]
    expected[0] *= head_dim**-0.5
    torch.testing.assert_close(packed(qk[..., order], first), expected, rtol=0, atol=2e-6)
    assert packed.cos.dtype == packed.sin.dtype == torch.float32


def test_the_order_of_several_heads():
    assert in_halves(8, 4).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_the_two_members_of_a_pair_turn_by_different_frequencies():
    cos = Rope(torch.tensor([[1.0, 0.0, 0.0]]), 64).cos
    assert cos[0, 0].item() == pytest.approx(math.cos(1.0), abs=1e-6)
    assert cos[0, 1].item() == pytest.approx(math.cos(10000 ** (-1 / 10)), abs=1e-6)
    assert cos[0, 10].item() == cos[0, 0].item()  # tiled: the second half of the axis starts again


@pytest.mark.parametrize("packed", [False, True])
def test_fewer_or_later_tokens_take_their_part_of_the_table(packed):
    rope, short = Rope(token_positions(Grid(4, 2, 2)), 32), Rope(token_positions(Grid(2, 2, 2)), 32)
    if packed:
        rope.pack()
        short.pack()
    qk = torch.randn(2, 1, 1, 8, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rope(qk), short(qk))
    assert torch.equal(rope(qk)[..., 4:, :], rope(qk[..., 4:, :], 4))


def test_tables_are_not_part_of_a_checkpoint_and_keep_float32_for_half_precision_inputs():
    rope = Rope(token_positions(Grid(2, 2, 2)), 32)
    x = torch.randn(2, 1, 1, 8, 32, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        assert rope.state_dict() == {}
        half = rope(x.bfloat16())
        assert half.dtype == torch.bfloat16
        # The only rounding is that of the input and of the result.
        assert torch.equal(half, rope(x.bfloat16().float()).bfloat16())
        rope.pack()
