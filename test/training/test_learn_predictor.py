"""The predictor is trained for real, in every encoding, and afterwards follows its actions."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.learnable import CPU_OPTIONS, as_read, tiny_config, walks

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.normalization import Normalization, Normalizations
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.model.kernels import choose_kernels
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.training.course import Progress
from vjepa_ros.training.initial import freeze, fresh_predictor
from vjepa_ros.training.learning import Learning
from vjepa_ros.training.losses import Objective, PredictorLoss
from vjepa_ros.training.predictor import Trained, train_predictor
from vjepa_ros.training.runs import Dataset

KINDS = {
    "clip": {"encoding": "clip"},
    "clip, two steps": {"encoding": "clip", "context_steps": 2},
    "tubelet": {"encoding": "tubelet"},
    "tubelet, one step": {"encoding": "tubelet", "context_steps": 1},
    "frame_repeat": {"encoding": "frame_repeat", "num_frames": 4},
    "tubelet of one frame": {"encoding": "tubelet", "tubelet_size": 1, "num_frames": 4},
    "clip, tubelet of one frame": {"encoding": "clip", "tubelet_size": 1, "num_frames": 4},
}


def trained(
    config: ModelConfig, data: Dataset, folder: Path, held: Dataset | None = None, **changes: object
) -> Trained:
    rollout = changes.pop("rollout", 2)
    options = {"steps": 12, "batch": 8, "lr": 5e-3, **CPU_OPTIONS, **changes}
    predictor = fresh_predictor(config, 0).predictor
    return train_predictor(data, held, predictor, as_read(config), Objective(rollout), Learning(**options), folder)


@pytest.mark.parametrize("name", KINDS)
def test_every_encoding_learns(name: str, tmp_path: Path) -> None:
    config = tiny_config(**KINDS[name])
    result = trained(config, walks(config, 4, 12), tmp_path, walks(config, 2, 12, seed=1), evaluate_every=6, rollout=3)
    losses = [told["loss"] for told in result.history]
    assert result.steps == len(losses) == 12 and np.mean(losses[-3:]) < 0.95 * np.mean(losses[:3])
    looked = [told["step"] for told in result.history if "held_back_loss" in told]
    assert looked == [6, 12] and result.best_step in looked
    last = result.history[-1]
    assert last["loss"] == pytest.approx(last["teacher"] + last["rollout"], rel=1e-6)
    assert last["held_back_far_still"] > last["held_back_near_still"] > 0


def error(predictor: Predictor, data: Dataset, shuffled: bool) -> float:
    """Of forecasts one step ahead over that of saying that nothing changes, with other samples' actions or the own."""
    loss = PredictorLoss(predictor, Objective(1))
    batch = data.batch(data.samples(loss.shape.context, loss.shape.ahead), loss.shape.context, loss.shape.ahead)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(batch.actions)))
    actions = batch.actions[order] if shuffled else batch.actions
    with torch.no_grad():
        figures = loss(batch.context, batch.targets, actions.float(), batch.states.float())
    return figures["near"].item() / figures["near_still"].item()


def test_a_trained_predictor_follows_its_actions_and_one_of_wrong_actions_does_not(tmp_path: Path) -> None:
    config = tiny_config(encoding="tubelet", context_steps=1)
    data, held = walks(config, 60, 16, reach=1.0), walks(config, 10, 16, seed=1, reach=1.0)
    mixed = np.random.default_rng(1)
    wrong = [replace(run, actions=mixed.permutation(run.actions)) for run in data.runs]
    ratios = {}
    for name, runs in (("right", data.runs), ("wrong", wrong)):
        (tmp_path / name).mkdir()
        taught = Dataset(runs, data.rows, data.encoding, data.window_steps, data.kept)
        predictor = trained(config, taught, tmp_path / name, steps=250, batch=32, lr=1e-2, log_every=50).predictor
        assert not predictor.training
        ratios[name] = error(predictor, held, shuffled=False), error(predictor, held, shuffled=True)
    print(ratios)
    right, shuffled = ratios["right"]
    assert right < 0.7 and shuffled > 1.6 * right
    right, shuffled = ratios["wrong"]
    assert right > 0.75 and shuffled < 1.1 * right


def test_the_figures_are_those_of_the_weights(tmp_path: Path) -> None:
    """What was told of held-back samples at the best step is what the returned predictor does with them."""
    config = tiny_config(encoding="tubelet")
    held = walks(config, 2, 12, seed=1)
    result = trained(config, walks(config), tmp_path, held, evaluate_every=4, batch=5)
    told = next(told for told in result.history if told["step"] == result.best_step)
    loss = PredictorLoss(result.predictor, Objective(2))
    samples = held.samples(loss.shape.context, loss.shape.ahead)
    batch = held.batch(samples, loss.shape.context, loss.shape.ahead)
    with torch.no_grad():
        figures = loss(batch.context, batch.targets, batch.actions.float(), batch.states.float())
    for name, value in figures.items():
        assert told[f"held_back_{name}"] == pytest.approx(value.item(), rel=1e-4)


