"""Encoder and predictor with their weights on a device, packed or not. It knows no files and no names of presets."""

from __future__ import annotations

import torch

from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.kernels import choose_kernels
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights.values import Weights, norm_parameters


def build(
    encoder: Encoder, predictor: Predictor, weights: Weights, device: torch.device, dtype: torch.dtype, packed: bool
) -> tuple[Encoder, Predictor, str]:
    """Give modules their weights, and pack them for inference if wanted.

    Args:
        encoder, predictor: on the meta device.
        weights: theirs; the dictionaries are empty afterwards, so that nothing is in memory twice.
        device, dtype: where and in what they compute. RoPE's tables stay float32, and so do LayerNorms once packed.
        packed: whether to make them fast, for inference only.

    Returns:
        encoder, predictor, and in words what packed ones compute with (empty for others).
    """
    for module, tensors in ((encoder, weights.encoder), (predictor, weights.predictor)):
        norms = norm_parameters(module)  # float32 in packed ones, as the reference has them under autocast
        dtypes = {name: torch.float32 if packed and name in norms else dtype for name in tensors}
        placed = {name: tensors.pop(name).to(device, dtypes[name]) for name in dtypes}
        module.load_state_dict(placed, strict=True, assign=True)
        module.to(device).eval().requires_grad_(False)
        del placed
    if not packed:
        return encoder, predictor, ""
    kernels = choose_kernels(device, dtype)
    encoder.pack(kernels)
    predictor.pack(kernels)
    return encoder, predictor, kernels.name
