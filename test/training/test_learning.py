"""Rates by step, the order of samples, and what is refused."""

from __future__ import annotations

import pytest
from support.learnable import tiny_config

from vjepa_ros.errors import ConfigError
from vjepa_ros.training.learning import Learning
from vjepa_ros.training.losses import Objective, sample_shape
from vjepa_ros.training.order import Order

EPOCH = 300


def test_the_default_rates_are_the_public_ones() -> None:
    """7.5e-5 to 4.25e-4 in 15 epochs of 300 steps, constant, then linearly to 0 in the last 15 of 315."""
    learning = Learning(steps=315 * EPOCH)
    wanted = {
        1: 7.5e-5 + 3.5e-4 / 4500, 2250: 2.5e-4, 4499: 4.25e-4 - 3.5e-4 / 4500, 4500: 4.25e-4, 50_000: 4.25e-4,
        90_000: 4.25e-4, 90_001: 4.25e-4 * 4499 / 4500, 92_250: 2.125e-4, 94_500: 0.0,
    }  # fmt: skip
    for step, rate in wanted.items():
        assert learning.rate(step) == pytest.approx(rate, rel=1e-9, abs=1e-15), step


@pytest.mark.parametrize("steps", [1, 5, 20, 21, 100])
def test_any_number_of_steps_has_rates(steps: int) -> None:
    rates = [Learning(steps=steps).rate(step) for step in range(1, steps + 1)]
    assert all(0 <= rate <= 4.25e-4 for rate in rates) and max(rates) == 4.25e-4
    assert (rates[-1] == 0) == (steps >= 21)


def test_cosine() -> None:
    learning = Learning(steps=1100, lr=2e-3, start_lr=0.0, warmup=100, schedule="cosine")
    assert [learning.rate(step) for step in (50, 100, 600, 1100)] == pytest.approx([1e-3, 2e-3, 1e-3, 0])


def test_every_sample_comes_once_a_round_and_its_place_says_which() -> None:
    order = Order(7, seed=3)
    rounds = [order(range(7 * number, 7 * number + 7)).tolist() for number in range(3)]
    assert all(sorted(once) == list(range(7)) for once in rounds) and rounds[0] != rounds[1]
    assert Order(7, seed=3)(range(4, 18)).tolist() == [*rounds[0], *rounds[1], *rounds[2]][4:18]
    assert Order(7, seed=4)(range(7)).tolist() != rounds[0]


@pytest.mark.parametrize(
    ("changes", "objective", "shape"),
    [
        ({"encoding": "tubelet"}, Objective(), (4, 1, 1, 4)),
        ({"encoding": "tubelet"}, Objective(rollout=6), (4, 3, 1, 4)),
        ({"encoding": "tubelet", "context_steps": 1}, Objective(rollout=3), (1, 3, 1, 1)),
        ({"encoding": "tubelet", "context_steps": 2}, Objective(sample_steps=3), (2, 1, 1, 2)),
        ({"encoding": "frame_repeat"}, Objective(), (8, 1, 1, 8)),
        ({"encoding": "frame_repeat"}, Objective(sample_steps=8), (7, 1, 1, 7)),
        ({"encoding": "clip"}, Objective(), (4, 2, 4, 1)),
        ({"encoding": "clip", "context_steps": 1}, Objective(rollout=1), (1, 1, 1, 1)),
        ({"encoding": "clip"}, Objective(sample_steps=6), (4, 2, 4, 1)),
    ],
)
def test_shapes_of_samples(changes: dict[str, object], objective: Objective, shape: tuple[int, int, int, int]) -> None:
    found = sample_shape(tiny_config(**changes), objective)
    assert (found.context, found.ahead, found.observed, found.counted) == shape


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("steps", {"steps": 0}), ("batch", {"batch": 0}), ("batch", {"batch": True}), ("lr", {"lr": 0.0}),
        ("lr", {"lr": float("nan")}), ("warmup", {"warmup": 11}), ("betas", {"betas": (0.9, 1.0)}),
        ("schedule", {"schedule": "linear"}), ("precision", {"precision": "float16"}), ("clip", {"clip": -1.0}),
        ("patience", {"patience": -1}),
    ],
)  # fmt: skip
def test_senseless_learning_is_refused(name: str, values: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        Learning(**{"steps": 10, **values})
    assert caught.value.parameter == name


def test_senseless_objectives_are_refused() -> None:
    for name, values in (("rollout", {"rollout": 0}), ("l2", {"l2": 1.5}), ("sample_steps", {"sample_steps": -1})):
        with pytest.raises(ConfigError, match=name):
            Objective(**values)
    with pytest.raises(ConfigError, match="sample_steps: must be 0, or more than the 3 steps of the rollout, not 3"):
        sample_shape(tiny_config(encoding="tubelet"), Objective(rollout=3, sample_steps=3))
    with pytest.raises(ConfigError, match="sample_steps: must be 0 or 6 in the encoding clip"):
        sample_shape(tiny_config(encoding="clip"), Objective(sample_steps=8))
