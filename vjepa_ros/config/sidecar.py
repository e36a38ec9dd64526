"""The sidecar of a weights file: a JSON file next to it that says what the weights were made for.

``model.safetensors`` has the sidecar ``model.json``. Parameters have the names of the parameter table, so that checking
a configuration against it is a comparison of dictionaries. It knows no torch and no tensors.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vjepa_ros.config.checks import is_finite
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.documents import Unreadable, from_json, read_text
from vjepa_ros.errors import CheckpointError, brief, listed, named, place

FORMAT = "vjepa_ros sidecar 1"
"""Its number rises when a reader of the old one would understand a new one wrongly."""

SUFFIX = ".safetensors"
"""The ending of weights files that have a sidecar."""
DTYPES = ("float32", "bfloat16")
"""What weights with a sidecar are written in; the first one unless another is asked for."""

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

SIZES: tuple[str, ...] = tuple(field.name for field in fields(ModelConfig) if field.name not in ("preset", *CONVENTION))
"""Every other parameter of the model."""

_HASH = {"model": re.compile(r"[0-9a-f]{16}"), "part": re.compile(r"[0-9a-f]{64}")}


@dataclass(frozen=True)
class Sidecar:
    """What a sidecar says.

    Attributes:
        vjepa_ros: version of the package that wrote it.
        preset: name of the preset that the values came from.
        sizes: the model's sizes, by the names in :data:`SIZES`.
        convention: what the weights were trained with, by the names in :data:`CONVENTION`.
        normalization: ``pixel_mean`` and ``pixel_std`` (R, G, B, of values from 0 to 1), and, by the names in
            :data:`JOINT_NORMALIZATION`, means and standard deviations of actions and states.
        dtype: of the weights in the file: ``float32`` or ``bfloat16``.
        source: the checkpoint that it was made from: its ``file`` name, the ``key`` of its encoder, its ``hash`` (16
            hex digits, what ``latent_info`` shows as weights_hash where the source itself is loaded).
        parts: for ``encoder`` and, if the file has one, ``predictor``: the ``hash`` (64 hex digits) of its tensors in
            the file, and the hash of the ``source`` that it came from.
    """

    vjepa_ros: str
    preset: str
    sizes: dict[str, Any]
    convention: dict[str, Any]
    normalization: dict[str, Any]
    dtype: str
    source: dict[str, str]
    parts: dict[str, dict[str, str]]

    @classmethod
    def of_checkpoint(cls, checkpoint: str | Path | None) -> Sidecar | None:
        """The sidecar next to a weights file; None where it has none, or is of a kind that has none.

        Args:
            checkpoint: path of the weights; None or empty for random ones.

        Raises:
            CheckpointError: where there is one, but it cannot be read or makes no sense.
        """
        weights = Path(os.path.expanduser(checkpoint or ""))
        return cls.next_to(weights) if weights.suffix == ".safetensors" else None

    @classmethod
    def next_to(cls, weights: Path) -> Sidecar | None:
        """The sidecar of a weights file, None where it has none.

        Raises:
            CheckpointError: where there is one, but it cannot be read or makes no sense.
        """
        if not weights.name:
            return None
        path = sidecar_path(weights)
        return cls.read(path) if os.path.lexists(path) else None  # a link that leads nowhere was meant to lead to one

    @classmethod
    def read(cls, path: Path) -> Sidecar:
        """Read and validate a sidecar.

        Raises:
            CheckpointError: where it cannot be read, is not a sidecar, or lacks or misnames something.
        """
        try:
            content = from_json(read_text(path))
        except Unreadable as error:
            leads = f", it is a link to {place(os.readlink(path))}" if os.path.islink(path) else ""
            raise CheckpointError(f"{place(path)}: cannot be read as a sidecar ({error}{leads})") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, dict) else None
            raise CheckpointError(
                f"{place(path)}: is not a sidecar that this version reads (format {brief(found)}, not {FORMAT!r}); "
                "where it is something else, call one of the two files otherwise"
            )
        del content["format"]
        if isinstance(content.get("convention"), dict):
            content["convention"].setdefault("context_steps", 0)  # the first sidecars did not know it: it says nothing
        _require_names(content, tuple(field.name for field in fields(cls)), "", path)
        sidecar = cls(**content)
        sidecar._validate(path)
        return sidecar

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            OSError: where that fails.
        """
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    def require_sizes(self, config: ModelConfig, weights: Path) -> None:
        """Refuse a configuration of other sizes than the weights were made for.

        Raises:
            CheckpointError: naming every parameter at fault and both its values.
        """
        configured = {name: _plain(getattr(config, name)) for name in SIZES}
        wrong = [
            f"{name} {brief(self.sizes[name])}, but the configuration says {configured[name]}"
            for name in SIZES
            if not _same(self.sizes[name], configured[name])
        ]
        if wrong:
            raise CheckpointError(f"{place(weights)}: was made for {'; for '.join(wrong)}")

    def differences(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Where a configuration differs from the convention that the weights were trained with.

        Args:
            values: every parameter's effective value, by name.

        Returns:
            Both sides in words, by the name of the parameter.
        """
        found = {}
        ours, theirs = _with_state_names(values), _with_state_names(self.convention)
        for name, trained in theirs.items():
            says_nothing = trained in (0, []) or (name == "state_names" and ours["states.source"] != "joint_states")
            if not says_nothing and not _same(trained, ours[name]):
                ours_says = f"the configuration says {brief(ours[name])}"
                found[name] = f"the weights were trained with {brief(trained)}, {ours_says}"
        return found

    def require_parts(self, hashes: Mapping[str, str], weights: Path, sidecar: Path) -> None:
        """Refuse parts that are not those that the sidecar was written for.

        Args:
            hashes: of the parts that were read from the file, see :func:`vjepa_ros.weights.values.part_hash`.
            weights, sidecar: the two files, for the message.

        Raises:
            CheckpointError: for a part that the sidecar does not know or knows differently, and for parts of different
                sources.
        """
        foreign = [part for part, value in hashes.items() if self.parts.get(part, {}).get("hash") != value]
        if foreign == list(hashes):
            raise CheckpointError(
                f"{place(weights)}: these are not the weights that {place(sidecar)} was written for, or are damaged"
            )
        if foreign:
            raise CheckpointError(
                f"{place(weights)}: its {foreign[0]} is not the one that {place(sidecar)} was written for, or is "
                "damaged; an encoder and a predictor that were not trained together do not understand each other"
            )
        sources = {part: self.parts[part]["source"] for part in hashes}
        if len(set(sources.values())) > 1:
            origins = ", ".join(f"{part} from {source}" for part, source in sources.items())
            raise CheckpointError(f"{place(sidecar)}: the parts come from different checkpoints ({origins})")

    def _validate(self, path: Path) -> None:
        for name in ("vjepa_ros", "preset", "dtype"):
            _require(isinstance(getattr(self, name), str), name, "is not a text", path)
        for name in ("sizes", "convention", "normalization", "source", "parts"):
            _require(isinstance(getattr(self, name), dict), name, "is not an object", path)
        _require_names(self.sizes, SIZES, "sizes.", path)
        for name, value in self.sizes.items():
            numbers = value if isinstance(value, list) else [value]
            fits = bool(numbers) and all(map(_is_number, numbers))
            _require(fits, f"sizes.{name}", f"is not a number or a list of them, but {brief(value)}", path)
        _require_names(self.convention, CONVENTION, "convention.", path)
        for name, value in self.convention.items():
            what, is_one = _KINDS.get(name, ("a text", lambda value: isinstance(value, str)))
            _require(is_one(value), f"convention.{name}", f"is not {what}, but {brief(value)}", path)
        _require_names(self.normalization, ("pixel_mean", "pixel_std", *JOINT_NORMALIZATION), "normalization.", path)
        for name, numbers in self.normalization.items():
            fits = isinstance(numbers, list) and all(map(_is_number, numbers))
            _require(fits, f"normalization.{name}", f"is not a list of finite numbers, but {brief(numbers)}", path)
        _require_names(self.source, ("file", "key", "hash"), "source.", path)
        _require_hash(self.source["hash"], "model", "source.hash", path)
        _require("encoder" in self.parts, "parts", "has no encoder", path)
        _require(self.parts.keys() <= {"encoder", "predictor"}, "parts", f"has {listed(self.parts, show=named)}", path)
        for part, values in self.parts.items():
            _require(isinstance(values, dict), f"parts.{part}", "is not an object", path)
            _require_names(values, ("hash", "source"), f"parts.{part}.", path)
            _require_hash(values["hash"], "part", f"parts.{part}.hash", path)
            _require_hash(values["source"], "model", f"parts.{part}.source", path)


def trained_with(values: Mapping[str, Any], sidecar: Sidecar | None) -> dict[str, Any]:
    """A preset's parameters, with what the weights were trained with where they have a sidecar.

    The convention is the weights'; their normalisation counts where the preset has none.
    """
    if sidecar is None:
        return dict(values)
    normalization = {name: values.get(name) or sidecar.normalization[name] for name in JOINT_NORMALIZATION}
    return {**values, **normalization, **sidecar.convention}


def sidecar_path(weights: Path) -> Path:
    """Where the sidecar of a weights file is, if it has one."""
    return weights.with_suffix(".json")


def _require(condition: bool, name: str, reason: str, path: Path) -> None:
    if not condition:
        raise CheckpointError(f"{place(path)}: {name} {reason}")


def _require_names(found: Mapping[str, Any], wanted: tuple[str, ...], prefix: str, path: Path) -> None:
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


def _with_state_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with the joints of the states written out where they are those of the commands."""
    return {**values, "state_names": values["state_names"] or values["joint_names"]}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-6)  # a ratio such as 48/11, written with more or fewer digits
    return bool(one == other)
