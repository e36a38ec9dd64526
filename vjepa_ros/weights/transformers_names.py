"""An encoder's tensors under the names of Hugging Face's transformers, and what this package calls them.

Its query, key and value are one tensor here, in this order along the rows. It knows names, no files and no sizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from vjepa_ros.weights.opened import JoinedTensor
from vjepa_ros.weights.tensor_names import Refusal, put

_SIGN = "embeddings.patch_embeddings.proj.weight"  # of an encoder
_QKV = ("query", "key", "value")
_PARTS = (
    (re.compile(r"embeddings\.patch_embeddings\.proj\.(weight|bias)"), r"patch_embed.proj.\1"),
    (re.compile(r"layer\.(\d+)\.(norm1|norm2|mlp\.fc1|mlp\.fc2)\.(weight|bias)"), r"blocks.\1.\2.\3"),
    (re.compile(r"layer\.(\d+)\.attention\.proj\.(weight|bias)"), r"blocks.\1.attn.proj.\2"),
    (re.compile(r"layernorm\.(weight|bias)"), r"norm.\1"),
)
_OF_QKV = re.compile(r"layer\.(\d+)\.attention\.(query|key|value)\.(weight|bias)")


def are_used(names: Iterable[str]) -> bool:
    """Whether an encoder's names are transformers'."""
    return _SIGN in names


def ours(encoder: Mapping[str, JoinedTensor], refusal: Refusal) -> dict[str, JoinedTensor]:
    """The same tensors under our names; what has none keeps its own, and is refused with it.

    Args:
        encoder: by transformers' names, without what is in front of them.
        refusal: makes of what is wrong with them what is raised.

    Raises:
        CheckpointError: where two of them have one name here, as one beside others that has our name in the file.
    """
    joined = _joined(encoder)
    renamed: dict[str, JoinedTensor] = {}
    for name, tensor in encoder.items():
        found = joined.get(name, (_renamed(name), tensor))
        if found is not None:
            put(renamed, *found, name, refusal)
    return renamed


def _joined(encoder: Mapping[str, JoinedTensor]) -> dict[str, tuple[str, JoinedTensor] | None]:
    """By the name of a query, what it is with its key and its value, whose names have None; only where they fit."""
    joined: dict[str, tuple[str, JoinedTensor] | None] = {}
    for layer, kind in sorted({(match[1], match[3]) for match in map(_OF_QKV.fullmatch, encoder) if match}):
        query, *others = (f"layer.{layer}.attention.{part}.{kind}" for part in _QKV)
        found = [encoder[name] for name in (query, *others) if name in encoder]
        if len(found) == len(_QKV) and _fit_together(found):
            whole = JoinedTensor(tuple(part for tensor in found for part in tensor.parts))
            joined |= {query: (f"blocks.{layer}.attn.qkv.{kind}", whole), **dict.fromkeys(others)}
    return joined


def _renamed(name: str) -> str:
    for pattern, new in _PARTS:
        match = pattern.fullmatch(name)
        if match:
            return match.expand(new)
    return name


def _fit_together(tensors: list[JoinedTensor]) -> bool:
    """Whether tensors are of one dtype and shape."""
    return len({(tensor.dtype, tensor.shape) for tensor in tensors}) == 1 and bool(tensors[0].shape)
