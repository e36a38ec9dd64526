"""Other runtimes in the place of torch: what they compute, what torch still does, and what is refused."""

from __future__ import annotations

import builtins
import gc
import sys
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from support.small_sizes import KINDS
from torch import Tensor

import vjepa_ros
from vjepa_ros.config.backends import BACKENDS
from vjepa_ros.config.node import resolve
from vjepa_ros.engine import sessions
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.forecast.forecaster import load_model
from vjepa_ros.runtimes import onnx_runtime, openvino_runtime
from vjepa_ros.runtimes.runtime import find_runtime

OTHERS = [name for name in BACKENDS if name != "torch"]


def loaded(backend: str, kind: str = "clip", **options: Any) -> WorldModel:
    """A small model with random weights, where the backend is installed."""
    if backend != "torch":
        pytest.importorskip(backend)
    return vjepa_ros.load("tiny_random", **KINDS[kind], backend=backend, **options)


def inputs_of(wm: WorldModel, seed: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A clip, and a context with actions and states, in the shapes of a node."""
    generator = torch.Generator().manual_seed(seed)
    config, steps = wm.config, wm.config.most_context
    sizes = (
        (1, 3, config.frames_at_once, *config.image_size),
        (1, steps * wm.grid.tokens_per_step, config.latent_dim),
        (1, steps, config.action_dim),
        (1, steps, config.state_dim),
    )
    clip, context, actions, states = (torch.randn(size, generator=generator) for size in sizes)
    return clip, context, actions, states


def outputs(wm: WorldModel) -> list[Tensor]:
    clip, context, actions, states = inputs_of(wm)
    return [wm.encode(clip), wm.encode(clip, normalize=False), wm.predict(context, actions, states)]


def calls_of(wm: WorldModel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that torch is asked for from now on, by their classes."""
    called: list[str] = []
    for module in (wm.encoder, wm.predictor):
        whole = module.forward

        def noted(*values: Tensor, name: str = type(module).__name__, whole: Any = whole) -> Tensor:
            called.append(name)
            return whole(*values)

        monkeypatch.setattr(module, "forward", noted)
    return called


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", OTHERS)
def test_it_computes_what_torch_does(backend: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wm, plain = loaded(backend, kind), loaded("torch", kind)
    assert wm.weights_hash == plain.weights_hash and plain.backend == ""
    assert wm.backend.startswith(f"{backend} ") and wm.backend.endswith("from torch")
    called = calls_of(wm, monkeypatch)
    for ours, torchs in zip(outputs(wm), outputs(plain), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, torchs, atol=5e-5, rtol=0)
    assert called == []


@pytest.mark.parametrize(
    "backend, dtype, limit",
    [("onnxruntime", "float16", 0.02), ("openvino", "float16", 0.02), ("openvino", "bfloat16", 0.2)],
)
def test_half_precision(backend: str, dtype: str, limit: float) -> None:
    wm, exact = loaded(backend, dtype=dtype), loaded("torch")
    assert wm.dtype == getattr(torch, dtype)
    for ours, torchs in zip(outputs(wm), outputs(exact), strict=True):
        assert 0 < (ours - torchs).abs().max() < limit


@pytest.mark.parametrize("backend", OTHERS)
def test_what_it_was_not_made_for_is_torchs(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wm, plain = loaded(backend), loaded("torch")
    called = calls_of(wm, monkeypatch)
    clip, context, actions, states = inputs_of(wm)
    tokens = wm.grid.tokens_per_step
    for model in (plain, wm):
        two = model.encode(torch.cat([clip, clip]))
        short = model.predict(context[:, :tokens], actions[:, :1], states[:, :1])
        ahead = model.rollout(context[:, :tokens], actions[:, :0], states[:, :1], torch.zeros(3, 2, 7))
        if model is plain:
            wanted = [two, short, ahead]
    assert called == ["Encoder", "Predictor"]  # rollouts go from kept keys on
    for found, want in zip([two, short, ahead], wanted, strict=True):
        assert torch.equal(found, want)


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("fast", [True, False])
def test_packed_or_not(backend: str, fast: bool) -> None:
    wm = loaded(backend, fast=fast)
    wm.warm_up()
    assert bool(wm.kernels) is fast
    torch.testing.assert_close(outputs(wm)[2], outputs(loaded("torch", fast=fast))[2], atol=5e-5, rtol=0)


@pytest.mark.parametrize("backend", OTHERS)
def test_results_are_the_callers_and_do_not_change(backend: str) -> None:
    wm = loaded(backend)
    first = wm.encode(inputs_of(wm, 1)[0])
    kept = first.clone()
    second = wm.encode(inputs_of(wm, 2)[0])
    assert torch.equal(first, kept) and not torch.equal(first, second)
    assert torch.equal(wm.encode(inputs_of(wm, 1)[0]), kept)


@pytest.mark.parametrize("backend", OTHERS)
def test_memory_is_free_with_the_model(backend: str) -> None:
    wm = loaded(backend)
    held = [weakref.ref(session) for _, session in wm._graphs._sessions.values()]
    assert len(held) == 2
    del wm
    gc.collect()
    assert [reference() for reference in held] == [None, None]


@pytest.mark.parametrize("backend", OTHERS)
def test_a_node_has_it_by_a_parameter(backend: str) -> None:
    pytest.importorskip(backend)
    joints = [f"joint{number}" for number in range(7)]
    config = resolve({"joint_names": joints, "threads": 1, "engine.backend": backend})
    assert config.engine.backend == backend
    model = load_model(config)
    assert model.backend.startswith(backend)


# -- what is refused


def refusal(backend: str, device: str = "cpu", dtype: str = "float32") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        find_runtime(backend, device, dtype)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    return caught.value


@pytest.mark.parametrize("backend", ["", "tensorrt", 3])
def test_a_backend_that_there_is_not(backend: Any) -> None:
    assert refusal(backend).parameter == "engine.backend"
    with pytest.raises(ConfigError, match=r"^engine.backend: .* is not one of torch, onnxruntime, openvino$"):
        vjepa_ros.load("tiny_random", backend=backend)


@pytest.mark.parametrize(
    "backend, missing, extra",
    [("onnxruntime", "onnxruntime", "onnx"), ("onnxruntime", "onnx", "onnx"), ("openvino", "openvino", "openvino"),
     ("openvino", "onnx", "openvino")],
)  # fmt: skip
def test_a_package_that_is_missing(backend: str, missing: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing != backend:
        pytest.importorskip(backend)
    monkeypatch.setitem(sys.modules, missing, None)
    error = refusal(backend)
    assert error.parameter == "engine.backend"
    assert f"the package {missing} is needed" in error.reason and f"pip install 'vjepa_ros[{extra}]'" in error.reason


def test_torch_imports_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def only_others(name: str, *rest: Any) -> Any:
        assert name.split(".")[0] not in ("onnx", "onnxruntime", "openvino"), name
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", only_others)
    loaded("torch").warm_up()


def test_devices_and_dtypes_that_a_runtime_does_not_have() -> None:
    pytest.importorskip("onnxruntime")
    assert refusal("onnxruntime", dtype="bfloat16").parameter == "dtype"
    assert refusal("onnxruntime", device="meta").parameter in ("device", "engine.backend")
    assert refusal("openvino", dtype="int8").parameter == "dtype"


@pytest.mark.parametrize("device", ["cuda", "", "cpu:x", "GPU.7", "npu.3", 5])
def test_devices_that_openvino_does_not_have(device: Any) -> None:
    pytest.importorskip("openvino")
    assert refusal("openvino", device=device).parameter == "device"


def test_a_gpu_that_this_onnxruntime_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnx_runtime, "find_device", lambda name: torch.device("cuda"))
    error = refusal("onnxruntime", device="cuda")
    assert error.parameter == "engine.backend" and "'CPU'" in error.reason


def test_openvino_takes_a_gpu_where_there_is_one() -> None:
    own = openvino_runtime._own_device
    assert own("auto", ["CPU", "GPU", "NPU"]) == "GPU"
    assert own("auto", ["CPU", "GPU.0", "GPU.1"]) == "GPU.0"
    assert own("auto", ["CPU", "NPU"]) == own("cpu", ["CPU"]) == "CPU"
    assert own("gpu.1", ["CPU", "GPU.0", "GPU.1"]) == "GPU.1"
    assert own("gpu", ["CPU", "GPU.0", "GPU.1"]) == "GPU"
    assert own("NPU", ["CPU", "NPU"]) == "NPU"


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("wrong", [1.0, float("nan")])
def test_what_does_not_agree_with_torch_is_refused(backend: str, wrong: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(backend)
    kind = onnx_runtime.OnnxSession if backend == "onnxruntime" else openvino_runtime.OpenVinoSession
    whole = kind.__call__
    noise = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(kind, "__call__", lambda self, *inputs: whole(self, *inputs) + wrong * noise)
    with pytest.raises(ConfigError, match=f"^engine.backend: {backend} .* gives other latents than torch, by up to"):
        loaded(backend)


@pytest.mark.parametrize("backend", OTHERS)
def test_a_runtime_that_fails_is_an_engine_error(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wm = loaded(backend)
    clip = inputs_of(wm)[0]
    for _, session in wm._graphs._sessions.values():
        session._graph = type(session._graph)("encoder", {"nothing of the name": (1,)}, session._graph.outputs)
    monkeypatch.setattr(wm._graphs, "_session", lambda compute, inputs: wm._graphs._sessions[compute][1])
    with pytest.raises(EngineError, match="^encoding failed: "):
        wm.encode(clip)


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(sessions.tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(
        ConfigError, match=r"^engine.backend: .* cannot take this model: its graph cannot be written to "
    ):
        loaded("openvino")


def test_no_files_are_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(sessions.tempfile, "tempdir", str(tmp_path))
    for backend in OTHERS:
        wm = loaded(backend)
        assert list(tmp_path.iterdir()) == []
        assert np.isfinite(outputs(wm)[0].numpy()).all()
