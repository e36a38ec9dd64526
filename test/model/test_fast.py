"""Every fast path against the plain one: what is computed in less time must be the same numbers."""

from __future__ import annotations

import copy
import gc
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.reference import encoder_pair, predictor_pair, small_config
from torch import Tensor, nn

import vjepa_ros
from vjepa_ros.config.model import ModelConfig
from vjepa_ros.devices import cpu_computes_bfloat16
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.model.block import layer_normalize
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.fast import kernels
from vjepa_ros.model.fast.encoder import FastEncoder
from vjepa_ros.model.fast.kernels import Kernels, PublicLinear, attention_by_products, choose_kernels, fused_attention
from vjepa_ros.model.fast.predictor import FastPredictor
from vjepa_ros.model.predictor import Predictor

CPU = torch.device("cpu")
TOLERANCE = 1e-5  # of layer-normalised values, float32
PUBLIC = Kernels(PublicLinear, fused_attention, "")
ENCODINGS = ("clip", "tubelet", "frame_repeat")
# bfloat16: the fast path loses less than the plain one on average; which value is off most is chance.
HALF_MEAN, HALF_MAXIMUM = 1.0, 1.5


def config(**changes: object) -> ModelConfig:
    return small_config(**{"image_size": (64, 96), "encoder_dim": 128, "encoder_heads": 2, **changes})


