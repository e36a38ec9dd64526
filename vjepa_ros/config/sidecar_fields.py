"""What stands in a sidecar, field by field: the names that there are, and what is wrong with one that is none.

A sidecar that is read is checked here as plain values; what it means is :mod:`vjepa_ros.config.sidecar`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from vjepa_ros.config.checks import is_finite
from vjepa_ros.config.model import PARAMETER_OF, ModelConfig
from vjepa_ros.errors import CheckpointError, brief, listed, named, place

CONVENTION: tuple[str, ...] = (
    "context_steps",  # 0, all steps of a window, says nothing
    "encoding",
    "preprocessing",
    "frame_rate",  # Hz; 0, every frame of the camera, says nothing
    "actions.reduction",
    "actions.phase",
    "actions.alignment",
    "actions.tail",
    "joint_names",  # an empty list says nothing
    "states.source",
    "states.alignment",
    "state_names",
)
"""What the weights were trained with and no shape can show: mixing it up gives plausible nonsense."""

JOINT_NORMALIZATION: tuple[str, ...] = ("actions.mean", "actions.std", "states.mean", "states.std")
"""What is done to actions and states before the model sees them; empty lists for nothing."""

SIZES: tuple[str, ...] = tuple(
    PARAMETER_OF.get(field.name, field.name)
    for field in fields(ModelConfig)
    if field.name not in ("preset", *CONVENTION)
)
"""Every other parameter of the model."""

LATER_SIZES = {"encoder_family": "vjepa2", "latents.levels": "last"}
"""Of the sizes, those that are texts; what they are in the first sidecars, which did not know them."""

ENCODER_SIZES: tuple[str, ...] = tuple(
    name for name in SIZES if name.startswith("encoder_") or name in ("patch_size", "tubelet_size", "mlp_ratio")
)
"""Of the sizes, those that the encoder's weights were made with, whatever predictor and windows they are used with."""

_HASH = {"model": re.compile(r"[0-9a-f]{16}"), "part": re.compile(r"[0-9a-f]{64}")}


def require_valid(content: Mapping[str, Any], path: Path) -> None:
    """Refuse the fields of a sidecar that lack, misname or mistake something.

    Args:
        content: every field by its name.
        path: of the sidecar, for the message.

    Raises:
        CheckpointError: naming the first one at fault.
    """
    for name in ("vjepa_ros", "preset", "dtype"):
        _require(isinstance(content[name], str), name, "is not a text", path)
    for name in ("sizes", "convention", "normalization", "source", "parts"):
        _require(isinstance(content[name], dict), name, "is not an object", path)
    require_names(content["sizes"], SIZES, "sizes.", path)
    for name, value in content["sizes"].items():
        if name in LATER_SIZES:
            _require(isinstance(value, str), f"sizes.{name}", f"is not a text, but {brief(value)}", path)
            continue
        numbers = value if isinstance(value, list) else [value]
        fits = bool(numbers) and all(map(_is_number, numbers))
        _require(fits, f"sizes.{name}", f"is not a number or a list of them, but {brief(value)}", path)
    require_names(content["convention"], CONVENTION, "convention.", path)
    for name, value in content["convention"].items():
        what, is_one = _KINDS.get(name, ("a text", lambda value: isinstance(value, str)))
        _require(is_one(value), f"convention.{name}", f"is not {what}, but {brief(value)}", path)
    require_names(content["normalization"], ("pixel_mean", "pixel_std", *JOINT_NORMALIZATION), "normalization.", path)
    for name, numbers in content["normalization"].items():
        fits = isinstance(numbers, list) and all(map(_is_number, numbers))
        _require(fits, f"normalization.{name}", f"is not a list of finite numbers, but {brief(numbers)}", path)
    require_names(content["source"], ("file", "key", "hash"), "source.", path)
    _require_hash(content["source"]["hash"], "model", "source.hash", path)
    _require_parts(content["parts"], path)


def _require_parts(parts: Mapping[str, Any], path: Path) -> None:
    _require(parts.keys() <= {"encoder", "predictor"}, "parts", f"has {listed(parts, show=named)}", path)
    predictor = parts.get("predictor")
    # A predictor alone must say whose latents it understands.
    alone = "encoder" not in parts and isinstance(predictor, dict) and "encoder_hash" in predictor
    _require(alone or "encoder" in parts, "parts", "has no encoder", path)
    for part, values in parts.items():
        _require(isinstance(values, dict), f"parts.{part}", "is not an object", path)
        require_names(values, ("hash", "source", *(("encoder_hash",) if alone else ())), f"parts.{part}.", path)
        _require_hash(values["hash"], "part", f"parts.{part}.hash", path)
        _require_hash(values["source"], "model", f"parts.{part}.source", path)
        if alone:
            _require_hash(values["encoder_hash"], "part", f"parts.{part}.encoder_hash", path)


def _require(condition: bool, name: str, reason: str, path: Path) -> None:
    if not condition:
        raise CheckpointError(f"{place(path)}: {name} {reason}")


def require_names(found: Mapping[str, Any], wanted: tuple[str, ...], prefix: str, path: Path) -> None:
    """Refuse an object that lacks one of its fields, or has another one.

    Raises:
        CheckpointError: naming the first one at fault, with the prefix.
    """
    for name in wanted:
        _require(name in found, f"{prefix}{name}", "is missing", path)
    for name in found:
        _require(name in wanted, f"{prefix}{named(name)}", "is not known", path)


def _require_hash(value: Any, kind: str, name: str, path: Path) -> None:
    fits = isinstance(value, str) and _HASH[kind].fullmatch(value) is not None
    _require(fits, name, f"is not a hash, but {brief(value)}", path)


def _is_number(value: Any) -> bool:
    return is_finite(value) and not isinstance(value, bool)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


# Of the convention, what is no text.
_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "context_steps": ("a number", _is_number), "frame_rate": ("a number", _is_number),
    "joint_names": ("a list of names", _are_names), "state_names": ("a list of names", _are_names),
}  # fmt: skip
