"""Encoder and predictor, packed and not, against the arbiter (:mod:`support.plain_model`): the same numbers.

The public code is the arbiter of both in test_encoder.py and test_predictor.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support import plain_model
from support.forms import CPU, FORMS, TOLERANCE, compared, drawn, in_form, predictor_inputs, weights_of, wide_config
from support.reference import encoder_pair, predictor_pair
from torch import Tensor

import vjepa_ros
from vjepa_ros.devices import cpu_flags
from vjepa_ros.model import kernels
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.kernels import PublicLinear, attention_by_products, choose_kernels, fused_attention
from vjepa_ros.model.predictor import Predictor

ENCODINGS = ("clip", "tubelet", "frame_repeat")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encoder(encoding: str, form: str) -> None:
    settings = wide_config(encoding=encoding)
    exact, _ = encoder_pair(settings)
    ours, clip = in_form(exact, form), drawn(2, 3, 8, 64, 96)
    with torch.inference_mode():
        latents, plain = ours(clip), plain_model.encode(settings, weights_of(exact), clip)
        compared(f"{encoding}, {form}", layer_normalize(latents), layer_normalize(plain))
        for index in range(2):
            alone = layer_normalize(ours(clip[index : index + 1]))
            assert (alone[0] - layer_normalize(latents)[index]).abs().max() <= TOLERANCE


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encoder_in_bfloat16(encoding: str, form: str) -> None:
    settings = wide_config(encoding=encoding)
    exact, _ = encoder_pair(settings)
    ours, clip = in_form(exact, form, torch.bfloat16), drawn(1, 3, 8, 64, 96)
    with torch.inference_mode():
        true = plain_model.encode(settings, weights_of(exact), clip)
        half = plain_model.encode(settings, weights_of(exact, torch.bfloat16), clip.bfloat16())
        latents = ours(clip.bfloat16())
        assert latents.dtype == torch.float32
        compared(f"{encoding}, {form}", latents, half, true)


@pytest.mark.parametrize("steps", [1, 2, 8])
@pytest.mark.parametrize("extrinsics", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_predictor_without_a_mask(form: str, extrinsics: bool, steps: int) -> None:
    exact, _ = predictor_pair(wide_config(), extrinsics)
    ours, inputs = in_form(exact, form), predictor_inputs(exact, steps, 2)
    with torch.inference_mode():
        plain = plain_model.predict(exact.config, weights_of(exact), *inputs)
        compared(f"{steps} steps, {form}", layer_normalize(ours(*inputs)), layer_normalize(plain))


@pytest.mark.parametrize("extrinsics", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_predictor_in_bfloat16(form: str, extrinsics: bool) -> None:
    exact, _ = predictor_pair(wide_config(), extrinsics)
    ours, inputs = in_form(exact, form, torch.bfloat16), predictor_inputs(exact, 8, 1)
    half = [value.bfloat16() for value in inputs]
    with torch.inference_mode():
        plain = plain_model.predict(exact.config, weights_of(exact, torch.bfloat16), *half)
        compared(form, ours(*half), plain, plain_model.predict(exact.config, weights_of(exact), *inputs))


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
        pytest.fail("this machine's torch has no packed layers: packing would be tested one way only")
    monkeypatch.setattr(kernels.PackedLinear, "__call__", wrong)
    assert choose_kernels(CPU, torch.float32).linear is PublicLinear


@pytest.mark.parametrize(
    "text, attend",
    [
        ("flags\t\t: fpu avx512f avx512_bf16 sha_ni\n", attention_by_products),
        ("flags\t\t: fpu avx512f avx512_bf\n", fused_attention),
        ("flags\t\t: fpu avx2\n", fused_attention),
        ("flags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile amx_int8\n", fused_attention),
        ("Features\t: fp asimd bf16\n", attention_by_products),
        ("model name : bf16\n", fused_attention),
        ("", fused_attention),
    ],
)
def test_attention_in_bfloat16_is_what_the_processor_is_fast_at(
    text: str, attend: kernels.Attend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text, encoding="ascii")
    flags = cpu_flags(tmp_path / "cpuinfo")
    monkeypatch.setattr(kernels, "cpu_flags", lambda: flags)
    assert choose_kernels(CPU, torch.bfloat16).attend is attend
    assert choose_kernels(CPU, torch.float32).attend is fused_attention


@pytest.mark.parametrize(
    "flags, inside",
    [({"avx2"}, False), ({"avx2", "avx512f"}, True), ({"avx2", "avx512f", "amx_bf16"}, True), ({"asimd"}, True)],
)
def test_gelu_is_where_the_processor_is_fast_at_it(
    flags: set[str], inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = torch.ops.aten.gelu_.default

    def gelu(x: Tensor) -> Tensor:
        calls.append(x.shape)
        return real(x)

    weight, bias, x = drawn(16, 8), drawn(16, seed=1), drawn(3, 8, seed=2)
    monkeypatch.setattr(kernels, "cpu_flags", lambda: frozenset(flags))
    monkeypatch.setattr(torch.ops.aten.gelu_, "default", gelu)
    for dtype, apart in ((torch.float32, not inside), (torch.bfloat16, False)):
        layer = choose_kernels(CPU, dtype).linear(weight.to(dtype), bias.to(dtype))
        calls.clear()
        assert layer(x.to(dtype)).shape == (3, 16) and not calls
        found = layer(x.to(dtype), gelu=True)
        assert bool(calls) is apart
        if dtype == torch.float32:
            compared("gelu", found, PublicLinear(weight, bias)(x, gelu=True))


def test_a_machine_that_says_nothing_of_its_cpu(tmp_path: Path) -> None:
    assert cpu_flags(tmp_path / "none") == frozenset()


@pytest.mark.parametrize("form", ["public", "chosen"])
def test_norms_stay_float32_where_packed_layers_are_bfloat16(form: str) -> None:
    """Those of a module that is cast as a whole come back to float32, rounded as they are."""
    exact, _ = encoder_pair(wide_config())
    packed = in_form(exact, form, torch.bfloat16)
    assert {parameter.dtype for parameter in packed.parameters()} == {torch.float32}
    assert packed.rope.cos.dtype == torch.float32


def test_norms_are_loaded_as_float32_where_the_layers_are_bfloat16(tmp_path: Path) -> None:
    """A gain of 1.001 is 1.0 in bfloat16."""
    wm = vjepa_ros.load("tiny_random", dtype="bfloat16")
    plain = Encoder(wm.config)
    torch.nn.init.constant_(plain.norm.weight, 1.001)
    weights = {f"encoder.{name}": tensor.detach() for name, tensor in plain.named_parameters()}
    weights |= {f"predictor.{name}": tensor.detach() for name, tensor in Predictor(wm.config).named_parameters()}
    save_file(weights, tmp_path / "weights.safetensors")
    loaded = vjepa_ros.load("tiny_random", checkpoint=str(tmp_path / "weights.safetensors"), dtype="bfloat16").encoder
    assert (loaded.norm.weight == torch.tensor(1.001)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_is_in_memory_twice(dtype: torch.dtype) -> None:
    encoder, _ = encoder_pair(wide_config())
    predictor, _ = predictor_pair(wide_config())
    for module in (encoder, predictor):
        packed = in_form(module, "public", dtype)
        left = {name for name, _ in packed.named_parameters()}
        assert not [name for name in left if ".attn." in name or ".mlp." in name or name == "predictor_proj.weight"]
        assert ("patch_embed.proj.weight" in left) == (module is encoder and dtype == torch.float32)


def test_nothing_that_is_kept_grows_with_the_square_of_the_window() -> None:
    def kept(num_frames: int) -> int:
        predictor = Predictor(wide_config(num_frames=num_frames))
        return sum(buffer.numel() for buffer in predictor.buffers())

    assert kept(128) == 8 * kept(16) > 0