def in_dtype(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy whose weights have that dtype, and whose tables stay float32."""
    other = copy.deepcopy(module).to(dtype)
    other.rope.float()
    return other


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def compared(what: str, ours: Tensor, plain: Tensor, true: Tensor | None = None) -> None:
    """Print and judge; ``true``, where the dtype is a half one, is the plain float32 result."""
    difference = (ours.float() - (plain if true is None else true).float()).abs()
    text = f"{what}: maximum {difference.max():.2e}, mean {difference.mean():.2e}"
    if true is None:
        print(text)
        assert difference.max() <= TOLERANCE
        return
    own = (plain.float() - true.float()).abs()
    print(f"{text}; the plain path's {own.max():.2e}, {own.mean():.2e}")
    assert difference.mean() <= HALF_MEAN * own.mean() and difference.max() <= HALF_MAXIMUM * own.max()
    assert difference.mean() > 0, "nothing was rounded: this is not half precision"


def available() -> list[Kernels]:
    """The fallback, and what this machine is served with."""
    return [PUBLIC, choose_kernels(CPU, torch.float32)]


@pytest.mark.parametrize("chosen", available(), ids=["public", "chosen"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encoder(encoding: str, chosen: Kernels) -> None:
    plain, _ = encoder_pair(config(encoding=encoding))
    fast = FastEncoder(copy.deepcopy(plain), chosen)
    clip = drawn(2, 3, 8, 64, 96)
    with torch.inference_mode():
        ours = fast(clip)
        compared(f"{encoding}, {chosen.name}", layer_normalize(ours), layer_normalize(plain(clip)))
        assert ours.shape == plain(clip).shape
        for index in range(2):
            alone = layer_normalize(fast(clip[index : index + 1]))
            assert (alone[0] - layer_normalize(ours)[index]).abs().max() <= TOLERANCE


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encoder_in_bfloat16(encoding: str) -> None:
    exact, _ = encoder_pair(config(encoding=encoding))
    plain = in_dtype(exact, torch.bfloat16)
    assert isinstance(plain, Encoder)
    plain.patch_embed.fold()
    fast = FastEncoder(copy.deepcopy(plain), choose_kernels(CPU, torch.bfloat16))
    clip = drawn(1, 3, 8, 64, 96)
    with torch.inference_mode():
        true, half = exact(clip), plain(clip.bfloat16())
        compared(encoding, fast(clip.bfloat16()), half, true)


@pytest.mark.parametrize("steps", [1, 2, 8])
@pytest.mark.parametrize("chosen", available(), ids=["public", "chosen"])
def test_predictor_without_a_mask(chosen: Kernels, steps: int) -> None:
    settings = config()
    plain, _ = predictor_pair(settings)
    fast = FastPredictor(copy.deepcopy(plain), chosen)
    tokens = steps * plain.grid.tokens_per_step
    context = layer_normalize(drawn(2, tokens, settings.encoder_dim))
    actions, states = drawn(2, steps, settings.action_dim), drawn(2, steps, settings.state_dim, seed=1)
    with torch.inference_mode():
        ours, theirs = fast(context, actions, states), plain(context, actions, states)
        compared(f"{steps} steps, {chosen.name}", layer_normalize(ours), layer_normalize(theirs))


def test_predictor_in_bfloat16() -> None:
    settings = config()
    exact, _ = predictor_pair(settings)
    plain = in_dtype(exact, torch.bfloat16)
    fast = FastPredictor(copy.deepcopy(plain), choose_kernels(CPU, torch.bfloat16))
    context = layer_normalize(drawn(1, exact.grid.tokens, settings.encoder_dim))
    inputs = context, drawn(1, 8, settings.action_dim), drawn(1, 8, settings.state_dim, seed=1)
    with torch.inference_mode():
        half = [value.bfloat16() for value in inputs]
        compared("predictor", fast(*half), plain(*half), exact(*inputs))


@pytest.fixture(scope="module")
def pair() -> tuple[WorldModel, WorldModel]:
    """The same model, fast and plain: 8 steps of 16 tokens."""
    return vjepa_ros.load("tiny"), vjepa_ros.load("tiny", fast=False)


def asked(wm: WorldModel, steps: int, candidates: int, horizon: int) -> tuple[Tensor, ...]:
    context = layer_normalize(drawn(1, steps * wm.grid.tokens_per_step, wm.config.encoder_dim))
    return context, drawn(1, steps - 1, 7, seed=1), drawn(1, steps, 7, seed=2), drawn(candidates, horizon, 7, seed=3)


@pytest.mark.parametrize(
    "steps, candidates, horizon",
    [(1, 1, 1), (1, 3, 8), (3, 5, 4), (7, 2, 2), (8, 2, 1)]  # all of it is kept
    + [(1, 2, 9), (7, 2, 4), (8, 3, 3)],  # the oldest steps are pushed out on the way
)
def test_rollouts_go_on_from_what_is_kept(
    pair: tuple[WorldModel, WorldModel], steps: int, candidates: int, horizon: int
) -> None:
    fast, plain = pair
    inputs = asked(fast, steps, candidates, horizon)
    ours = fast.rollout(*inputs)
    assert ours.shape == (candidates, horizon, 16, 128)
    compared(f"{steps} steps, {candidates} candidates, {horizon} ahead", ours, plain.rollout(*inputs))


@pytest.mark.parametrize("steps, candidates, horizon", [(3, 5, 4), (8, 2, 1)])
def test_candidates_that_attend_together_as_on_a_gpu(
    pair: tuple[WorldModel, WorldModel], steps: int, candidates: int, horizon: int
) -> None:
    together = vjepa_ros.load("tiny")
    assert isinstance(together.predictor, FastPredictor)
    together.predictor.one_by_one = False
    inputs = asked(together, steps, candidates, horizon)
    compared("together", together.rollout(*inputs), pair[1].rollout(*inputs))


def test_more_candidates_than_go_through_a_layer_together(pair: tuple[WorldModel, WorldModel]) -> None:
    fast, plain = pair
    inputs = asked(fast, 3, 400, 2)
    compared("400 candidates", fast.rollout(*inputs), plain.rollout(*inputs))


def test_one_history_serves_many_rollouts_and_is_not_changed_by_them(pair: tuple[WorldModel, WorldModel]) -> None:
    fast, _ = pair
    context, actions, states, future = asked(fast, 4, 5, 3)
    history = fast.observe(context, actions, states)
    first = fast.rollout_from(history, future)
    fast.rollout_from(history, -future[:2, :2])
    fast.rollout_from(history, torch.cat([future, -future]))
    assert torch.equal(fast.rollout_from(history, future), first)
    assert torch.equal(fast.rollout(context, actions, states, future), first)


def test_context_steps_limit_rollouts_alike() -> None:
    fast, plain = (vjepa_ros.load("tiny", context_steps=3, fast=fast) for fast in (True, False))
    for steps in (1, 3, 8):
        inputs = asked(fast, steps, 2, 4)
        compared(f"{steps} steps", fast.rollout(*inputs), plain.rollout(*inputs))


def test_rollout_in_bfloat16(pair: tuple[WorldModel, WorldModel]) -> None:
    _, exact = pair
    fast, plain = (vjepa_ros.load("tiny", dtype="bfloat16", fast=fast) for fast in (True, False))
    inputs = asked(exact, 3, 4, 3)
    compared("rollout", fast.rollout(*inputs), plain.rollout(*inputs), exact.rollout(*inputs))


def test_attention_by_products_is_attention() -> None:
    query, key, value = drawn(2, 3, 50, 16), drawn(2, 3, 70, 16, seed=1), drawn(2, 3, 70, 16, seed=2)
    ours, fused = attention_by_products(query, key, value), fused_attention(query, key, value)
    assert ours.shape == fused.shape == (2, 50, 3, 16)
    compared("float32", ours, fused)


class Lacking:
    """Operators of a torch that has none of the private ones, or others under their names."""

    def __init__(self, **operators: object) -> None:
        self.__dict__.update(operators)


def test_without_the_private_operators_the_public_ones_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_kernels(CPU, torch.float16).linear is PublicLinear
    for broken in (Lacking(), Lacking(_reorder_linear_weight=lambda weight: weight)):
        with monkeypatch.context() as patched:
            patched.setattr(kernels.torch.ops, "mkldnn", broken)
            chosen = choose_kernels(CPU, torch.float32)
            assert chosen.linear is PublicLinear and "torch's linear layers" in chosen.name


def test_operators_that_compute_something_else_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    real = kernels.PackedLinear.__call__

    def wrong(self: kernels.PackedLinear, x: Tensor, *, gelu: bool = False, add: Tensor | None = None) -> Tensor:
        return real(self, x, gelu=gelu, add=add) + (0.01 if gelu else 0)

    if choose_kernels(CPU, torch.float32).linear is PublicLinear:
        pytest.fail("this machine's torch has no packed layers: the fast path would be tested one way only")
    monkeypatch.setattr(kernels.PackedLinear, "__call__", wrong)
    assert choose_kernels(CPU, torch.float32).linear is PublicLinear


def test_on_a_cpu_that_imitates_bfloat16_attention_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    for computes, attend in ((True, attention_by_products), (False, fused_attention)):
        monkeypatch.setattr(kernels, "cpu_computes_bfloat16", lambda computes=computes: computes)
        assert choose_kernels(CPU, torch.bfloat16).attend is attend
        assert choose_kernels(CPU, torch.float32).attend is fused_attention


@pytest.mark.parametrize(
    "text, computes",
    [
        ("flags\t\t: fpu avx512f avx512_bf16 sha_ni\n", True),
        ("flags\t\t: fpu avx512f avx512_bf\n", False),
        ("Features\t: fp asimd bf16\n", True),
        ("model name : bf16\n", False),
    ],
)
def test_what_a_cpu_says_of_bfloat16(text: str, computes: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text, encoding="ascii")
    assert cpu_computes_bfloat16(tmp_path / "cpuinfo") is computes
    assert not cpu_computes_bfloat16(tmp_path / "none")


def test_norms_stay_float32_where_the_layers_are_bfloat16(tmp_path: Path) -> None:
    """A gain of 1.001 is 1.0 in bfloat16."""
    wm = vjepa_ros.load("tiny", dtype="bfloat16")
    assert isinstance(wm.encoder, FastEncoder)
    plain = Encoder(wm.config)
    torch.nn.init.constant_(plain.norm.weight, 1.001)
    weights = {f"encoder.{name}": tensor.detach() for name, tensor in plain.named_parameters()}
    weights |= {f"predictor.{name}": tensor.detach() for name, tensor in Predictor(wm.config).named_parameters()}
    save_file(weights, tmp_path / "weights.safetensors")
    loaded = vjepa_ros.load("tiny", checkpoint=str(tmp_path / "weights.safetensors"), dtype="bfloat16").encoder
    assert isinstance(loaded, FastEncoder)
    assert (loaded._norm._weight == torch.tensor(1.001)).all()


def test_nothing_is_in_memory_twice() -> None:
    plain, _ = encoder_pair(config())
    FastEncoder(plain, PUBLIC)
    left = [name for name, _ in plain.named_parameters() if ".attn." in name or ".mlp." in name]
    assert left == []
    predictor, _ = predictor_pair(config())
    fast, mask = FastPredictor(predictor, PUBLIC), weakref.ref(predictor.causal_mask)
    del predictor
    gc.collect()
    assert mask() is None, "the mask goes with the plain predictor"
    assert fast.grid.steps == 8
