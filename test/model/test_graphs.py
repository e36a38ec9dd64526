"""Recorded computations: the same results as calls, on a GPU; what can be shown without one, without one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support.plan_bench import Bench
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.model import graphs as graphs_module
from vjepa_ros.model import predictor as predictor_module
from vjepa_ros.model.graphs import Compute, Graphs
from vjepa_ros.model.kernels import Kernels, PublicLinear, fused_attention
from vjepa_ros.planning.asked import record_plans
from vjepa_ros.weights import build


@pytest.fixture
def gpu_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers that a GPU is served with."""
    monkeypatch.setattr(
        build, "choose_kernels", lambda device, dtype: Kernels(PublicLinear, fused_attention, None, "a GPU's")
    )


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


@pytest.mark.usefixtures("gpu_kernels")
@pytest.mark.parametrize("encoding", ["clip", "frame_repeat", "frame"])
def test_a_compiler_finds_one_graph_without_a_break(encoding: str) -> None:
    """What is recorded must have static shapes and no Python in between; the compiler's front end says so on a CPU, of
    the layers that a GPU is served with."""
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


class Traced(Graphs):
    """Records on a CPU as a GPU does: what is replayed is a list of operators on memory that stays where it is, so that
    whatever Python decided while it was recorded is decided for good.

    Attributes:
        replays: the shape of the actions of each replay.
    """

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"), compile_first=False)
        self.records = True
        self.replays: list[tuple[int, ...]] = []

    def _record(self, compute: Compute, faster: Compute, inputs: tuple[Tensor, ...]) -> None:
        places = tuple(value.clone() for value in inputs)
        operators = make_fx(faster)(*places)
        output = operators(*places)

        def replay() -> None:
            self.replays.append(tuple(places[1].shape))
            output.copy_(operators(*places))

        recorded: Any = graphs_module._Recorded(SimpleNamespace(replay=replay), places, output)  # type: ignore[arg-type]
        self._recorded[graphs_module._key(compute, inputs)] = recorded


