"""Actions and states go into the world model as they were read: what the weights want done to them, it does itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vjepa_ros
from vjepa_ros import WorldModel
from vjepa_ros.config.normalization import Normalization, Normalizations
from vjepa_ros.engine.normalizing import Normalizing
from vjepa_ros.errors import ShapeError

MEAN, STD = np.array([3.0, -1.0, 0.5, 0.0, 2.0, -4.0, 1.0]), np.array([10.0, 10.0, 0.1, 1.0, 2.0, 5.0, 10.0])
ONE = Normalization(tuple(MEAN.tolist()), tuple(STD.tolist()))
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def models() -> tuple[WorldModel, WorldModel]:
    """The same weights, which want actions and states normalised, and which want nothing."""
    return vjepa_ros.load("tiny_random", normalization=Normalizations(ONE, ONE)), vjepa_ros.load("tiny_random")


def test_by_hand_and_by_itself_are_the_same(models: tuple[WorldModel, WorldModel]) -> None:
    wm, plain = models
    rng = np.random.default_rng(2)
    context = wm.encode(rng.normal(size=(2, 3, 16, 64, 64)).astype(np.float32))
    actions, states, ahead = (MEAN + 3 * rng.normal(size=(2, *shape, 7)) for shape in ((8,), (8,), (3, 2)))

    def by_hand(values: np.ndarray) -> np.ndarray:
        return np.asarray((values - MEAN) / STD)

    predicted = wm.predict(context, actions, states)
    assert (predicted - plain.predict(context, by_hand(actions), by_hand(states))).abs().max() < TOLERANCE
    assert (predicted - plain.predict(context, actions, states)).abs().max() > 100 * TOLERANCE, "and it matters"
    # A joint target becomes the state, in the units as read: so the states on the way are normalised too.
    forecasts = wm.rollout(context, actions[:, :-1], states, ahead)
    expected = plain.rollout(context, *map(by_hand, (actions[:, :-1], states, ahead)))
    assert (forecasts - expected).abs().max() < TOLERANCE
    observed = wm.observe(context, actions[:, :-1], states)
    torch.testing.assert_close(wm.rollout_from(observed, ahead), forecasts, rtol=0, atol=TOLERANCE)


def test_numbers_of_any_kind_are_computed_in_float64() -> None:
    """A mean of a million would leave nothing of a float32's last digits."""
    normalizing = Normalizing("actions", Normalization((1e6, 0.0), (10.0, 1.0)), torch.device("cpu"))
    read = [[[1e6 + 0.015625, 2.0]]]
    for values in (read, np.array(read), torch.tensor(read, dtype=torch.float64)):
        normalized = normalizing(values)
        assert normalized.dtype == torch.float64
        np.testing.assert_array_equal(normalized.numpy(), [[[0.0015625, 2.0]]])


def test_other_dimensions_are_refused_with_both_shapes(models: tuple[WorldModel, WorldModel]) -> None:
    wm, _ = models
    context = torch.zeros(1, 8 * 16, 128)
    with pytest.raises(ShapeError, match=r"actions of shape \(1, 8, 6\) where \(1, 8, 7\) is needed"):
        wm.predict(context, np.zeros((1, 8, 6)), np.zeros((1, 8, 7)))
