"""The world model as its users call it: tensors in, tensors out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vjepa_ros
from vjepa_ros.config.view import ViewConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import CheckpointError, ConfigError, EngineError, InputError, ShapeError
from vjepa_ros.images.preprocess import Preprocess

REFERENCE = Path(__file__).parent / "data" / "reference"
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def tiny() -> WorldModel:
    return vjepa_ros.load("tiny_random")


def window_of(wm: WorldModel, batch: int = 1, frames: int | None = None, seed: int = 0) -> tuple[Tensor, ...]:
    """A clip, actions and states of random numbers."""
    generator = torch.Generator().manual_seed(seed)
    config = wm.config
    frames = frames or config.num_frames
    steps = frames // config.stride
    clip = torch.randn(batch, 3, frames, *config.image_size, generator=generator)
    actions = torch.randn(batch, steps, config.action_dim, generator=generator)
    return clip, actions, torch.randn(batch, steps, config.state_dim, generator=generator)


def forecast(wm: WorldModel, clip: Tensor, actions: Tensor, states: Tensor) -> Tensor:
    """All outputs (B, T', H', W', D); which of them look ahead depends on the encoding."""
    return wm.grid.unflatten(wm.predict(wm.encode(clip), actions, states))


def test_an_untrained_model_says_so(tiny):
    assert not tiny.trained and tiny.checkpoint_key is None
    assert tiny.grid.shape == (8, 4, 4) and tiny.config.preset == "tiny_random"
    assert tiny.device == torch.device("cpu") and tiny.dtype == torch.float32


def test_a_trained_model_says_where_its_weights_come_from():
    wm = vjepa_ros.load(str(REFERENCE / "small_ac.yaml"), checkpoint=str(REFERENCE / "small_ac.pt"))
    assert wm.trained and wm.checkpoint_key == "target_encoder" and len(wm.weights_hash) == 16


def test_a_broken_checkpoint_is_reported_and_an_empty_name_is_none(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.pt"):
        vjepa_ros.load("tiny_random", checkpoint=str(tmp_path / "nowhere.pt"))
    assert not vjepa_ros.load("tiny_random", checkpoint="").trained


def test_seeds_and_the_global_random_state(tiny):
    state = torch.get_rng_state()
    assert vjepa_ros.load("tiny_random", seed=0).weights_hash == tiny.weights_hash
    assert vjepa_ros.load("tiny_random", seed=1).weights_hash != tiny.weights_hash
    assert (
        vjepa_ros.load("tiny_random", dtype="bfloat16").weights_hash == tiny.weights_hash
    )  # of the weights, not the run
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "meta", ""])
def test_unknown_devices_are_refused(name):
    with pytest.raises(ConfigError, match=f"device: '{name}'"):
        vjepa_ros.load("tiny_random", device=name)


@pytest.mark.parametrize("name", [None, [], {}, 1e300, b"cpu", object])
def test_what_is_no_name_of_a_device_is_refused(name):
    with pytest.raises(ConfigError, match="device: must be a name such as cpu, cuda or cuda:0, not "):
        vjepa_ros.load("tiny_random", device=name)


@pytest.mark.parametrize("name", ["float64", "int8", "half"])
def test_unknown_dtypes_are_refused(name):
    with pytest.raises(ConfigError, match=f"dtype: '{name}' is not one of float32, bfloat16, float16"):
        vjepa_ros.load("tiny_random", dtype=name)


def test_preprocess_is_the_streams_preprocessing_frame_by_frame():
    wm = vjepa_ros.load("tiny_random", preprocessing="droid", image_size=(32, 64))
    frames = np.random.default_rng(0).integers(0, 256, (4, 90, 50, 3), np.uint8)
    clip = wm.preprocess(frames)
    assert clip.shape == (1, 3, 4, 32, 64) and clip.dtype == torch.float32
    for index, frame in enumerate(frames):
        assert np.array_equal(clip[0, :, index].numpy(), Preprocess("droid", (32, 64))(frame))
    assert vjepa_ros.load("tiny_random", dtype="bfloat16").preprocess(frames).dtype == torch.bfloat16


