"""The sidecar of a weights file: a JSON file next to it that says what the weights were made for.

``model.safetensors`` has the sidecar ``model.json``. Parameters have the names of the parameter table, so that checking
a configuration against it is a comparison of dictionaries. It knows no torch and no tensors.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vjepa_ros.config.folder import weights_file
from vjepa_ros.config.model import PARAMETER_OF, ModelConfig
from vjepa_ros.config.sidecar_fields import (
    CONVENTION,
    ENCODER_SIZES,
    JOINT_NORMALIZATION,
    LATER_SIZES,
    SIZES,
    require_names,
    require_valid,
)
from vjepa_ros.documents import Unreadable, from_json, read_text
from vjepa_ros.errors import CheckpointError, ConfigError, brief, place

__all__ = ["CONVENTION", "DTYPES", "ENCODER_SIZES", "FORMAT", "JOINT_NORMALIZATION", "SIZES", "SUFFIX", "Sidecar",
           "differing_views", "sidecar_path", "trained_with"]  # fmt: skip

FORMAT = "vjepa_ros sidecar 1"
"""Its number rises when a reader of the old one would understand a new one wrongly."""

SUFFIX = ".safetensors"
"""The ending of weights files that have a sidecar."""
DTYPES = ("float32", "bfloat16")
"""What weights with a sidecar are written in; the first one unless another is asked for."""

_FIELD_OF = {parameter: field for field, parameter in PARAMETER_OF.items()}
_VIEWS = ("encoding", "preprocessing")  # of the convention, what concerns an encoder whatever predictor it has


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
        parts: for ``encoder`` and ``predictor``, those that the file has: the ``hash`` (64 hex digits) of its tensors
            in the file, and the hash of the ``source`` that it came from. A predictor alone has an ``encoder_hash``
            too: the hash of the encoder whose latents it was trained with.
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
        weights = weights_file(checkpoint or "")
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
        if isinstance(content.get("sizes"), dict):
            content["sizes"] = {**LATER_SIZES, **content["sizes"]}
        require_names(content, tuple(field.name for field in fields(cls)), "", path)
        require_valid(content, path)
        return cls(**content)

    @property
    def encoder_hash(self) -> str:
        """64 hex digits, of the encoder that the predictor was trained with: the file's own, or the one it names."""
        own = self.parts.get("encoder")
        return self.parts["predictor"]["encoder_hash"] if own is None else own["hash"]

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            OSError: where that fails.
        """
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    def require_sizes(self, config: ModelConfig, weights: Path, names: Sequence[str] = SIZES) -> None:
        """Refuse a configuration of other sizes than the weights were made for.

        Args:
            config: the configuration.
            weights: of the file, for the message.
            names: the sizes that are compared.

        Raises:
            CheckpointError: naming every parameter at fault and both its values.
        """
        configured = {name: _plain(getattr(config, _FIELD_OF.get(name, name))) for name in names}
        wrong = [
            f"{name} {brief(self.sizes[name])}, but the configuration says {configured[name]}"
            for name in names
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

    def require_convention(self, values: Mapping[str, Any], override: bool) -> tuple[str, ...]:
        """Refuse a configuration of another convention than the one that the weights were trained with.

        Args:
            values: every parameter's effective value, by name.
            override: run them all the same.

        Returns:
            The differences, where they are overridden: a sentence each.

        Raises:
            ConfigError: naming the parameters at fault, and both sides of each.
        """
        differences = self.differences(values)
        if differences and not override:
            name, first = next(iter(differences.items()))
            others = "".join(f"; {name}: {text}" for name, text in list(differences.items())[1:])
            raise ConfigError(name, f"{first}{others}; to run them all the same, set override_convention: true")
        return tuple(f"{name}: {text}" for name, text in differences.items())

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


def trained_with(values: Mapping[str, Any], sidecar: Sidecar | None) -> dict[str, Any]:
    """A preset's parameters, with what the weights were trained with where they have a sidecar.

    The convention is the weights'; their normalisation counts where the preset has none.
    """
    if sidecar is None:
        return dict(values)
    normalization = {name: values.get(name) or sidecar.normalization[name] for name in JOINT_NORMALIZATION}
    return {**values, **normalization, **sidecar.convention}


def differing_views(encoder: Sidecar | None, predictor: Sidecar | None) -> tuple[str, ...]:
    """Where the sidecars of two files disagree on how the encoder sees images: a sentence each.

    That is no reason to refuse them: the predictor was trained with this very encoder, used in its own way.
    """
    if encoder is None or predictor is None:
        return ()
    return tuple(
        f"{name}: the encoder's sidecar says {brief(encoder.convention[name])}, and the predictor was trained with "
        f"{brief(predictor.convention[name])}, which counts"
        for name in _VIEWS
        if encoder.convention[name] != predictor.convention[name]
    )


def sidecar_path(weights: Path) -> Path:
    """Where the sidecar of a weights file is, if it has one."""
    return weights.with_suffix(".json")


def _with_state_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with the joints of the states written out where they are those of the commands."""
    return {**values, "state_names": values["state_names"] or values["joint_names"]}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-6)  # a ratio such as 48/11, written with more or fewer digits
    return bool(one == other)
