"""The flow of shapes at ViT-L's real size, read off the tensors on their way through the real modules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ShapeError


@pytest.fixture(scope="module")
def vitl() -> WorldModel:
    """Everything at its real size but the number of layers, which changes no shape: each gives what it takes."""
    return vjepa_ros.load("vitl", encoder_depth=1, predictor_depth=1, fast=False)


def test_from_a_clip_to_predictions(vitl, monkeypatch):
    seen: dict[str, tuple[int, ...]] = {}

    def note(name: str, tensor: Tensor) -> None:
        seen[name] = tuple(tensor.shape)

    encoder, predictor = vitl.encoder, vitl.predictor
    encoder.register_forward_pre_hook(lambda _, inputs: note("clip", inputs[0]))
    for name, module in [
        ("tokens", encoder.patch_embed),
        ("encoder layer", encoder.blocks[0]),
        ("latents", encoder),
        ("embedded", predictor.predictor_embed),
        ("predictor layer", predictor.predictor_blocks[0]),
        ("predictions", predictor),
    ]:
        module.register_forward_hook(lambda _, __, output, name=name: note(name, output))
    real_tokens = predictor.tokens

    def noted_tokens(*inputs: Tensor) -> Tensor:
        output = real_tokens(*inputs)
        note("with action and state", output)
        return output

    monkeypatch.setattr(predictor, "tokens", noted_tokens)

    generator = torch.Generator().manual_seed(0)
    context = vitl.encode(torch.randn(1, 3, 16, 224, 224, generator=generator))
    actions, states = torch.randn(1, 8, 7, generator=generator), torch.randn(1, 8, 7, generator=generator)
    predictions = vitl.predict(context, actions, states)
    assert list(seen.items()) == [
        ("clip", (1, 3, 16, 224, 224)),
        ("tokens", (1, 1568, 1024)),
        ("encoder layer", (1, 1568, 1024)),
        ("latents", (1, 1568, 1024)),
        ("embedded", (1, 1568, 384)),
        ("with action and state", (1, 8, 198, 384)),
        ("predictor layer", (1, 1584, 384)),
        ("predictions", (1, 1568, 1024)),
    ]
    assert vitl.grid.unflatten(predictions).shape == (1, 8, 14, 14, 1024)
    assert predictions.isfinite().all()


@pytest.mark.parametrize(
    "shape, named",
    [
        ((1, 8 * 16 * 16, 1024), ["(1, 2048, 1024)", "(8, 14, 14)"]),  # of 256 px
        ((1, 9 * 14 * 14, 1024), ["(1, 1764, 1024)", "(8, 14, 14)"]),  # a step more than the window has
        ((1, 8 * 14 * 14, 1280), ["(1, 1568, 1280)", "(1, 1568, 1024)"]),  # of another encoder
        ((1, 8, 14, 14, 1024), ["(1, 8, 14, 14, 1024)", "(8, 14, 14)"]),  # not flattened
    ],
)
def test_a_feature_map_off_the_predictors_grid_is_refused_with_both_shapes(vitl, shape, named):
    with pytest.raises(ShapeError) as error:
        vitl.predict(torch.zeros(shape), torch.zeros(1, 8, 7), torch.zeros(1, 8, 7))
    assert all(text in str(error.value) for text in named), str(error.value)


def test_an_unflattened_map_off_the_grid_is_refused_with_both_shapes(vitl):
    with pytest.raises(ShapeError, match=r"\(1, 8, 16, 16, 1024\) do not fit .* \(8, 14, 14\)"):
        vitl.grid.flatten(torch.zeros(1, 8, 16, 16, 1024))