def rollout_inputs(wm: WorldModel, steps: int, candidates: int, horizon: int, seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    sizes = wm.config
    context = torch.nn.functional.layer_norm(draw(1, steps * 16, sizes.latent_dim), (sizes.latent_dim,))
    past, states = draw(1, steps - 1, sizes.action_dim), draw(1, steps, sizes.state_dim)
    return context, past, states, draw(candidates, horizon, sizes.action_dim)


@pytest.mark.usefixtures("gpu_kernels")
@pytest.mark.parametrize(
    "steps, horizon, replays",
    [
        (1, 1, [(4, 1, 7), (3, 1, 7)]),
        (1, 3, [(4, 3, 7), (3, 3, 7)]),
        (5, 4, [(4, 4, 7), (3, 4, 7)]),
        (8, 3, [(4, 1, 7), (3, 1, 7)]),  # after the first forecast the oldest step is pushed out
    ],
)
def test_a_rollout_that_is_replayed_is_one_that_is_called(
    steps: int, horizon: int, replays: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wm = vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=2)
    tokens = 4 * wm.predictor.step_tokens
    monkeypatch.setattr(predictor_module, "_CHUNK_TOKENS", {"cpu": tokens, "gpu": tokens})
    given = [rollout_inputs(wm, steps, 7, horizon, seed) for seed in range(2)]
    called = [wm.rollout(*inputs) for inputs in given]
    wm._graphs = graphs = Traced()
    wm.record_rollout(steps, 7, horizon)
    assert not graphs.replays and len(graphs._recorded) == 2
    replayed = [wm.rollout(*inputs) for inputs in given]  # the second must not change what the first one gave
    assert graphs.replays == replays * 2
    for ours, theirs in zip(replayed, called, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    one = rollout_inputs(wm, steps, 1, horizon, 2)
    with monkeypatch.context() as patched:
        patched.setattr(wm.predictor, "ahead", None)
        ours = wm.rollout(*one)  # of a size that was not recorded
    assert len(graphs.replays) == 4
    wm._graphs = Graphs(torch.device("cpu"), compile_first=False)
    torch.testing.assert_close(ours, wm.rollout(*one), rtol=0, atol=1e-6)


@pytest.mark.usefixtures("gpu_kernels")
@pytest.mark.parametrize("values", [{}, {"samples_decay": 1.5, "iterations": 3}, {"horizon": 8}])
def test_what_a_node_records_is_all_that_its_plans_ask_for(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wm = vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=1)
    called = Bench(wm, **values).plan()
    wm._graphs = graphs = Traced()
    bench = Bench(wm, **values)
    record_plans(wm, bench.planner.config)
    asked: list[tuple[int, ...]] = []
    rollout_from = wm.rollout_from

    def ask(observed: Any, actions: Any, **options: Any) -> Tensor:
        asked.append(tuple(actions.shape))
        return rollout_from(observed, actions, **options)

    monkeypatch.setattr(wm, "rollout_from", ask)
    replayed = bench.plan()
    assert called.plan is not None and replayed.plan is not None and asked
    assert graphs.replays == asked
    np.testing.assert_allclose(replayed.plan.actions, called.plan.actions, rtol=0, atol=1e-5)


class NoHost(TorchDispatchMode):
    """Refuses what cannot be recorded on a GPU: numbers from the host, and numbers that the host waits for."""

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operator.name().split("::")[1].split(".")[0]
        assert name not in ("lift_fresh", "lift_fresh_copy", "_local_scalar_dense", "nonzero", "masked_select"), name
        return operator(*args, **(kwargs or {}))


@pytest.mark.usefixtures("gpu_kernels")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("steps, horizon", [(1, 1), (3, 3)])
def test_nothing_of_a_rollout_comes_from_the_host(steps: int, horizon: int, dtype: str) -> None:
    wm = vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=2, dtype=dtype)
    context, past, states, future = rollout_inputs(wm, steps, 4, horizon, 0)
    with torch.inference_mode():
        newest, *kept = wm.observe(context, past, states).history.of_window(0)
        future = future.to(wm.dtype)
        with pytest.raises(AssertionError, match="lift_fresh"), NoHost():
            torch.tensor([1, 2])
        with NoHost():
            ahead = wm.predictor.ahead(newest, future, future, *kept)
    assert ahead.shape == (4, horizon, 16, 128)


@pytest.mark.usefixtures("gpu_kernels")
def test_without_the_memory_to_record_them_rollouts_are_called(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wm = vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=1)
    wm._graphs = Traced()

    def record(*_: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(wm._graphs, "_record", record)
    wm.record_rollout(2, 3, 1)
    assert "rollouts of 1 steps for 3 candidates are called, not replayed: there is no memory" in caplog.text
    assert wm.rollout(*rollout_inputs(wm, 2, 3, 1, 0)).isfinite().all()


def test_only_one_step_ahead_is_compiled_before_it_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    wm = vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=1)
    wm._graphs = graphs = Traced()
    graphs._compile_first = True
    compiled: list[Any] = []

    def compile_(compute: Compute, dynamic: bool) -> Compute:
        compiled.append(compute)
        return compute

    monkeypatch.setattr(torch, "compile", compile_)
    wm.record_rollout(2, 3, 2)
    assert not compiled
    wm.record_rollout(2, 3, 1)
    assert compiled == [wm.predictor.ahead]


@pytest.mark.usefixtures("gpu_kernels")
@pytest.mark.parametrize("steps, horizon", [(1, 1), (3, 1), (3, 2)])
def test_a_compiler_finds_one_graph_in_a_rollout(steps: int, horizon: int) -> None:
    wm = vjepa_ros.load("tiny_random", encoder_depth=1, predictor_depth=2)
    context, past, states, future = rollout_inputs(wm, steps, 4, horizon, 0)
    with torch.inference_mode():
        newest, *kept = wm.observe(context, past, states).history.of_window(0)
        inputs = newest, future, future, *kept
        torch._dynamo.reset()
        traced = torch.compile(wm.predictor.ahead, backend="eager", fullgraph=True, dynamic=False)
        atol = 1e-6 if horizon == 1 else 1e-5  # rounding goes from step to step
        torch.testing.assert_close(traced(*inputs), wm.predictor.ahead(*inputs), rtol=0, atol=atol)


@pytest.mark.gpu
@pytest.mark.parametrize("steps, horizon, compiled", [(1, 1, False), (1, 1, True), (3, 3, False), (8, 2, True)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_replay_of_a_rollout_is_a_call(
    steps: int, horizon: int, compiled: bool, dtype: str, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    exact = vjepa_ros.load("tiny_random", fast=False)
    wm = vjepa_ros.load("tiny_random", device="cuda", dtype=dtype, compile_graphs=compiled)
    tokens = 4 * wm.predictor.step_tokens
    monkeypatch.setattr(predictor_module, "_CHUNK_TOKENS", {"cpu": tokens, "gpu": tokens})
    given = [rollout_inputs(wm, steps, 7, horizon, seed) for seed in range(2)]
    called = [wm.rollout(*inputs) for inputs in given]
    wm.record_rollout(steps, 7, horizon)
    assert len(wm._graphs._recorded) == 2 and not caplog.records, "neither compiler nor recording have failed"
    replays, replay = [], torch.cuda.CUDAGraph.replay

    def counted(graph: torch.cuda.CUDAGraph) -> None:
        replays.append(graph)
        replay(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", counted)
    replayed = [wm.rollout(*inputs) for inputs in given]  # the second must not change what the first one gave
    assert len(replays) >= 4
    for ours, theirs, inputs in zip(replayed, called, given, strict=True):
        difference = (ours.cpu() - exact.rollout(*inputs)).abs()
        print(f"{dtype}, compiled {compiled}: maximum {difference.max():.1e}, mean {difference.mean():.1e}")
        assert difference.max() < (1e-4 if dtype == "float32" else 0.2)
        assert (ours - theirs).abs().mean() < (1e-5 if dtype == "float32" else 2e-2)


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
