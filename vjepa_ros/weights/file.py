"""What a weights file holds, whatever model it belongs to: ``.pt`` in the released layout, and ``.safetensors``.

* ``.pt``: the encoder under the first of ``target_encoder``, ``ema_encoder``, ``encoder`` that is there, or under the
  one that is asked for; the predictor under ``predictor``.
* ``.safetensors``, or shards of one with an index: names ``encoder.*`` and ``predictor.*``, the encoder's as here or as
  transformers has them.
* A folder with one of these.

Nothing of a tensor is read before it is asked for. It knows no models and no sidecars.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vjepa_ros.config.folder import weights_file
from vjepa_ros.errors import listed, named
from vjepa_ros.weights import safetensors_file, shards, torch_file, transformers_names
from vjepa_ros.weights.kinds import advice
from vjepa_ros.weights.opened import JoinedTensor, OpenedFile, StoredTensor
from vjepa_ros.weights.tensor_names import put, strip

ENCODER_KEYS = ("target_encoder", "ema_encoder", "encoder")
"""In order of preference: the averaged encoder is the one whose latents the predictor was trained on."""

PARTS = ("encoder", "predictor")

_KEYS = {"encoder": ENCODER_KEYS, "predictor": ("predictor",)}  # by part

_ALONE = {  # what a file is that has only the part which is not wanted
    "encoder": "; it is a predictor: name it as `predictor_checkpoint`, and its encoder's file as `checkpoint`",
    "predictor": "; it is an encoder: name it as `checkpoint`",
}

MOST_NAME_CHARACTERS = 500  # of a tensor; what training wraps around models makes it long, but not that long


@dataclass(frozen=True)
class WeightsFile:
    """An opened file.

    Attributes:
        opened: the file.
        key: the key that the encoder stands under; empty where there is none.
        encoder: what stands there; names without what training wraps around them, values not yet checked.
        predictor: the same of the predictor; None where the file has none.
        is_of_transformers: whether the encoder has transformers' names in the file; here it has ours.
    """

    opened: OpenedFile
    key: str
    encoder: Mapping[str, Any]
    predictor: Mapping[str, Any] | None
    is_of_transformers: bool = False

    @property
    def path(self) -> Path:
        """Of the file."""
        return self.opened.path

    def pieces(self, tensor: StoredTensor | JoinedTensor) -> Iterator[Tensor]:
        """The elements of one of its tensors, as :meth:`OpenedFile.pieces` gives them."""
        return tensor.pieces() if isinstance(tensor, JoinedTensor) else self.opened.pieces(tensor)


@contextmanager
def open_weights(path: str | Path, wanted: str = PARTS[0], encoder_key: str = "") -> Iterator[WeightsFile]:
    """Open a weights file by its ending: ``.safetensors`` or its index, or anything else for torch's own format.

    Args:
        path: of the file, or of a folder that has one.
        wanted: the part that it must have: ``encoder`` or ``predictor``.
        encoder_key: the only key of a ``.pt`` that its encoder is taken from; empty for the usual ones.

    Raises:
        CheckpointError: where the file is not there, cannot be read, is not a checkpoint, is truncated, lacks what is
            wanted, or wants to run code; where it has changed when it is left. The message names the file.
    """
    with ExitStack() as stack:
        opened = stack.enter_context(OpenedFile(weights_file(path)))
        try:
            if opened.path.name.endswith(shards.SUFFIX):
                yield _parts_by_name(opened, shards.read_content(opened, stack), wanted)
            elif opened.path.suffix == ".safetensors":
                stored = safetensors_file.read_content(opened)
                content = {name: JoinedTensor(((opened, tensor),)) for name, tensor in stored.items()}
                yield _parts_by_name(opened, content, wanted)
            else:
                yield _parts_by_key(opened, wanted, encoder_key)
        finally:
            opened.require_unchanged()  # before anything that is said of it, too: that may be why


def _parts_by_key(opened: OpenedFile, wanted: str, encoder_key: str) -> WeightsFile:
    content = torch_file.read_content(opened)
    found = {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}
    key = next((key for key in ENCODER_KEYS if key in found), None)
    if wanted == PARTS[0] and encoder_key and key is not None:
        if encoder_key not in found:
            others = listed([name for name in ENCODER_KEYS if name in found], show=named)
            raise opened.refusal(
                f"has no {encoder_key}, which is where a file of this preset has its encoder; what is under {others} "
                "may be another model of the same shapes: if you know that it is not, name its key as `encoder_key`"
            )
        key = encoder_key
    if not any(name in found for name in _KEYS[wanted]):
        inside = [name for value in found.values() if isinstance(value, dict) for name in value]
        names = [name[:MOST_NAME_CHARACTERS] for name in (*found, *inside) if isinstance(name, str)]
        keys = listed(found, show=named) if found else "no keys"
        is_other = key is not None or "predictor" in found
        what = advice(found, names) or (_ALONE[wanted] if is_other else "")
        raise opened.refusal(f"has no {' or '.join(_KEYS[wanted])}; it has {keys}{what}")
    for name, value in found.items():
        if name in (key, "predictor"):
            if not isinstance(value, dict):
                raise opened.refusal(f"{name} is a {type(value).__name__}, not a dictionary of weights")
            _require_names(opened, name, value)
        elif name not in ENCODER_KEYS and isinstance(value, dict) and any(map(_is_tensor, value.values())):
            # Counters and the optimizer's nested state are of no use here; this looks like a part of the model.
            what = advice((), [inner for inner in value if isinstance(inner, str)])
            raise opened.refusal(f"has weights under {named(name)}, which belong to no part of this model{what}")
    encoder = _unwrapped(opened, key, found[key]) if key else {}
    predictor = _unwrapped(opened, "predictor", found["predictor"]) if "predictor" in found else None
    return WeightsFile(opened, key or "", encoder, predictor)


def _unwrapped(opened: OpenedFile, part: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    unwrapped: dict[str, Any] = {}
    for name, tensor in tensors.items():
        put(unwrapped, strip(name), tensor, name, lambda reason: opened.refusal(f"{part} {reason}"))
    return unwrapped


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (StoredTensor, Tensor))


def _require_names(opened: OpenedFile, part: str, names: Mapping[Any, Any]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise opened.refusal(f"{part} has a name that is no text, but {named(str(name))}")
        if len(name) > MOST_NAME_CHARACTERS:
            raise opened.refusal(f"{part} has a name of {len(name):,} characters, {named(name)}")


def _parts_by_name(opened: OpenedFile, content: Mapping[str, JoinedTensor], wanted: str) -> WeightsFile:
    _require_names(opened, "it", content)
    known: dict[str, JoinedTensor] = {}
    unknown = []
    for name, tensor in content.items():
        part, _, inner = strip(name).partition(".")
        if part in PARTS:
            put(known, f"{part}.{strip(inner)}", tensor, name, opened.refusal)
        else:
            unknown.append(name)
    parts: dict[str, dict[str, JoinedTensor]] = {part: {} for part in PARTS}
    for name, tensor in known.items():
        part, _, inner = name.partition(".")
        parts[part][inner] = tensor
    if not parts[wanted]:
        what = shards.advice(opened.path) or (_ALONE[wanted] if any(parts.values()) else advice(content, content))
        raise opened.refusal(f"has no names that begin with {wanted}.{what}")
    if unknown:
        first = named(min(unknown))
        raise opened.refusal(f"{first} belongs neither to encoder. nor to predictor.{advice((), content)}")
    encoder = parts["encoder"]
    is_of_transformers = transformers_names.are_used(encoder)
    if is_of_transformers:
        encoder = transformers_names.ours(encoder, lambda reason: opened.refusal(f"encoder {reason}"))
    return WeightsFile(opened, "encoder" if encoder else "", encoder, parts["predictor"] or None, is_of_transformers)
