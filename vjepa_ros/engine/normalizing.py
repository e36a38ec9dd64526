"""Actions and states as the layers want them, wherever they come from."""

from __future__ import annotations

import torch
from torch import Tensor

from vjepa_ros.config.normalization import Normalization
from vjepa_ros.engine.arguments import Values, as_tensor


class Normalizing:
    """(x - mean) / std in float64, on the values' own device where that is the CPU or the model's; or nothing.

    Args:
        name: of the values, for messages.
        normalization: what is done.
        device: the model's.
    """

    def __init__(self, name: str, normalization: Normalization, device: torch.device) -> None:
        self._name = name
        self._changes_nothing = normalization.changes_nothing
        self._device = str(device)
        numbers = (normalization.mean, normalization.std)
        self._numbers = {
            place: tuple(torch.tensor(of_each, dtype=torch.float64, device=place) for of_each in numbers)
            for place in {"cpu", self._device}
        }

    def __call__(self, values: Values) -> Tensor:
        """(..., dims) as they are read -> the same as the layers want them.

        Raises:
            ShapeError: for what is no numbers.
        """
        tensor = as_tensor(values, self._name)
        if self._changes_nothing:
            return tensor
        mean, std = self._numbers["cpu" if tensor.device.type == "cpu" else self._device]
        if tensor.shape[-1:] != mean.shape:
            return tensor  # refused with both shapes by whoever takes it
        normalized: Tensor = (tensor.double() - mean) / std
        return normalized
