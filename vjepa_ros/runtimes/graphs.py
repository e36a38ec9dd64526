"""Encoder and predictor as ONNX graphs with static shapes, float32 in and out.

What a graph computes is the part as it is trained, and the layer norm behind it. It knows no weights files and nothing
of who runs the graphs.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.tracing import Whole, plainly

OPSET = 17
"""The first one with LayerNormalization; TensorRT reads it since 8.6."""
PARTS = ("encoder", "predictor")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class GraphOf:
    """What goes into the graph of one part and what comes out, float32 each.

    Attributes:
        part: ``encoder`` or ``predictor``.
        inputs, outputs: shapes by name, in order. The first output is the part's own, the second one that
            layer-normalised.
    """

    part: str
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]

    def noise(self, seed: int = 0) -> tuple[Tensor, ...]:
        """Inputs as they may be: standard normal numbers, latents layer-normalised; the same seed gives the same."""
        generator = torch.Generator(device="cpu").manual_seed(seed)
        drawn = {name: torch.randn(shape, generator=generator) for name, shape in self.inputs.items()}
        return tuple(layer_normalize(value) if name == "context" else value for name, value in drawn.items())


def graphs_of(config: ModelConfig) -> dict[str, GraphOf]:
    """The graphs of a model, by part, in the shapes that a node asks for: one window.

    In ``clip`` all frames of a window go through the encoder at once, else those of one step; the predictor sees all
    the steps that a forecast is made from at most.
    """
    grid, steps = Grid.of(config), config.most_context
    clip = (1, 3, config.frames_at_once, *config.image_size)
    seen = (1, Grid.of_clip(config, clip).tokens, config.latent_dim)
    context = (1, steps * grid.tokens_per_step, config.latent_dim)
    conditions = {"actions": (1, steps, config.action_dim), "states": (1, steps, config.state_dim)}
    encoder, predictor = PARTS
    return {
        encoder: GraphOf(encoder, {"clip": clip}, {"raw_latents": seen, "latents": seen}),
        predictor: GraphOf(
            predictor, {"context": context, **conditions}, {"raw_predictions": context, "predictions": context}
        ),
    }


def write_graph(graph: GraphOf, module: nn.Module, path: Path) -> None:
    """Write the graph of a module. Where that takes 2 GB or more, its weights lie in further files beside it.

    Args:
        graph: its inputs and outputs.
        module: an encoder or a predictor, not packed, on the CPU. The graph has the dtype of its weights; what it
            computes in float32 all the same (LayerNorms, sums over layers) is float32 in the graph.
        path: of the new file; the folder is there.

    Raises:
        RuntimeError: where torch cannot export it; also where the package onnx is not installed.
    """
    # By tracing: the exporter that came after it needs one more package, onnxscript, and knows other torches less well.
    # Torch before 2.5 has no other and does not know the word.
    known = inspect.signature(torch.onnx.export).parameters
    options: dict[str, Any] = {"dynamo": False} if "dynamo" in known else {}
    with warnings.catch_warnings(), plainly(module), torch.no_grad():
        # That the tracer will go some day, and that it takes sizes for constants: which is what is wanted.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Whole(module).eval(),
            graph.noise(),
            str(path),
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            **options,
        )
