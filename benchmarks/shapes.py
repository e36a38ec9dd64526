"""Which matrix products and attentions a piece of work consists of: shapes in, shapes out; nothing is computed.

What is left out (LayerNorm, GELU, RoPE, softmax outside of attention, the few action and state tokens' own projections)
is what a lower bound leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.predictor import MLP_RATIO

CONDITION_TOKENS = 2
"""Action and state, of each step."""


@dataclass(frozen=True)
class Product:
    """``count`` products of (rows, inner) with weights (outer, inner) of their own."""

    rows: int
    inner: int
    outer: int
    count: int = 1


@dataclass(frozen=True)
class Attention:
    """``count`` times softmax(q k^T) v: q (sequences, heads, queries, head_dim), k and v with ``keys`` rows."""

    sequences: int
    heads: int
    queries: int
    keys: int
    head_dim: int
    count: int = 1


Shape = Product | Attention


def encoder_shapes(config: ModelConfig, sequences: int, tokens: int) -> list[Shape]:
    """The shapes of an encoder over ``sequences`` sequences that attend among themselves, ``tokens`` tokens each."""
    frames = config.stride  # a repeated frame: the summed kernel
    embed = Product(sequences * tokens, 3 * frames * config.patch_size**2, config.encoder_dim)
    attention = Attention(
        sequences, config.encoder_heads, tokens, tokens, config.encoder_dim // config.encoder_heads,
        count=config.encoder_depth,
    )  # fmt: skip
    layers = _layers(sequences * tokens, config.encoder_dim, config.mlp_ratio, config.encoder_depth)
    return [embed, *layers, attention]


def predictor_shapes(config: ModelConfig, batch: int, first: int, steps: int) -> list[Shape]:
    """The shapes of the predictor over ``steps`` new steps, each of which attends to itself and all before it.

    Args:
        config: the sizes.
        batch: sequences.
        first: steps before the new ones, whose keys and values are there.
        steps: the new ones.
    """
    size = Grid.of(config).tokens_per_step + CONDITION_TOKENS
    dim, heads, depth = config.predictor_dim, config.predictor_heads, config.predictor_depth
    attentions = [
        Attention(batch, heads, size, step * size, dim // heads, count=depth)
        for step in range(first + 1, first + steps + 1)
    ]
    return [*_layers(batch * steps * size, dim, MLP_RATIO, depth), *attentions]


def predict_shapes(config: ModelConfig, batch: int) -> list[Shape]:
    """The shapes of one prediction of a whole window: embedding, layers, projection."""
    grid = Grid.of(config)
    into = Product(batch * grid.tokens, config.encoder_dim, config.predictor_dim)
    out = Product(batch * grid.tokens, config.predictor_dim, config.encoder_dim)
    return [into, *predictor_shapes(config, batch, 0, grid.steps), out]


def rollout_shapes(
    config: ModelConfig, candidates: int, observed: int, horizon: int, iterations: int = 1
) -> list[Shape]:
    """The shapes of a rollout that computes each step once, or of several from the same observed steps.

    The observed steps but the last are the same for all candidates; the last one holds the candidate's first action.
    """
    size = Grid.of(config).tokens_per_step
    wide, dim = config.encoder_dim, config.predictor_dim
    shapes: list[Shape] = [Product(observed * size, wide, dim)]
    if observed > 1:
        shapes += predictor_shapes(config, 1, 0, observed - 1)
    ahead: list[Shape] = []
    for step in range(horizon):
        if step:
            ahead.append(Product(candidates * size, wide, dim))
        ahead += predictor_shapes(config, candidates, observed - 1 + step, 1)
        ahead.append(Product(candidates * size, dim, wide))
    return shapes + ahead * iterations


def _layers(rows: int, dim: int, mlp_ratio: float, depth: int) -> list[Shape]:
    hidden = round(dim * mlp_ratio)
    return [
        Product(rows, dim, 3 * dim, depth),
        Product(rows, dim, dim, depth),
        Product(rows, dim, hidden, depth),
        Product(rows, hidden, dim, depth),
    ]
