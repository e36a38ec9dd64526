"""RoPE's tables against the formula, written out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from vjepa_ros.model.grid import Grid
from vjepa_ros.model.rope import Rope, axis_channels, rotate, token_positions


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
    x = torch.randn(1, 1, len(positions), head_dim, generator=torch.Generator().manual_seed(0))
    rope = Rope(token_positions(grid, condition_tokens, col_scale), head_dim)
    rotated = rotate(x, rope(len(positions)))
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


def test_the_two_members_of_a_pair_turn_by_different_frequencies():
    rope = Rope(torch.tensor([[1.0, 0.0, 0.0]]), 64)
    cos, _ = rope(1)
    assert cos[0, 0].item() == pytest.approx(math.cos(1.0), abs=1e-6)
    assert cos[0, 1].item() == pytest.approx(math.cos(10000 ** (-1 / 10)), abs=1e-6)
    assert cos[0, 10].item() == cos[0, 0].item()  # tiled: the second half of the axis starts again


def test_a_shorter_table_is_the_first_part_and_shares_its_memory():
    rope = Rope(token_positions(Grid(4, 2, 2)), 32)
    cos, sin = rope(8)
    assert torch.equal(cos, Rope(token_positions(Grid(2, 2, 2)), 32).cos)
    assert cos.data_ptr() == rope.cos.data_ptr() and sin.data_ptr() == rope.sin.data_ptr()


def test_tables_are_not_part_of_a_checkpoint_and_keep_float32_for_half_precision_inputs():
    rope = Rope(token_positions(Grid(2, 2, 2)), 32)
    x = torch.randn(1, 1, 8, 32, generator=torch.Generator().manual_seed(0))
    assert rope.state_dict() == {}
    half = rotate(x.bfloat16(), rope(8))
    assert half.dtype == torch.bfloat16
    # The only rounding is that of the input and of the result.
    assert torch.equal(half, rotate(x.bfloat16().float(), rope(8)).bfloat16())
