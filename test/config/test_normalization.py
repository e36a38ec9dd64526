"""What is done to actions and states before the model sees them."""

from __future__ import annotations

import pytest

from vjepa_ros.config.normalization import Normalization, Normalizations
from vjepa_ros.errors import ConfigError


def test_of_the_parameters() -> None:
    found = Normalizations.of({"actions.mean": [1, 2], "actions.std": [], "states.std": [2.0] * 3}, 2, 3)
    assert found.actions == Normalization((1.0, 2.0), (1.0, 1.0))
    assert found.states == Normalization((0.0,) * 3, (2.0,) * 3)
    assert Normalizations.of({}, 2, 3).states.changes_nothing
    assert not found.actions.changes_nothing and not found.states.changes_nothing


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"states.mean": [1.0] * 7}, r"states\.mean: has 7 numbers for 3"),
        ({"actions.std": [1.0] * 3}, r"actions\.std: has 3 numbers for 2"),
        ({"actions.std": [1.0, 0.0]}, r"actions\.std: must be positive"),
        ({"states.std": [1.0, -1.0, 1.0]}, r"states\.std: must be positive"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, list[float]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Normalizations.of(values, 2, 3)
