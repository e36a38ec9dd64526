"""Where actions lead: state models, and which one follows from a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vjepa_ros.config.node import resolve
from vjepa_ros.config.state_change import StateChange, change_of_convention, change_of_stream
from vjepa_ros.errors import ConfigError
from vjepa_ros.geometry import pose_delta, pose_sum, rotation_matrix
from vjepa_ros.model.state_model import StateModel

JOINTS = [f"joint{index}" for index in range(7)]


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parents[1] / "data" / "reference" / "golden.npz") as file:
        return {name: file[name] for name in file if name.startswith("pose_")}


def of(**parameters: Any) -> StateChange:
    """What actions do to states in a node with these parameters."""
    return change_of_stream(resolve({"joint_names": JOINTS, **parameters}).stream)


def test_pose_updates_are_the_public_ones(golden: dict[str, np.ndarray]) -> None:
    """All 200 at once."""
    ours = StateModel("pose", 7, 7).advance(golden["pose_from"], golden["pose_action"])
    np.testing.assert_allclose(ours, golden["pose_next"], rtol=0, atol=1e-9)
    assert golden["pose_next"][:, 6].min() == 0 and golden["pose_next"][:, 6].max() == 1, "some grippers are clipped"


def test_a_pose_difference_leads_to_the_other_pose(golden: dict[str, np.ndarray]) -> None:
    start, end = golden["pose_from"], golden["pose_to"]
    reached = pose_sum(start, pose_delta(start, end))
    np.testing.assert_allclose(reached[:, :3], end[:, :3], rtol=0, atol=1e-9)
    np.testing.assert_allclose(reached[:, 6], np.clip(end[:, 6], 0, 1), rtol=0, atol=1e-9)
    # The same rotation; several angles may stand for it.
    np.testing.assert_allclose(rotation_matrix(reached[:, 3:6]), rotation_matrix(end[:, 3:6]), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("kind", "after"), [("target", 3.0), ("delta", 5.0), ("none", 2.0)])
def test_joint_states_are_advanced(kind: StateChange, after: float) -> None:
    states, actions = np.full((4, 7), 2.0), np.full((4, 7), 3.0)
    np.testing.assert_array_equal(StateModel(kind, 7, 7).advance(states, actions), np.full((4, 7), after))


def test_unrolled_states_follow_each_other() -> None:
    actions = np.random.default_rng(0).normal(size=(3, 4, 7))
    start = np.ones((1, 7))
    ours = StateModel("delta", 7, 7).unroll(start, actions)
    np.testing.assert_allclose(ours, start + np.cumsum(actions, axis=1), rtol=0, atol=1e-12)
    assert StateModel("pose", 7, 7).unroll(start, actions[:, :0]).shape == (3, 0, 7)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("target", {}),
        ("target", {"actions.reduction": "mean"}),
        ("target", {"states.source": "commands", "actions.field": "velocity"}),
        ("target", {"actions.type": "JointTrajectory"}),
        ("delta", {"actions.reduction": "sum", "actions.field": "velocity"}),
        ("delta", {"actions.reduction": "difference"}),
        ("pose", {"actions.reduction": "pose_delta"}),
        ("none", {"states.source": "none"}),
        ("none", {"states.source": "none", "actions.reduction": "pose_delta", "state_dim": 3}),
    ],
)
def test_the_state_model_follows_from_the_parameters(kind: StateChange, parameters: dict[str, Any]) -> None:
    assert of(**parameters) == kind


@pytest.mark.parametrize(
    ("parameter", "parameters"),
    [
        ("states.field", {"actions.field": "velocity"}),
        ("states.field", {"actions.reduction": "sum", "states.field": "velocity"}),
        ("states.field", {"actions.reduction": "sum", "actions.field": "velocity", "states.field": "velocity"}),
        ("state_names", {"state_names": JOINTS[::-1]}),
        ("state_names", {"state_names": JOINTS[:5], "state_dim": 5}),
        ("states.source", {"actions.reduction": "pose_delta", "states.source": "commands"}),
    ],
)
def test_where_actions_say_nothing_about_states_there_is_none(parameter: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as error:
        of(**parameters)
    assert error.value.parameter == parameter


def test_state_models_of_other_dimensions_are_refused() -> None:
    with pytest.raises(ConfigError, match="state_dim: 3 state dimensions cannot be advanced by 7 action dimensions"):
        StateModel("delta", 7, 3)
    with pytest.raises(ConfigError, match="action_dim: a pose has 7 dimensions"):
        StateModel("pose", 3, 3)


def test_of_a_preset_or_a_sidecar() -> None:
    assert change_of_convention({"actions.reduction": "difference", "states.mean": [1.0] * 7}) == "delta"
    with pytest.raises(ConfigError, match=r"actions\.reduction: is not in the preset"):
        change_of_convention({})
    with pytest.raises(ConfigError, match=r"actions\.reduction: 'halve' is not one of"):
        change_of_convention({"actions.reduction": "halve"})


def test_windows_are_unrolled_each_from_its_own_state() -> None:
    actions, start = np.random.default_rng(0).normal(size=(2, 3, 4, 7)), np.random.default_rng(1).normal(size=(2, 1, 7))
    model = StateModel("delta", 7, 7)
    ours = model.unroll(start, actions)
    assert ours.shape == (2, 3, 4, 7)
    for window in range(2):
        np.testing.assert_array_equal(ours[window], model.unroll(start[window], actions[window]))
