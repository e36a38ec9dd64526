"""What a weights file holds, whatever model it belongs to: ``.pt`` in the released layout, and ``.safetensors``.

* ``.pt``: the encoder under the first of ``target_encoder``, ``ema_encoder``, ``encoder`` that is there, the predictor
  under ``predictor``.
* ``.safetensors``: names ``encoder.*`` and ``predictor.*``.

Nothing of a tensor is read before it is asked for. It knows no models and no sidecars.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vjepa_ros.errors import listed, named
from vjepa_ros.weights import safetensors_file, torch_file
from vjepa_ros.weights.kinds import advice
from vjepa_ros.weights.opened import OpenedFile, StoredTensor

ENCODER_KEYS = ("target_encoder", "ema_encoder", "encoder")
"""In order of preference: the averaged encoder is the one whose latents the predictor was trained on."""

PARTS = ("encoder", "predictor")

MOST_NAME_CHARACTERS = 500  # of a tensor; what training wraps around models makes it long, but not that long


@dataclass(frozen=True)
class WeightsFile:
    """An opened file.

    Attributes:
        opened: the file.
        key: the key that the encoder stands under.
        encoder: what stands there; names as in the file, values not yet checked.
        predictor: the same of the predictor; None where the file has none.
    """

    opened: OpenedFile
    key: str
    encoder: Mapping[str, Any]
    predictor: Mapping[str, Any] | None

    @property
    def path(self) -> Path:
        """Of the file."""
        return self.opened.path


@contextmanager
def open_weights(path: str | Path) -> Iterator[WeightsFile]:
    """Open a weights file by its ending: ``.safetensors``, or anything else for torch's own format.

    Raises:
        CheckpointError: where the file is not there, cannot be read, is not a checkpoint, is truncated, has no encoder,
            or wants to run code; where it has changed when it is left. The message names the file.
    """
    with OpenedFile(path) as opened:
        is_torch = opened.path.suffix != ".safetensors"
        try:
            yield _parts_of(torch_file.read_content(opened), opened) if is_torch else _parts_by_name(opened)
        finally:
            opened.require_unchanged()  # before anything that is said of it, too: that may be why


def _parts_of(content: Any, opened: OpenedFile) -> WeightsFile:
    found = {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}
    key = next((key for key in ENCODER_KEYS if key in found), None)
    if key is None:
        inside = [name for value in found.values() if isinstance(value, dict) for name in value]
        names = [name[:MOST_NAME_CHARACTERS] for name in (*found, *inside) if isinstance(name, str)]
        keys = listed(found, show=named) if found else "no keys"
        raise opened.refusal(f"has no {' or '.join(ENCODER_KEYS)}; it has {keys}{advice(found, names)}")
    for name, value in found.items():
        if name in (key, "predictor"):
            if not isinstance(value, dict):
                raise opened.refusal(f"{name} is a {type(value).__name__}, not a dictionary of weights")
            _require_names(opened, name, value)
        elif name not in ENCODER_KEYS and isinstance(value, dict) and any(map(_is_tensor, value.values())):
            # Counters and the optimizer's nested state are of no use here; this looks like a part of the model.
            what = advice((), [inner for inner in value if isinstance(inner, str)])
            raise opened.refusal(f"has weights under {named(name)}, which belong to no part of this model{what}")
    return WeightsFile(opened, key, found[key], found.get("predictor"))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (StoredTensor, Tensor))


def _require_names(opened: OpenedFile, part: str, names: Mapping[Any, Any]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise opened.refusal(f"{part} has a name that is no text, but {named(str(name))}")
        if len(name) > MOST_NAME_CHARACTERS:
            raise opened.refusal(f"{part} has a name of {len(name):,} characters, {named(name)}")


def _parts_by_name(opened: OpenedFile) -> WeightsFile:
    content = safetensors_file.read_content(opened)
    _require_names(opened, "it", content)
    parts = {
        part: {name[len(part) + 1 :]: tensor for name, tensor in content.items() if name.startswith(f"{part}.")}
        for part in PARTS
    }
    if not parts["encoder"]:
        raise opened.refusal(f"has no names that begin with encoder.{advice(content, content)}")
    unknown = sorted(name for name in content if not name.startswith(tuple(f"{part}." for part in PARTS)))
    if unknown:
        raise opened.refusal(f"{named(unknown[0])} belongs neither to encoder. nor to predictor.{advice((), content)}")
    return WeightsFile(opened, "encoder", parts["encoder"], parts["predictor"] or None)
