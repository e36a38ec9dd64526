"""Recorded computations: the same results as calls, on a GPU; what can be shown without one, without one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.model.graphs import Graphs
from vjepa_ros.model.kernels import Kernels, PublicLinear, fused_attention
from vjepa_ros.weights import build


def inputs_of(wm: WorldModel, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    config, steps = wm.config, wm.config.steps
    clip = torch.randn(1, 3, config.num_frames, *config.image_size, generator=generator)
    actions = torch.randn(1, steps, config.action_dim, generator=generator)
    return clip, actions, torch.randn(1, steps, config.state_dim, generator=generator)


def test_off_a_gpu_everything_is_simply_called() -> None:
    calls: list[tuple[int, ...]] = []

    def compute(x: Tensor) -> Tensor:
        calls.append(tuple(x.shape))
        return x * 2

    graphs = Graphs(torch.device("cpu"), compile_first=True)
    graphs.record(compute, torch.ones(3))
    assert calls == []
    assert torch.equal(graphs.run(compute, torch.ones(3)), torch.full((3,), 2.0))
    assert calls == [(3,)]


@pytest.mark.parametrize("encoding", ["clip", "frame_repeat", "frame"])
def test_a_compiler_finds_one_graph_without_a_break(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded must have static shapes and no Python in between; the compiler's front end says so on a CPU, of
    the layers that a GPU is served with."""
    monkeypatch.setattr(
        build, "choose_kernels", lambda device, dtype: Kernels(PublicLinear, fused_attention, None, "a GPU's")
    )
    family, depth = ("vjepa2_1", 4) if encoding == "frame" else ("vjepa2", 2)
    sizes = {"encoder_family": family, "encoder_depth": depth, "predictor_depth": 2}
    wm = vjepa_ros.load("tiny_random", encoding=encoding, fast=True, **sizes)
    clip, actions, states = inputs_of(wm, 0)
    with torch.inference_mode():
        context = wm.encode(clip)
        for part, given in ((wm.encoder, (clip,)), (wm.predictor, (context, actions, states))):
            torch._dynamo.reset()
            traced = torch.compile(part, backend="eager", fullgraph=True, dynamic=False)
            torch.testing.assert_close(traced(*given), part(*given), rtol=0, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("encoding", ["clip", "tubelet", "frame_repeat"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_replay_is_a_call(encoding: str, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # of the patches' convolution
    exact = vjepa_ros.load("tiny_random", encoding=encoding, fast=False)
    wm = vjepa_ros.load("tiny_random", encoding=encoding, device="cuda", dtype="float32", compile_graphs=compiled)
    wm.warm_up()
    assert len(wm._graphs._recorded) == 2
    for seed in range(2):  # the second replay must not change what the first one gave
        clip, actions, states = inputs_of(wm, seed)
        if encoding != "clip":
            clip = clip[:, :, : wm.config.stride]
        latents, wanted = wm.encode(clip), exact.encode(clip)
        difference = (latents.cpu() - wanted).abs()
        print(f"{encoding} {compiled}: maximum {difference.max():.1e}, mean {difference.mean():.1e}")
        assert difference.max() < 1e-4  # other kernels, other rounding
        context = exact.encode(inputs_of(wm, seed)[0])
        predicted = wm.predict(context, actions, states)
        first = predicted.clone()
        wm.predict(-context, actions, states)
        assert torch.equal(predicted, first)
        assert (predicted.cpu() - exact.predict(context, actions, states)).abs().max() < 1e-4