def test_preprocess_looks_at_the_view(tiny):
    frames = np.random.default_rng(0).integers(0, 256, (2, 90, 50, 3), np.uint8)
    seen = np.rot90(frames[:, 20:70, 5:45], axes=(1, 2))[:, :, ::-1]  # numpy turns the other way round
    assert torch.equal(tiny.preprocess(frames, ViewConfig((5, 20, 40, 50), 270, "horizontal")), tiny.preprocess(seen))
    with pytest.raises(InputError, match="roi_outside"):
        tiny.preprocess(frames, ViewConfig((5, 20, 50, 50), 0, "none"))


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((0, 64, 64, 3), np.uint8),
        np.zeros((2, 64, 64, 4), np.uint8),
        np.zeros((2, 64, 64, 3), np.float32),
        np.zeros((2, 0, 64, 3), np.uint8),
    ],
)
def test_preprocess_refuses_other_arrays(tiny, frames):
    with pytest.raises(ShapeError):
        tiny.preprocess(frames)


@pytest.mark.parametrize("encoding, steps", [("clip", 8), ("tubelet", 8), ("frame_repeat", 16)])
@pytest.mark.parametrize("size", [(64, 64), (32, 80)])
def test_latents_and_predictions_are_layer_normalised_float32(encoding, steps, size):
    wm = vjepa_ros.load("tiny_random", encoding=encoding, image_size=size)
    clip, actions, states = window_of(wm, batch=2)
    latents = wm.encode(clip)
    predictions = wm.predict(latents, actions, states)
    for values in (latents, predictions):
        assert values.shape == (2, steps * (size[0] // 16) * (size[1] // 16), 128) and values.dtype == torch.float32
        assert values.mean(-1).abs().max() < 1e-5
        assert (values.var(-1, unbiased=False) - 1).abs().max() < 1e-2
    raw = wm.encode(clip, normalize=False)
    expected = (raw - raw.mean(-1, keepdim=True)) / (raw.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(latents, expected, rtol=0, atol=TOLERANCE)


def test_numpy_actions_and_states_do(tiny):
    clip, actions, states = window_of(tiny)
    context = tiny.encode(clip)
    read_only = actions.double().numpy()
    read_only.flags.writeable = False
    as_numpy = tiny.predict(context, read_only, states.numpy())
    assert torch.equal(as_numpy, tiny.predict(context, actions, states))


@pytest.mark.parametrize("encoding", ["clip", "tubelet", "frame_repeat"])
def test_a_batch_of_two_equals_two_of_one(encoding):
    wm = vjepa_ros.load("tiny_random", encoding=encoding)
    inputs = window_of(wm, batch=2)
    both = forecast(wm, *inputs)
    for index in range(2):
        alone = forecast(wm, *(value[index : index + 1] for value in inputs))
        torch.testing.assert_close(both[index : index + 1], alone, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("encoding", ["clip", "tubelet", "frame_repeat"])
@pytest.mark.parametrize("context_frames", [4, 8])
def test_changing_frames_after_the_context_cannot_change_a_forecast(encoding, context_frames):
    """Forecasts of a context, first with one future and then with another one coming after it."""
    wm = vjepa_ros.load("tiny_random", encoding=encoding)
    clip, actions, states = window_of(wm)
    other = clip.clone()
    other[:, :, context_frames:] = torch.randn(other[:, :, context_frames:].shape)
    steps = context_frames // wm.config.stride
    outputs = [forecast(wm, video, actions, states)[:, :steps] for video in (clip, other)]
    contexts = [
        forecast(wm, video[:, :, :context_frames], actions[:, :steps], states[:, :steps]) for video in (clip, other)
    ]
    assert torch.equal(contexts[0][:, -1], contexts[1][:, -1])
    rollouts = [
        wm.rollout(wm.encode(video[:, :, :context_frames]), actions[:, : steps - 1], states[:, :steps], actions[:, :3])
        for video in (clip, other)
    ]
    assert torch.equal(rollouts[0], rollouts[1])
    assert (rollouts[0][:, 1:] - rollouts[0][:, :-1]).abs().amax((-1, -2)).min() > 1e-3
    if encoding == "clip":
        # The whole window encoded at once is another matter: outputs before the last have seen what they "predict".
        assert (outputs[0] - outputs[1]).abs().max() > 1e-3
    else:
        assert torch.equal(outputs[0], outputs[1])
        torch.testing.assert_close(outputs[0], contexts[0], rtol=0, atol=TOLERANCE)


def test_a_forecast_depends_on_its_actions_states_and_frames(tiny):
    inputs = window_of(tiny)
    last = forecast(tiny, *inputs)[:, -1]
    for index in range(3):
        changed = list(inputs)
        changed[index] = -changed[index]
        assert (forecast(tiny, *changed)[:, -1] - last).abs().max() > 1e-3


@pytest.mark.parametrize("dtype, mean_limit, max_limit", [("bfloat16", 2e-2, 0.2), ("float16", 2e-3, 0.03)])
@pytest.mark.parametrize("encoding", ["clip", "frame_repeat"])
def test_half_precision_is_close_to_float32(dtype, mean_limit, max_limit, encoding):
    full, half = (vjepa_ros.load("tiny_random", dtype=name, encoding=encoding) for name in ("float32", dtype))
    clip, actions, states = window_of(full)
    latents = full.encode(clip)
    pairs = {
        "latents": (latents, half.encode(clip)),
        "predictions": (full.predict(latents, actions, states), half.predict(latents, actions, states)),
    }
    for name, (exact, rounded) in pairs.items():
        difference = (exact - rounded).abs()
        print(f"{dtype} {encoding} {name}: maximum {difference.max():.2e}, mean {difference.mean():.2e}")
        assert rounded.dtype == torch.float32
        assert 0 < difference.mean() < mean_limit and difference.max() < max_limit


def test_rope_keeps_its_dtype_in_half_precision():
    wm = vjepa_ros.load("tiny_random", dtype="bfloat16", fast=False)
    assert wm.encoder.rope.cos.dtype == wm.predictor.rope.sin.dtype == torch.float32
    parameters = [*wm.encoder.parameters(), *wm.predictor.parameters()]
    assert all(parameter.dtype == torch.bfloat16 and not parameter.requires_grad for parameter in parameters)


def test_clips_and_contexts_that_do_not_fit_are_refused(tiny):
    clip, actions, states = window_of(tiny)
    with pytest.raises(ShapeError, match=r"\(1, 3, 7, 64, 64\)"):
        tiny.encode(clip[:, :, :7])
    with pytest.raises(ShapeError, match=r"torch\.uint8"):
        tiny.encode(clip.to(torch.uint8))
    with pytest.raises(ShapeError, match=r"\(1, 120, 128\) do not fit the grid \(8, 4, 4\)"):
        tiny.predict(tiny.encode(clip)[:, :120], actions, states)
    with pytest.raises(ShapeError, match=r"actions of shape \(1, 7, 7\) where \(1, 8, 7\)"):
        tiny.predict(tiny.encode(clip), actions[:, 1:], states)


class OutOfMemory(nn.Module):
    """A layer that fails the way torch does when memory runs out: by really asking for too much."""

    def forward(self, x: Tensor, *_: object) -> Tensor:
        return torch.empty(2**60, device=x.device)


@pytest.mark.parametrize("fast", [True, False])
def test_a_failing_model_raises_engine_error_with_its_cause(fast):
    wm = vjepa_ros.load("tiny_random", fast=fast)
    clip, actions, states = window_of(wm)
    context = wm.encode(clip)
    wm.predictor.predictor_blocks[1] = OutOfMemory()
    with pytest.raises(EngineError, match=r"predicting failed: .*alloc") as error:
        wm.predict(context, actions, states)
    assert isinstance(error.value.__cause__, RuntimeError)
    with pytest.raises(EngineError):
        wm.warm_up()
    wm.encoder.blocks[0] = OutOfMemory()
    with pytest.raises(EngineError, match="encoding failed"):
        wm.encode(clip)


@pytest.mark.parametrize("encoding", ["clip", "tubelet", "frame_repeat"])
def test_warm_up_runs_what_a_node_asks_for_and_changes_nothing(encoding, monkeypatch):
    wm = vjepa_ros.load("tiny_random", encoding=encoding)
    seen: list[tuple[int, ...]] = []

    def noting(compute: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def noted(*given: Tensor) -> Tensor:
            output = compute(*given)
            seen.append(tuple(output.shape))
            return output

        return noted

    monkeypatch.setattr(wm, "encoder", noting(wm.encoder))
    monkeypatch.setattr(wm, "predictor", noting(wm.predictor))
    inputs = window_of(wm)
    before = forecast(wm, *inputs)
    seen.clear()
    wm.warm_up()
    frames = wm.grid.tokens if encoding == "clip" else wm.grid.tokens_per_step  # what a node encodes at once
    assert seen == [(1, frames, 128), (1, wm.grid.tokens, 128)]
    assert torch.equal(forecast(wm, *inputs), before)


def test_importing_the_package_imports_neither_torch_nor_ros_and_the_engine_no_ros():
    code = (
        "import sys, vjepa_ros; assert not {'torch', 'rclpy', 'cv2'} & set(sys.modules);"
        "import vjepa_ros.engine.loading; assert 'rclpy' not in sys.modules;"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
