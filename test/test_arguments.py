"""What users of the Python API hand in by mistake: lists and images of PIL do, the rest is one sentence each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vjepa_ros
from vjepa_ros.config.view import ViewConfig
from vjepa_ros.engine.arguments import as_tensor
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, ShapeError, VjepaError

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8)
PICTURE = Image.fromarray(PIXELS[0])


@pytest.fixture(scope="module")
def wm() -> WorldModel:
    return vjepa_ros.load("tiny_random")


def test_frames_may_be_lists_and_images(wm: WorldModel) -> None:
    expected = wm.preprocess(PIXELS)
    for frames in (list(PIXELS), tuple(PIXELS), [Image.fromarray(frame) for frame in PIXELS], torch.from_numpy(PIXELS),
                   PIXELS.tolist() and [frame.copy() for frame in PIXELS]):  # fmt: skip
        assert torch.equal(wm.preprocess(frames), expected)
    other_size = wm.preprocess([PICTURE, np.zeros((20, 30, 3), np.uint8)])
    assert torch.equal(other_size[:, :, :1], expected[:, :, :1])
    assert torch.equal(wm.encode_goal(PICTURE), wm.encode_goal(PIXELS[0]))


def test_numbers_may_be_lists(wm: WorldModel) -> None:
    generator = np.random.default_rng(1)
    context = wm.encode(wm.preprocess(PIXELS[[0] * 16]))
    actions, states, future = (
        generator.normal(size=(1, 8, 7)),
        generator.normal(size=(1, 8, 7)),
        generator.normal(size=(3, 2, 7)),
    )
    expected = wm.predict(context, actions, states)
    assert torch.equal(wm.predict(context.tolist(), actions.tolist(), states.tolist()), expected)
    assert torch.equal(wm.predict([context[0]], [torch.from_numpy(actions[0])], list(states)), expected)
    assert torch.equal(wm.predict(context, actions.astype(">f8"), states), expected)
    ahead = wm.rollout(context, actions[:, 1:], states, future)
    assert torch.equal(wm.rollout(context, actions[:, 1:].tolist(), states.tolist(), future.tolist()), ahead)
    goal = wm.encode_goal(PICTURE)
    assert torch.allclose(wm.energy(ahead.tolist(), goal.numpy()), wm.energy(ahead, goal))


ODD: list[Any] = [
    None, "text", b"bytes", 5, 5.0, float("nan"), [], (), {}, {"a": 1}, object(), [1, 2], [[1], [1, 2]], ["a"], [None],
    np.zeros(0), np.zeros((1, 2)), np.array("a"), np.array([None]), np.zeros((2, 3), complex), np.zeros((2, 2), bool),
    torch.zeros(3), torch.zeros(2, 2, dtype=torch.cfloat), torch.zeros(2, 2).to_sparse(), PICTURE.convert("L"),
    [PICTURE.convert("RGBA")], lambda: 0, int, np.datetime64("2020"), np.zeros((2, 2), "datetime64[s]"), [[[10**400]]],
    np.zeros((3, 2, 2), np.longdouble), torch.zeros(3, 2, device="meta"), range(5), np.zeros((0, 7)), [[[[]]]],
        memoryview(b"abc"),
    "a" * 100_000, ["a" * 100_000], [PIXELS[0].astype(np.float32)], np.zeros((3, 48, 64, 4), np.uint8), set(), slice(1),
]  # fmt: skip


CALLS: dict[str, Callable[[WorldModel, Any], Any]] = {
    "frames": lambda wm, odd: wm.preprocess(odd),
    "frame": lambda wm, odd: wm.preprocess([odd]),
    "view": lambda wm, odd: wm.preprocess([PICTURE], odd if odd is not None else 5),
    "clip": lambda wm, odd: wm.encode(odd),
    "goal image": lambda wm, odd: wm.encode_goal(odd),
    "still": lambda wm, odd: wm.encode_still(odd),
    "context": lambda wm, odd: wm.predict(odd, np.zeros((1, 8, 7)), np.zeros((1, 8, 7))),
    "actions": lambda wm, odd: wm.predict(np.zeros((1, 128, 128), np.float32), odd, np.zeros((1, 8, 7))),
    "states": lambda wm, odd: wm.predict(np.zeros((1, 128, 128), np.float32), np.zeros((1, 8, 7)), odd),
    "observed": lambda wm, odd: wm.observe(odd, np.zeros((1, 7, 7)), np.zeros((1, 8, 7))),
    "future": lambda wm, odd: wm.rollout(np.zeros((1, 128, 128), np.float32), np.zeros((1, 7, 7)), np.zeros((1, 8, 7)),
    odd),
    "latents": lambda wm, odd: wm.energy(odd, np.zeros((16, 128))),
    "goal": lambda wm, odd: wm.energy(np.zeros((16, 128)), odd),
    "unflatten": lambda wm, odd: wm.grid.unflatten(odd),
    "flatten": lambda wm, odd: wm.grid.flatten(odd),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_array_of_numbers_is_one_sentence(wm: WorldModel, call: str) -> None:
    for odd in ODD:
        with pytest.raises(ShapeError) as caught:
            CALLS[call](wm, odd)
        assert len(str(caught.value)) < 500 and "\n" not in str(caught.value), odd


@pytest.mark.parametrize("odd", [odd for odd in ODD if odd is not None], ids=lambda odd: type(odd).__name__)
def test_a_state_model_that_is_none(wm: WorldModel, odd: Any) -> None:
    with pytest.raises(ConfigError, match="state_model: must be a StateModel"):
        wm.rollout(
            np.zeros((1, 128, 128), np.float32),
            np.zeros((1, 7, 7)),
            np.zeros((1, 8, 7)),
            np.zeros((1, 2, 7)),
            state_model=odd,
        )


@pytest.mark.parametrize(("image", "advice"), [
    (PICTURE.convert("L"), "use .convert('RGB')"), (PICTURE.convert("RGBA"), "use .convert('RGB')"),
    (PICTURE.convert("P"), "use .convert('RGB')"), (PIXELS[0] / 255.0, "multiplied by 255"),
    (PIXELS[0].transpose(2, 0, 1), "the colours come last"), (torch.rand(48, 64, 3), "multiplied by 255"),
])  # fmt: skip
def test_what_to_do_about_other_images(wm: WorldModel, image: Any, advice: str) -> None:
    with pytest.raises(ShapeError) as caught:
        wm.encode_goal(image)
    assert advice in str(caught.value)


LOADED = (
    "checkpoint", "predictor_checkpoint",
    "random_predictor", "seed", "device", "dtype", "fast", "compile_graphs", "normalization",
    "image_size", "patch_size",
    "num_frames", "encoder_dim", "encoder_heads", "mlp_ratio", "encoding", "preprocessing", "context_steps", "preset",
)  # fmt: skip


@pytest.mark.parametrize("name", LOADED)
def test_arguments_of_load(name: str) -> None:
    for odd in [*ODD, -1, 10**30, 10**400, "~nosuchuser/a", "a\0b.pt", "\ud800.safetensors", Path("nowhere.pt")]:
        if odd is None or (name in ("seed", "mlp_ratio", "context_steps") and type(odd) in (int, float) and odd == 5):
            continue  # which they may be
        with pytest.raises(VjepaError) as caught:
            vjepa_ros.load(**{name: odd})
        assert len(str(caught.value)) < 1_500 and "\n" not in str(caught.value), odd


def test_paths_may_be_paths(tmp_path: Path) -> None:
    preset = tmp_path / "small.yaml"
    preset.write_text((Path(vjepa_ros.__file__).parents[1] / "config" / "presets" / "tiny_random.yaml").read_text())
    assert vjepa_ros.load(preset).config.encoder_dim == 128
    with pytest.raises(vjepa_ros.CheckpointError, match=r"nowhere\.pt: there is no such file"):
        vjepa_ros.load("tiny_random", checkpoint=tmp_path / "nowhere.pt")


def test_a_view_is_a_view(wm: WorldModel) -> None:
    assert wm.preprocess([PICTURE], ViewConfig((), 90, "none")).shape == (1, 3, 1, 64, 64)


def test_arrays_that_run_backwards_are_taken() -> None:
    assert as_tensor(np.arange(6.0).reshape(2, 3)[::-1, ::-1], "x").tolist() == [[5, 4, 3], [2, 1, 0]]
    assert as_tensor(np.float32(2), "x").tolist() == 2
