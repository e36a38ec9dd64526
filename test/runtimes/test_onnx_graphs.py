"""The model's parts as ONNX graphs: static, of no operator but the standard's, and the model that they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.small_sizes import KINDS

import vjepa_ros
from vjepa_ros.engine.sessions import load_for_graph
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.model.blocks import Attention, layer_normalize
from vjepa_ros.model.kernels import attention
from vjepa_ros.model.tracing import plain_attention, plainly
from vjepa_ros.runtimes.graphs import OPSET, graphs_of, write_graph


def small(kind: str, **options: Any) -> WorldModel:
    """Layers that are not packed, with random weights."""
    return vjepa_ros.load("tiny_random", **KINDS[kind], fast=False, **options)


def parts_of(wm: WorldModel) -> dict[str, torch.nn.Module]:
    return {"encoder": wm.encoder, "predictor": wm.predictor}


def shape_of(value: Any) -> tuple[int | str, ...]:
    return tuple(side.dim_value or side.dim_param for side in value.type.tensor_type.shape.dim)


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_computes_what_the_part_does(kind: str, tmp_path: Path) -> None:
    """By onnx's own reference evaluator, which knows nothing of any runtime."""
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    wm = small(kind)
    for part, module in parts_of(wm).items():
        graph, path = graphs_of(wm.config)[part], tmp_path / f"{part}.onnx"
        write_graph(graph, module, path)
        model = onnx.load(str(path))
        onnx.checker.check_model(model, full_check=True)
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
        assert {value.name: shape_of(value) for value in model.graph.input} == graph.inputs
        assert {value.name: shape_of(value) for value in model.graph.output} == graph.outputs
        inputs = graph.noise(seed=3)
        with torch.no_grad():
            own = module(*inputs)
        feed = {name: value.numpy() for name, value in zip(graph.inputs, inputs, strict=True)}
        found = ReferenceEvaluator(model).run(None, feed)
        assert found[0].dtype == np.float32
        np.testing.assert_allclose(found[0], own.numpy(), atol=2e-5, err_msg=part)
        np.testing.assert_allclose(found[1], layer_normalize(own).numpy(), atol=5e-5, err_msg=part)


def test_float16_graphs_keep_norms_and_sums_in_float32(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    wm = small("clip")
    graph = graphs_of(wm.config)["predictor"]
    weights = dict(wm.predictor.named_parameters())
    load_for_graph(wm.predictor, weights, torch.float16)
    write_graph(graph, wm.predictor, tmp_path / "half.onnx")
    model = onnx.load(str(tmp_path / "half.onnx"))
    inner = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    known = {value.name: value.type.tensor_type.elem_type for value in (*inner.value_info, *inner.input, *inner.output)}
    known |= {tensor.name: tensor.data_type for tensor in inner.initializer}
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT

    def types(operator: str) -> set[int]:
        return {known[name] for node in inner.node if node.op_type == operator for name in node.input}

    assert types("LayerNormalization") == {single} and types("MatMul") == {half}
    sums = [node for node in inner.node if node.op_type == "Add" and "blocks" not in node.input[0]]
    assert sums, "none"
    assert {value.type.tensor_type.elem_type for value in (*inner.input, *inner.output)} == {single}


def test_the_shapes_are_those_that_a_node_asks_for() -> None:
    config = small("frame_repeat").config  # 4 frames, each a step; a forecast from the newest 3
    graphs = graphs_of(config)
    assert graphs["encoder"].inputs == {"clip": (1, 3, 1, 32, 48)}
    assert graphs["encoder"].outputs == {"raw_latents": (1, 6, 64), "latents": (1, 6, 64)}
    assert graphs["predictor"].inputs == {"context": (1, 18, 64), "actions": (1, 3, 7), "states": (1, 3, 7)}
    config = small("2.1 all levels").config
    graphs = graphs_of(config)
    assert graphs["encoder"].inputs == {"clip": (1, 3, 4, 32, 48)}
    assert graphs["encoder"].outputs["latents"] == graphs["predictor"].inputs["context"] == (1, 12, 256)


def test_plain_attention_is_attention() -> None:
    query, key, value = torch.randn(3, 2, 4, 5, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(plain_attention(query, key, value), attention(query, key, value), atol=1e-6, rtol=0)


def test_a_module_is_as_before_once_it_was_traced() -> None:
    wm = small("clip")
    before = [part.attend for part in wm.encoder.modules() if isinstance(part, Attention)]
    assert len(before) == 2 and plain_attention not in before
    with pytest.raises(KeyError), plainly(wm.encoder):
        assert {part.attend for part in wm.encoder.modules() if isinstance(part, Attention)} == {plain_attention}
        raise KeyError
    assert [part.attend for part in wm.encoder.modules() if isinstance(part, Attention)] == before
