"""Windows of 64 frames of 384 px, 18,432 tokens: nothing quadratic is kept, neither scores nor a mask.

At a reduced depth, which memory does not depend on, and for what is quadratic at a reduced width too: one head's scores
are 1.4 GB in float32, and a mask of a byte for each of them 340 MB.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import vjepa_ros
from benchmarks.memory import peak_of
from vjepa_ros.devices import DTYPES
from vjepa_ros.model.kernels import MOST_SCORES, attention_by_products, fused_attention

CPU = torch.device("cpu")
SMALL = {"encoder_dim": 24, "encoder_depth": 4, "encoder_heads": 1, "mlp_ratio": 1.0, "predictor_dim": 24,
         "predictor_depth": 1, "predictor_heads": 1}  # fmt: skip
TOKENS = 32 * 24 * 24
MOST_MB = 100
"""Of the narrow model, whose activations are some MB each: a mask of bytes would be 340."""
PAGE = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("fast", [False, True])
def test_the_model_keeps_neither_scores_nor_a_mask(dtype: str, fast: bool) -> None:
    wm = vjepa_ros.load("vjepa2_1_vitb", num_frames=64, dtype=dtype, fast=fast, **SMALL)
    assert wm.grid.tokens == TOKENS
    clip = torch.zeros(1, 3, 64, 384, 384, dtype=DTYPES[dtype])
    joints = torch.zeros(1, 32, 7)
    context, encoding_mb = peak_of(lambda: wm.encode(clip), CPU)
    prediction, predicting_mb = peak_of(lambda: wm.predict(context, joints, joints), CPU)
    print(f"{dtype}, fast {fast}: encoding {encoding_mb:.0f} MB, predicting {predicting_mb:.0f} MB")
    assert prediction.shape == (1, TOKENS, 24)
    assert max(encoding_mb, predicting_mb) < MOST_MB
    kept = sum(buffer.nbytes for part in (wm.encoder, wm.predictor) for buffer in part.buffers())
    assert kept < 20e6, "tables only"


@pytest.mark.timeout(600)
def test_at_full_width_it_takes_what_the_page_says() -> None:
    """One layer of V-JEPA 2.1 B's; its four levels, which want four, are a LayerNorm each."""
    wm = vjepa_ros.load(
        "vjepa2_1_vitb", num_frames=64, dtype="float32", encoder_depth=1, encoder_family="vjepa2", predictor_depth=1
    )
    clip, joints = torch.zeros(1, 3, 64, 384, 384), torch.zeros(1, 32, 7)
    context, encoding_mb = peak_of(lambda: wm.encode(clip), CPU)
    _, predicting_mb = peak_of(lambda: wm.predict(context, joints, joints), CPU)
    said = PAGE.read_text(encoding="utf-8").split("**64 frames of 384 px**")[1].split("\n\n")[0]
    stated = [float(figure) for figure in re.findall(r"(\d+) MB", said)]
    print(f"encoding {encoding_mb:.0f} MB, predicting {predicting_mb:.0f} MB, of {stated}")
    assert len(stated) == 2
    for measured, figure in zip((encoding_mb, predicting_mb), stated, strict=True):
        assert measured == pytest.approx(figure, rel=0.1)


def test_attention_in_parts_is_attention() -> None:
    """Of more tokens than whose scores are there at once."""
    tokens = int(MOST_SCORES**0.5) + 200
    query, key, value = (torch.randn(1, 1, tokens, 8, generator=torch.Generator().manual_seed(n)) for n in range(3))
    query *= 8**-0.5
    difference = (attention_by_products(query, key, value) - fused_attention(query, key, value)).abs()
    print(f"maximum {difference.max():.1e}")
    assert difference.max() < 1e-5