def test_actions_are_normalised_as_the_node_does_it(tmp_path: Path) -> None:
    """Actions in other units with the normalisation that undoes them give the same training."""
    config = tiny_config(encoding="tubelet")
    data = walks(config)
    other = [replace(run, actions=run.actions * 8 + 4, states=run.states * 0.5 - 2) for run in data.runs]
    scaled = Normalizations(Normalization((4.0, 4.0), (8.0, 8.0)), Normalization((-2.0,) * 3, (0.5,) * 3))
    predictor = fresh_predictor(config, 0).predictor
    learning = Learning(steps=3, batch=4, lr=5e-3, **CPU_OPTIONS)
    (tmp_path / "other").mkdir()
    result = train_predictor(
        Dataset(other, data.rows, data.encoding, data.window_steps, data.kept), None, predictor, scaled, Objective(2),
        learning, tmp_path / "other",
    )  # fmt: skip
    plain = trained(config, data, tmp_path, steps=3, batch=4)
    for name, tensor in plain.predictor.state_dict().items():
        assert torch.equal(tensor, result.predictor.state_dict()[name]), name


def test_it_stops_early_with_the_best_weights(tmp_path: Path) -> None:
    """Held-back recordings of another world: the better the one is known, the worse the other, sooner or later."""
    config = tiny_config(encoding="tubelet")
    data, held = walks(config), walks(config, 2, 12, seed=1)
    other = Dataset(held.runs, held.rows.flip(-1) * -1, held.encoding, held.window_steps, held.kept)
    result = trained(config, data, tmp_path, other, steps=200, evaluate_every=1, patience=4, lr=2e-2)
    losses = {told["step"]: told["held_back_loss"] for told in result.history}
    assert result.stopped and result.steps == result.best_step + 4 < 200
    assert min(losses, key=losses.__getitem__) == result.best_step


def test_bfloat16_is_close_to_float32(tmp_path: Path) -> None:
    config = tiny_config(encoding="tubelet")
    data, histories = walks(config), {}
    for precision in ("float32", "bfloat16"):
        (tmp_path / precision).mkdir()
        result = trained(config, data, tmp_path / precision, precision=precision)
        histories[precision] = np.array([told["loss"] for told in result.history])
        assert all(parameter.dtype == torch.float32 for parameter in result.predictor.parameters())
    difference = np.abs(histories["bfloat16"] / histories["float32"] - 1).max()
    assert 0 < difference < 0.02


def test_what_is_frozen_stays(tmp_path: Path) -> None:
    config = tiny_config(encoding="tubelet")
    predictor = fresh_predictor(config, 0).predictor
    before = {name: tensor.clone() for name, tensor in predictor.state_dict().items()}
    frozen = freeze(predictor, ["predictor_blocks.*", "predictor_embed.bias"])
    learning = Learning(steps=3, batch=4, lr=5e-3, warmup=0, **CPU_OPTIONS)
    train_predictor(walks(config), None, predictor, as_read(config), Objective(2), learning, tmp_path)
    for name, tensor in predictor.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name in frozen), name


def test_what_is_told(tmp_path: Path) -> None:
    config = tiny_config(encoding="tubelet")
    data, told = walks(config), []
    learning = Learning(steps=42, batch=2, lr=1.0e-3, **{**CPU_OPTIONS, "log_every": 20})
    predictor = fresh_predictor(config, 0).predictor
    args = (data, walks(config, 2, seed=1), predictor, as_read(config), Objective(2), learning, tmp_path)
    train_predictor(*args, progress=told.append)
    assert [(now.step, now.steps) for now in told] == [(20, 42), (40, 42), (42, 42)]
    assert [now.rate for now in told] == pytest.approx([1e-3, 1e-3, 0])
    assert [now.held_back is None for now in told] == [True, True, False]
    assert all(isinstance(now, Progress) and now.left_s >= 0 for now in told)
    (events,) = (tmp_path / "events").iterdir()
    assert events.name.startswith("events.out.tfevents") and events.stat().st_size > 500


@pytest.mark.parametrize("package", ["accelerate", "tensorboardX"])
def test_without_the_extra_one_sentence_says_what_to_install(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    config = tiny_config(encoding="tubelet")
    with pytest.raises(ConfigError, match=rf"needs the package {package}, .*: pip install 'vjepa_ros\[train\]'"):
        trained(config, walks(config), tmp_path)


def test_a_device_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(encoding="tubelet")
    monkeypatch.setattr(Predictor, "_outputs", lambda *_: torch.empty(2**60))
    with pytest.raises(EngineError, match="training"):
        trained(config, walks(config), tmp_path)


def test_refusals(tmp_path: Path) -> None:
    config = tiny_config(encoding="tubelet")
    with pytest.raises(ConfigError, match="bags: have no 5 steps that follow each other"):
        trained(config, walks(config, 3, 4), tmp_path)
    packed = fresh_predictor(config, 0).predictor.requires_grad_(False)
    packed.pack(choose_kernels(torch.device("cpu"), torch.float32))
    learning = Learning(steps=3, **CPU_OPTIONS)
    with pytest.raises(ConfigError, match="packed for inference cannot be trained"):
        train_predictor(walks(config), None, packed, as_read(config), Objective(2), learning, tmp_path)
    data = walks(config)
    data.rows[3] = float("nan")
    with pytest.raises(EngineError, match="the loss is nan at step"):
        trained(config, data, tmp_path, steps=40)
    with pytest.raises(EngineError, match="at step"):  # whatever it is that is no longer finite
        trained(config, walks(config), tmp_path, steps=300, lr=1e30)
    frozen = fresh_predictor(config, 0).predictor.requires_grad_(False)
    with pytest.raises(ConfigError, match="freeze: leaves nothing to learn"):
        train_predictor(walks(config), None, frozen, as_read(config), Objective(2), learning, tmp_path)
