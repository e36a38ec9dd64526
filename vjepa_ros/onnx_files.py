"""Encoder and predictor as ONNX files, tried out, with a JSON file about them.

All of it is in one folder, whole or not there.

It knows no ROS, no network, no command line (:mod:`vjepa_ros.commands.convert` does), and not what the files are for.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import vjepa_ros
from vjepa_ros import devices, files
from vjepa_ros.config.folder import weights_file
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.conversion import TOOL, Recorded, Report
from vjepa_ros.engine.sessions import load_for_graph
from vjepa_ros.errors import CheckpointError, OutputError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.tracing import Whole
from vjepa_ros.runtimes.graphs import OPSET, GraphOf, graphs_of, write_graph
from vjepa_ros.runtimes.onnx_runtime import OnnxRuntime
from vjepa_ros.runtimes.runtime import package
from vjepa_ros.weights.checkpoint import read_checkpoint
from vjepa_ros.weights.values import Weights, model_hash

FORMAT = "vjepa_ros onnx 1"
"""Its number rises when a reader of the old one would understand a new one wrongly."""
DESCRIPTION = "model.json"
DTYPES = {"float32": torch.float32, "float16": torch.float16}
TOLERANCES = {"float32": 1e-4, "float16": 0.05}
"""What a layer-normalised value of a file may differ by from torch's in float32, as onnxruntime computes it on the CPU.
float16: of the models that were measured (docs/runtimes.md), the worst value was off by 0.004."""
MOST_INSIDE = 1_900_000_000
"""Bytes of weights in the file itself; with more they lie beside it, since no file of this kind has 2 GB."""


@dataclass(frozen=True)
class OnnxFile:
    """What the JSON file says of one of the others.

    Attributes:
        part: ``encoder`` or ``predictor``.
        dtype: of its weights and products; LayerNorms and sums over layers are float32 in each.
        inputs, outputs: shape and dtype, by name and in order.
        weights: name of the file that has its weights; empty where they are inside.
        max_difference: how far a value of the layer-normalised output was from torch's in float32.
        tolerance: how far it might have been.
    """

    part: str
    dtype: str
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]
    weights: str
    max_difference: float
    tolerance: float


def write_onnx(
    checkpoint: Path,
    folder: Path,
    recorded: Recorded,
    *,
    encoder_only: bool = False,
    predictor_checkpoint: Path | None = None,
    force: bool = False,
    report: Report = lambda doing, done, total: None,
) -> dict[str, OnnxFile]:
    """Write ``encoder.float32.onnx``, ``predictor.float32.onnx``, both in float16, and ``model.json``.

    Args:
        checkpoint: a ``.pt`` or ``.safetensors`` file, or a folder with one.
        folder: the new folder.
        recorded: the model, and what the JSON file is to say of it.
        encoder_only: leave the predictor out, or do without one.
        predictor_checkpoint: a file whose predictor is taken, and not that of ``checkpoint``.
        force: replace the folder if it is there already.
        report: is told of the progress.

    Returns:
        What was written, by the files' names.

    Raises:
        CheckpointError: where the checkpoint is refused, or what a file computes is not what torch does.
        ConfigError: where onnx or onnxruntime is not installed.
        OutputError: where ``folder`` must not be written.
        OSError: where the disk is full or fails.
        EngineError: where the memory does not suffice, or torch cannot export the model.
    """
    onnx, _ = (package(name, "onnx", "onnx") for name in ("onnx", "onnxruntime"))
    runtime = OnnxRuntime("cpu", "float32")
    source = weights_file(checkpoint)
    for read in (source, predictor_checkpoint):
        if read is not None and folder.exists() and read.resolve().is_relative_to(folder.resolve()):
            raise OutputError(f"{folder}: holds the checkpoint itself; give the output another name")
    files.require_free(folder, force=force)
    with torch.device("meta"):
        encoder, predictor = Encoder(recorded.config), Predictor(recorded.config)
    parts: dict[str, nn.Module] = {"encoder": encoder, "predictor": predictor}
    with devices.failures("exporting"), files.whole((folder,), tool=TOOL, force=force) as new:
        weights = read_checkpoint(
            source,
            encoder,
            predictor,
            sidecar=Sidecar.of_checkpoint(source),
            predictor_path=predictor_checkpoint,
            predictor_sidecar=Sidecar.of_checkpoint(predictor_checkpoint),
            encoder_key=recorded.encoder_key,
            dtype=torch.float32,
            predictor_seed=0 if encoder_only else None,
            on_bytes=lambda done, total: report("reading", done, total),
        )
        if encoder_only:
            del parts["predictor"]
        new[folder].mkdir()
        written: dict[str, OnnxFile] = {}
        size = sum(tensor.nbytes for part in parts for tensor in getattr(weights, part).values())
        done = 0
        report("writing", 0, size)
        for part, module in parts.items():
            for name, said in _of_part(module, part, weights, recorded, new[folder], runtime, onnx):
                written[name] = said
            done += sum(tensor.nbytes for tensor in getattr(weights, part).values())
            getattr(weights, part).clear()
            report("writing", done, size)
        hashes = {part: weights.hashes[part] for part in parts}
        origin = {"file": checkpoint.name, "key": str(weights.checkpoint_key), "hash": model_hash(hashes)}
        (new[folder] / DESCRIPTION).write_text(_description(recorded, origin, hashes, written), encoding="utf-8")
    return written


def _of_part(
    module: nn.Module, part: str, weights: Weights, recorded: Recorded, folder: Path, runtime: OnnxRuntime, onnx: Any
) -> Iterator[tuple[str, OnnxFile]]:
    """Write a part in every dtype, and try out what was written."""
    graph, tensors = graphs_of(recorded.config)[part], getattr(weights, part)
    load_for_graph(module, tensors, torch.float32)
    with torch.inference_mode():
        exact = Whole(module)(*graph.noise())[1]
    for dtype, torch_dtype in DTYPES.items():
        load_for_graph(module, tensors, torch_dtype)
        name = f"{part}.{dtype}.onnx"
        beside = _write(graph, module, folder / name, onnx)
        found = runtime.open(folder / name, graph, output=1)(*graph.noise())
        difference = (found - exact).abs().max().item()
        if not difference <= TOLERANCES[dtype]:  # not a number is no agreement either
            raise CheckpointError(
                f"{name}: onnxruntime gives other {list(graph.outputs)[1]} than torch, by up to {difference:.1e} where "
                f"at most {TOLERANCES[dtype]:.0e} is rounding"
            )
        inputs, outputs = map(_described, (graph.inputs, graph.outputs))
        yield name, OnnxFile(part, dtype, inputs, outputs, beside, float(f"{difference:.3g}"), TOLERANCES[dtype])


def _write(graph: GraphOf, module: nn.Module, path: Path, onnx: Any) -> str:
    """Write a graph; the name of the file with its weights, empty where they are inside."""
    size = sum(parameter.nbytes for parameter in module.parameters())
    scratch = path.parent / f"{path.name}.parts"
    scratch.mkdir()
    write_graph(graph, module, scratch / path.name)
    model = onnx.load(str(scratch / path.name))
    shutil.rmtree(scratch)
    beside = f"{path.name}.data" if size > MOST_INSIDE else ""
    options: dict[str, Any] = {"save_as_external_data": True, "location": beside} if beside else {}
    onnx.save_model(model, str(path), **options)
    onnx.checker.check_model(str(path))
    return beside


def _described(shapes: Any) -> dict[str, dict[str, Any]]:
    return {name: {"shape": list(shape), "dtype": "float32"} for name, shape in shapes.items()}


def _description(
    recorded: Recorded, source: dict[str, str], hashes: dict[str, str], written: dict[str, OnnxFile]
) -> str:
    said = {
        "format": FORMAT,
        "vjepa_ros": vjepa_ros.__version__,
        "opset": OPSET,
        **asdict(recorded.made_for),
        "source": source,
        "parts": hashes,
        "files": {name: asdict(of_file) for name, of_file in written.items()},
    }
    return json.dumps(said, indent=2, allow_nan=False) + "\n"
