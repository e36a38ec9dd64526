"""Encoder and predictor with their weights on a device, plain or fast. It knows no files and no names of presets."""

from __future__ import annotations

import torch

from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.fast.encoder import FastEncoder
from vjepa_ros.model.fast.kernels import choose_kernels
from vjepa_ros.model.fast.predictor import FastPredictor
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights.values import Weights, norm_parameters


def build(
    encoder: Encoder, predictor: Predictor, weights: Weights, device: torch.device, dtype: torch.dtype, fast: bool
) -> tuple[Encoder | FastEncoder, Predictor | FastPredictor, str]:
    """Give modules their weights, and make fast ones of them if wanted.

    Args:
        encoder, predictor: on the meta device.
        weights: theirs; the dictionaries are empty afterwards, so that nothing is in memory twice.
        device, dtype: where and in what they compute. RoPE's tables stay float32.
        fast: whether to make fast ones.

    Returns:
        encoder, predictor, and in words what fast ones compute with (empty for plain ones).
    """
    for module, tensors in ((encoder, weights.encoder), (predictor, weights.predictor)):
        norms = norm_parameters(module)  # float32 in fast ones, as the reference has them under autocast
        dtypes = {name: torch.float32 if fast and name in norms else dtype for name in tensors}
        placed = {name: tensors.pop(name).to(device, dtypes[name]) for name in dtypes}
        module.load_state_dict(placed, strict=True, assign=True)
        module.to(device).eval().requires_grad_(False)
        del placed
    if not fast:
        encoder.patch_embed.fold()
        return encoder, predictor, ""
    kernels = choose_kernels(device, dtype)
    return FastEncoder(encoder, kernels), FastPredictor(predictor, kernels), kernels.name
