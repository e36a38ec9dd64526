"""A model's weights out of its files: strictly those that it needs, copied to the dtype and the device that it runs in.

A predictor knows the latents of its own encoder only: both come from one file, or from two that belong together, as
:mod:`vjepa_ros.weights.pairing` sees to. What the files look like is :mod:`vjepa_ros.weights.file`; what may stand next
to a ``.safetensors`` is :mod:`vjepa_ros.config.sidecar`. It knows no presets and no network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn

from vjepa_ros.config.sidecar import Sidecar, sidecar_path
from vjepa_ros.errors import blaming
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.weights import pairing
from vjepa_ros.weights.file import WeightsFile, open_weights
from vjepa_ros.weights.fitting import Found, fit, open_fitting
from vjepa_ros.weights.values import PartHash, Weights, draw, norm_parameters, part_hash

_TELLS = 64  # times that the progress is told


def read_checkpoint(
    path: str | Path,
    encoder: Encoder,
    predictor: Predictor,
    *,
    sidecar: Sidecar | None,
    predictor_path: str | Path | None = None,
    predictor_sidecar: Sidecar | None = None,
    believed: bool = False,
    encoder_key: str = "",
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    norm_dtype: torch.dtype | None = None,
    predictor_seed: int | None = None,
    on_bytes: Callable[[int, int], None] | None = None,
) -> Weights:
    """Read the weights of these two modules; the modules themselves are left as they are.

    Every tensor is read into memory, one after the other and brought to its last place at once: the file may be
    overwritten afterwards, and memory never holds much more than what is returned.

    Args:
        path: of a ``.pt`` or ``.safetensors`` file.
        sidecar: what stands next to it about it (:meth:`vjepa_ros.config.sidecar.Sidecar.of_checkpoint`).
        encoder, predictor: the modules, on the meta device or with memory; for their names, shapes and configuration.
        predictor_path: of another file, whose predictor is taken, and not that of the first one.
        predictor_sidecar: what stands next to that one; it must name the hash of the first one's encoder.
        believed: take the caller's word for it where that one has no sidecar.
        encoder_key: the only key of a ``.pt`` that the encoder is taken from; empty for the usual ones.
        device: where the tensors go; the CPU without one.
        dtype: of the tensors; without one, as they are in the file.
        norm_dtype: of those of LayerNorms; without one, that of the others.
        predictor_seed: leaves the file's predictor alone, if it has one, and draws random weights for it.
        on_bytes: called now and then with (bytes read, bytes to read), as they stand in the files.

    Raises:
        CheckpointError: where a file is not there, not a checkpoint, truncated, wants to run code, changes while it
            is read, or belongs to a model of another shape; where its sidecar tells of another configuration, or of
            other weights; where a predictor was trained with another encoder, or nobody says with which. The message
            names the file, the name in it, and both shapes or hashes.
        RuntimeError: torch's own, where memory or the device fail.
    """
    modules: dict[str, nn.Module] = {"encoder": encoder, "predictor": predictor}
    paired = predictor_path is not None
    with ExitStack() as stack:
        source, other, fitting = open_fitting(
            stack, path, encoder, predictor, sidecar=sidecar, predictor_path=predictor_path,
            predictor_sidecar=predictor_sidecar, believed=believed, encoder_key=encoder_key,
            keeps_predictor=predictor_seed is None,
        )  # fmt: skip
        progress = _Progress(sum(tensor.nbytes for part in fitting.values() for tensor in part.values()), on_bytes)

        def take(part: str, file: WeightsFile) -> tuple[dict[str, Tensor], str]:
            norms = norm_parameters(modules[part])
            dtypes = {name: norm_dtype or dtype if name in norms else dtype for name in fitting[part]}
            return _take(file, fitting[part], device or torch.device("cpu"), dtypes, progress)

        with blaming("checkpoint"):
            taken_encoder, encoder_hash = take("encoder", source)
            hashes = {"encoder": encoder_hash}
            if paired and sidecar is not None:
                sidecar.require_parts(hashes, source.path, sidecar_path(source.path))
        if predictor_sidecar is not None and paired:
            pairing.require_pair(other.path, predictor_sidecar, source.path, encoder_hash)
        taken_predictor: dict[str, Tensor] = {}
        if "predictor" in fitting:
            taken_predictor, hashes["predictor"] = take("predictor", other)
        progress.end()
        decides = predictor_sidecar if paired else sidecar
        if decides is not None:
            read = {"predictor": hashes["predictor"]} if paired else hashes
            decides.require_parts(read, other.path, sidecar_path(other.path))
        notes = pairing.notes(source, sidecar, predictor_sidecar) if paired else ()
    if "predictor" not in fitting:
        assert predictor_seed is not None
        drawn = draw(predictor, torch.Generator(device="cpu").manual_seed(predictor_seed))
        hashes["predictor"] = part_hash(drawn)
        taken_predictor = {name: tensor.to(device, dtype) for name, tensor in drawn.items()}
    return Weights(taken_encoder, taken_predictor, hashes, source.key, trained="predictor" in fitting, notes=notes)


def encoder_hash(path: str | Path, encoder: Encoder, encoder_key: str = "") -> str:
    """The hash of a file's encoder, 64 hex digits: :func:`vjepa_ros.weights.values.part_hash` of what it holds.

    A predictor is paired with its encoder by it, and what was made of the encoder's latents is known again by it. The
    file's format, its key, prefixes and names that no model needs do not change it. Nothing of the file is kept.

    Args:
        path: of a ``.pt`` or ``.safetensors`` file.
        encoder: the module, on the meta device or with memory; for its names and shapes.
        encoder_key: as for :func:`read_checkpoint`.

    Raises:
        CheckpointError: as :func:`read_checkpoint`.
    """
    with open_weights(path, encoder_key=encoder_key) as source:
        fitting = fit(source, source.encoder, encoder, source.key)
        digest = PartHash()
        for name in sorted(fitting):
            digest.begin(name, fitting[name].dtype, fitting[name].shape)
            for piece in source.pieces(fitting[name]):
                digest.update(piece)
    return digest.hexdigest()


def _take(
    source: WeightsFile,
    fitting: Mapping[str, Found],
    device: torch.device,
    dtypes: Mapping[str, torch.dtype | None],
    progress: _Progress,
) -> tuple[dict[str, Tensor], str]:
    """The tensors of a part, and its hash as it stands in the file."""
    digest = PartHash()
    taken: dict[str, Tensor] = {}
    for name in sorted(fitting):
        stored = fitting[name]
        # Contiguous, however it stands in the file: other strides would be another order of summation.
        target = torch.empty(stored.shape, dtype=dtypes[name] or stored.dtype, device=device)
        digest.begin(name, stored.dtype, stored.shape)
        place = 0
        for piece in source.pieces(stored):
            digest.update(piece)
            target.view(-1)[place : place + len(piece)].copy_(piece)
            place += len(piece)
        taken[name] = target
        progress.add(stored.nbytes)
    return taken, digest.hexdigest()


class _Progress:
    """Tells now and then how many bytes of all are read."""

    def __init__(self, total: int, tell: Callable[[int, int], None] | None) -> None:
        self._total, self._tell = total, tell
        self._done = self._told = 0

    def add(self, count: int) -> None:
        self._done += count
        if self._tell is not None and (self._done - self._told) * _TELLS >= self._total:
            self._tell(self._done, self._total)
            self._told = self._done

    def end(self) -> None:
        if self._tell is not None:
            self._tell(self._total, self._total)
