"""Weights in a folder, as Hugging Face keeps them: which file in it is meant, and what its ``config.json`` says.

Names of files and plain values; it knows no torch and no tensors.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vjepa_ros.config.checks import is_finite
from vjepa_ros.config.families import FAMILIES
from vjepa_ros.config.model import MOST, ModelConfig
from vjepa_ros.documents import Unreadable, from_json, read_text
from vjepa_ros.errors import CheckpointError, brief, place

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""The file of a folder: the weights, or where the shards are that they are cut into."""
CONFIG = "config.json"

FAMILY = next(iter(FAMILIES))
"""Of all encoders that transformers keeps: V-JEPA 2. Also what a preset is of that names none."""

_COUNTS = {  # by name there: what a count of it may be at most
    "hidden_size": MOST["encoder_dim"], "num_hidden_layers": MOST["encoder_depth"], "patch_size": MOST["patch_size"],
    "num_attention_heads": MOST["encoder_heads"], "tubelet_size": MOST["tubelet_size"], "crop_size": MOST["image_size"],
}  # fmt: skip
_TYPE = "model_type", "vjepa2"
_FIXED: dict[str, Any] = {  # what all released ones say, and this package's layers are made for
    _TYPE[0]: _TYPE[1], "in_chans": 3, "layer_norm_eps": 1e-6, "qkv_bias": True, "hidden_act": "gelu",
}  # fmt: skip

_OF_LATER_ONES = ("use_rope_interleave", "interpolate_rope", "use_modality_embeddings")
"""What transformers is about to call the properties of V-JEPA 2.1 under the same model_type: not those of V-JEPA 2."""


def weights_file(checkpoint: str | Path) -> Path:
    """The file that a path names: itself, or, of a folder, the one in it that has the weights, if it has one."""
    path = Path(os.path.expanduser(checkpoint))
    if os.path.isdir(path):
        return next((path / name for name in (WHOLE, INDEX) if os.path.lexists(path / name)), path)
    return path


def config_path(weights: Path) -> Path:
    """Where the ``config.json`` of weights under transformers' names is."""
    return weights.with_name(CONFIG)


@dataclass(frozen=True)
class FolderConfig:
    """The encoder that a ``config.json`` of transformers describes.

    Attributes:
        path: of the file.
        sizes: by the names of our parameters: encoder_family, encoder_dim, encoder_depth, encoder_heads, mlp_ratio,
            patch_size and tubelet_size.
        crop_px: side of the images that it was trained with.
    """

    path: Path
    sizes: Mapping[str, Any]
    crop_px: int

    @classmethod
    def read(cls, path: Path) -> FolderConfig:
        """Read and validate it.

        Raises:
            CheckpointError: where it cannot be read, or is of another model; it names what is wrong.
        """
        found = _content(path)
        if not isinstance(found, dict):
            raise CheckpointError(f"{place(path)}: is no table of values")

        def require(condition: bool, name: str, what: str) -> None:
            if not condition:
                said = brief(found[name]) if name in found else "missing"
                raise CheckpointError(f"{place(path)}: {name} is {said}, where {what} is needed")

        for name, wanted in _FIXED.items():
            value = found.get(name)
            require(value == wanted and isinstance(value, bool) == isinstance(wanted, bool), name, repr(wanted))
        for name in _OF_LATER_ONES:
            require(not found.get(name), name, "False, as of V-JEPA 2,")
        for name, most in _COUNTS.items():
            value = found.get(name)
            is_count = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
            require(is_count, name, f"a whole number from 1 to {most}")
        ratio: Any = found.get("mlp_ratio")
        fits = is_finite(ratio) and not isinstance(ratio, bool) and 0 < ratio <= MOST["mlp_ratio"]
        require(fits, "mlp_ratio", f"a positive number up to {MOST['mlp_ratio']}")
        dim = found["hidden_size"]
        hidden = math.floor(dim * ratio + 1e-6)  # it is cut there, not rounded
        require(hidden >= 1, "mlp_ratio", f"more of a width of {dim}")
        sizes = {
            "encoder_family": FAMILY,
            "encoder_dim": dim,
            "encoder_depth": found["num_hidden_layers"],
            "encoder_heads": found["num_attention_heads"],
            "mlp_ratio": hidden / dim,
            "patch_size": found["patch_size"],
            "tubelet_size": found["tubelet_size"],
        }
        return cls(path, sizes, found["crop_size"])

    @classmethod
    def beside(cls, weights: Path) -> FolderConfig | None:
        """That of weights, where a ``config.json`` of such an encoder lies beside them: any project may have another.

        Raises:
            CheckpointError: as :meth:`read`.
        """
        path = config_path(weights)
        try:
            found = _content(path)
        except CheckpointError:
            return None
        is_one = isinstance(found, dict) and found.get(_TYPE[0]) == _TYPE[1]
        return cls.read(path) if is_one else None

    def require_sizes(self, config: ModelConfig) -> None:
        """Refuse a configuration of another encoder.

        Raises:
            CheckpointError: naming every parameter at fault and both its values.
        """
        ours = {name: getattr(config, name) for name in self.sizes}
        wrong = [
            f"{name} {brief(theirs)}, but the preset {brief(Path(config.preset).name)} says {brief(ours[name])}"
            for name, theirs in self.sizes.items()
            if not self._same(name, ours[name])
        ]
        if wrong:
            raise CheckpointError(f"{place(self.path)}: says {'; '.join(wrong)}; `preset: auto` takes what it says")

    def is_of(self, preset: Mapping[str, Any]) -> bool:
        """Whether a preset's values are those of this encoder."""
        values = {"encoder_family": FAMILY, **preset}
        return all(self._same(name, values.get(name)) for name in self.sizes)

    def _same(self, name: str, value: Any) -> bool:
        if name == "mlp_ratio":
            dim, ratio = self.sizes["encoder_dim"], self.sizes[name]
            return is_finite(value) and round(dim * value) == round(dim * ratio)
        return bool(value == self.sizes[name])


def _content(path: Path) -> Any:
    try:
        return from_json(read_text(path))
    except Unreadable as error:
        raise CheckpointError(f"{place(path)}: cannot be read as the configuration of weights: {error}") from error
