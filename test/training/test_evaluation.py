"""What a model has learnt: figures against plain arithmetic, and models that look at actions or do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.evaluated import JOINTS, figures, small, walked
from support.learnable import CPU_OPTIONS

from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.training import evaluation
from vjepa_ros.training.action_grid import POINTS, ActionGrid
from vjepa_ros.training.evaluation import evaluate
from vjepa_ros.training.figures import Evaluation
from vjepa_ros.training.initial import fresh_predictor
from vjepa_ros.training.judgement import judge
from vjepa_ros.training.learning import Learning
from vjepa_ros.training.losses import Objective
from vjepa_ros.training.predictor import train_predictor
from vjepa_ros.training.runs import Dataset, Run
from vjepa_ros.training.scaling import normalizations_of
from vjepa_ros.training.steps import LEAST_SPEED, Steps

KINDS = {
    "one step": {},
    "three steps": {"context_steps": 3},
    "targets": {"actions.reduction": "pick"},
    "clip": {"encoding": "clip", "context_steps": 2},
    "frame_repeat": {"encoding": "frame_repeat", "num_frames": 4, "hop": 1, "context_steps": 0},
}


def plain(model: WorldModel, data: Dataset, ahead: int, context: int) -> tuple[float, float]:
    """Mean errors so many steps ahead, one sample after the other: of forecasts, and of no change."""
    right, still = [], []
    for run in data.runs:
        for newest in range((data.window_steps if data.encoding.is_whole else context) - 1, run.steps - ahead):
            index = data.runs.index(run)
            row = data.newest_row(index, newest)
            latents = data.rows[row - context + 1 : row + 1].float().reshape(1, -1, data.rows.shape[-1])
            past = run.actions[None, newest - context + 1 : newest]
            states = run.states[None, newest - context + 1 : newest + 1]
            forecast = model.rollout(latents, past, states, run.actions[None, newest : newest + ahead])[0, -1]
            came = data.rows[data.newest_row(index, newest + ahead)].float()
            right.append((forecast - came).abs().mean().item())
            still.append((data.rows[row].float() - came).abs().mean().item())
    return float(np.mean(right)), float(np.mean(still))


@pytest.mark.parametrize("name", KINDS)
def test_ratios_are_those_of_plain_arithmetic(name: str) -> None:
    config, model = small(**KINDS[name])
    data = walked(config, 2, 16)
    found = evaluate(model, data, config.stream)
    for ahead in (1, 4, 8):
        right, still = plain(model, data, ahead, config.model.most_context)
        assert found.k(ahead) == pytest.approx(right / still, rel=1e-5)
        assert found.forecasts[ahead].right[:, -1].mean() == pytest.approx(right, rel=1e-5)
    assert not found.states_held and found.moving > 0.9
    assert [joint.name for joint in found.joints] == JOINTS


def test_the_middle_of_the_grid_is_the_forecast_with_the_true_action() -> None:
    config, model = small()
    data = walked(config, 1, 12)
    found = evaluate(model, data, config.stream)
    moving = Steps.of(data.runs, config.stream).of_samples(found.forecasts[1].samples) > LEAST_SPEED
    assert found.grid is not None and found.grid.energies.shape == (moving.sum(), POINTS, POINTS)
    middle = found.grid.energies[:, POINTS // 2, POINTS // 2]
    np.testing.assert_allclose(middle, found.forecasts[1].right[moving, 0], rtol=1e-5)
    assert found.grid.mean[POINTS // 2, POINTS // 2] == 0
    assert all(along[0] == -axis.span for axis, along in zip(found.grid.axes, found.grid.offsets, strict=True))


def test_a_rank_is_a_place() -> None:
    """0 where no action is better, 1 where all are, 0.5 where all are alike."""
    energies = np.ones((3, POINTS))
    energies[0, POINTS // 2], energies[1, POINTS // 2] = 0.5, 1.5
    axes = figures({1: 0.5}).grid.axes[:1]
    assert ActionGrid(axes, (np.linspace(-1, 1, POINTS),), energies).ranks.tolist() == [0, 1, 0.5]


@pytest.mark.parametrize("count", range(2, 12))
def test_nobody_gets_their_own_actions_back(count: int) -> None:
    others = evaluation._others(count, np.random.default_rng(count))
    assert sorted(others) == list(range(count)) and not (others == np.arange(count)).any()


def trained_on(predictor: Predictor, normalization: Normalizations) -> WorldModel:
    """The model with this predictor."""
    stated = {f"{name}.{what}": list(getattr(getattr(normalization, name), what))
              for name in ("actions", "states") for what in ("mean", "std")}  # fmt: skip
    _, model = small(**{"states.source": "none", "engine.fast": False, **stated})
    model.predictor.load_state_dict(predictor.state_dict())
    return model


def report_figures(found: Evaluation) -> dict[str, float]:
    """By the names of the report, those that are known."""
    figures = {"k1": found.k(1), "k4": found.k(4), "shuffled4": found.shuffled(4), "rank": found.rank}
    return {name: value for name, value in figures.items() if value is not None}


def test_a_predictor_that_looks_at_its_actions_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    config, _ = small(**{"states.source": "none"})
    train, held = walked(config, 60, 16, reach=1.0), walked(config, 6, 16, seed=1, reach=1.0)
    normalization = normalizations_of(train.runs, config)
    predictor = fresh_predictor(config.model, 0).predictor
    learning = Learning(250, batch=32, lr=1e-2, **{**CPU_OPTIONS, "log_every": 50})
    train_predictor(train, None, predictor, normalization, Objective(2), learning, tmp_path)
    good = trained_on(predictor, normalization)
    found = evaluate(good, held, config.stream)
    assert judge(found).word == "follows"
    got = report_figures(found)
    print(got)
    assert got["k1"] < 0.7 and got["k4"] < 0.9 and got["shuffled4"] > 1.3 and got["rank"] < 0.2
    assert all(joint.shuffled is not None and joint.shuffled > 1.1 for joint in found.joints)
    with torch.no_grad():
        predictor.action_encoder.weight.zero_()
    blind = evaluate(trained_on(predictor, normalization), held, config.stream)
    assert blind.shuffled(4) == pytest.approx(1) and blind.rank == pytest.approx(0.5)
    assert all(joint.shuffled == pytest.approx(1) for joint in blind.joints)
    assert judge(blind).word == "ignores"


def test_recordings_that_are_short_leave_figures_open() -> None:
    config, model = small()
    found = evaluate(model, walked(config, 3, 4), config.stream)
    assert found.k(1) is not None and found.k(4) is None and found.k(8) is None and found.shuffled(4) is None
    assert found.worst[0].ahead == 1
    with pytest.raises(ConfigError, match="no recording held back has 2 steps") as caught:
        evaluate(model, walked(config, 3, 1), config.stream)
    assert caught.value.parameter == "hold_back"


def test_states_that_nobody_can_advance_are_held() -> None:
    config, model = small(**{"states.field": "velocity"})
    assert config.state_change is None
    found = evaluate(model, walked(config, 2, 12), config.stream)
    assert found.states_held and found.k(8) is not None


def test_what_is_not_finite_is_refused() -> None:
    config, model = small()
    data = walked(config, 1, 12)
    data.rows[3] = torch.nan
    with pytest.raises(EngineError, match="not finite"):
        evaluate(model, data, config.stream)


def test_speeds_and_joints_say_what_moves() -> None:
    """Half of the steps stand still, and one joint never moves."""
    config, model = small()
    data = walked(config, 2, 24)
    runs = []
    for run in data.runs:
        actions = run.actions.copy()
        actions[:, 1] = 0.0
        actions[::2] = 0.0
        runs.append(replace(run, actions=actions))
    data = Dataset(runs, data.rows, data.encoding, data.window_steps, 1)
    found = evaluate(model, data, config.stream)
    assert 0.3 < found.moving < 0.5 and found.joints[1].moves == 0
    assert found.joints[0].moves == pytest.approx(found.moving)
    assert (found.joints[1].low, found.joints[1].high) == (0, 0)
    assert found.joints[1].shuffled == pytest.approx(1, abs=1e-6) and found.joints[0].shuffled != pytest.approx(1)
    by_name = {one.name: one for one in found.speeds}
    assert list(by_name) == ["still", "slow", "medium", "fast"]
    samples = sum(one.samples for one in found.speeds)
    assert samples == len(found.forecasts[1].samples) == 46 and by_name["still"].samples >= 23
    errors = sum(one.right * one.samples for one in found.speeds) / samples
    assert errors == pytest.approx(found.forecasts[1].right.mean())
    assert len(found.grid.energies) == samples - by_name["still"].samples


def test_steps_of_targets_are_how_far_they_lie_apart() -> None:
    config, _ = small(**{"actions.reduction": "pick"})
    actions = np.array([[1.0, 5.0], [1.5, 5.0], [1.5, 5.0], [2.0, 5.0], [0.0, 0.0]])
    run = Run(0, 0, np.arange(5), actions, np.zeros((5, 2)))
    steps = Steps.of([run], config.stream)
    assert steps.lengths.tolist() == [0.5, 0.0]
    assert steps.speeds[0].tolist() == [1, 1, 0, 1] and steps.share == 0.75


def test_the_worst_are_the_largest_errors_apart_from_each_other() -> None:
    config, model = small()
    data = walked(config, 2, 24)
    found = evaluate(model, data, config.stream)
    errors = found.forecasts[4].right[:, -1]
    assert found.worst[0].right == errors.max() and 2 <= len(found.worst) <= evaluation.WORST
    assert [one.right for one in found.worst] == sorted((one.right for one in found.worst), reverse=True)
    for one in found.worst:
        others = [other.sample for other in found.worst if other is not one and other.sample.run == one.sample.run]
        assert all(abs(other.newest - one.sample.newest) >= data.window_steps for other in others)
        assert one.stamp_ns == data.runs[one.sample.run].stamps_ns[one.sample.newest] and one.ahead == 4
