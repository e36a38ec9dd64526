"""Rollouts, energies and the planner on top of them, against what the public code computed, stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.reference import DATA, SMALL_CHECKPOINT, SMALL_PRESET

import vjepa_ros
from vjepa_ros.engine.world_model import WorldModel

TOLERANCE = 1e-5
TOKENS = 256


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(DATA / "golden.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def wm() -> WorldModel:
    return vjepa_ros.load(SMALL_PRESET, checkpoint=SMALL_CHECKPOINT, encoding="frame_repeat")


def energies(wm: WorldModel, golden: dict[str, np.ndarray], candidates: np.ndarray) -> np.ndarray:
    """(K, H): from the first robot frame, towards the second."""
    first, second = torch.from_numpy(golden["dense_latents"]).split(TOKENS, dim=1)
    latents = wm.rollout(first, np.empty((1, 0, 7)), golden["rollout_states"][:, :1], candidates)
    return wm.energy(latents, second).numpy()


def test_rollout(wm, golden):
    """Two observed steps, with the one action between them, and four forecasts."""
    stored = torch.from_numpy(golden["rollout_latents"]).unflatten(1, (6, TOKENS))
    observed = torch.from_numpy(golden["dense_latents"])
    assert torch.equal(observed, stored[:, :2].flatten(1, 2))
    actions, states = golden["rollout_actions"], golden["rollout_states"]
    latents = wm.rollout(observed, actions[:, :1], states[:, :2], actions[:, 1:])
    difference = (latents - stored[:, 2:]).abs()
    print(f"maximum difference {difference.max():.2e}, mean {difference.mean():.2e}")
    assert latents.shape == (1, 4, TOKENS, 64) and difference.max() <= TOLERANCE


def test_states_of_the_rollout(wm, golden):
    actions, states = golden["rollout_actions"].astype(float), golden["rollout_states"].astype(float)
    ours = wm.state_model.unroll(states[0, 1:2], actions[:, 1:])
    np.testing.assert_allclose(ours[0], states[0, 2:], rtol=0, atol=1e-6)  # they are stored as float32


def test_energies_of_the_candidates(wm, golden):
    ours = energies(wm, golden, golden["energy_candidates"])
    print(f"maximum difference {np.abs(ours[:, 0] - golden['energy']).max():.2e}")
    assert ours.shape == (125, 1)
    assert np.ptp(golden["energy"]) > 100 * TOLERANCE
    np.testing.assert_allclose(ours[:, 0], golden["energy"], rtol=0, atol=TOLERANCE)


def test_energies_of_a_cross_entropy_run(wm, golden):
    """Each iteration draws 25 sequences of two actions; 10 elites move the distribution.

    The elites are chosen by the stored energies: of two that nearly tie, rounding might choose the other one.
    """
    limit, momentum = 0.075, 0.15
    std_momentum = np.array([0.75, 0.75, 0.75, momentum])  # xyz and gripper
    mean, std = np.zeros((2, 1, 4)), np.full((2, 1, 4), limit)
    std[..., 3] = 1.0
    clip = np.array([limit, limit, limit, 0.75])
    for noise, stored in zip(golden["cem_noise"], golden["cem_energies"], strict=True):
        samples = np.clip(noise * std + mean, -clip, clip)  # (H, K, 4)
        candidates = np.zeros((25, 2, 7))
        candidates[..., [0, 1, 2, 6]] = samples.swapaxes(0, 1)
        np.testing.assert_allclose(energies(wm, golden, candidates)[:, -1], stored, rtol=0, atol=TOLERANCE)
        elites = samples[:, np.argsort(stored)[:10]]
        mean = (1 - momentum) * elites.mean(1, keepdims=True) + momentum * mean
        std = (1 - std_momentum) * elites.std(1, keepdims=True, ddof=1) + std_momentum * std


def test_each_candidate_is_on_its_own(wm, golden):
    """Together or alone, whatever the others do: the same forecasts."""
    first = torch.from_numpy(golden["dense_latents"][:, :TOKENS])
    states, none = golden["rollout_states"][:, :1], np.empty((1, 0, 7))
    candidates = torch.randn(3, 2, 7, generator=torch.Generator().manual_seed(0)) * 0.1
    together = wm.rollout(first, none, states, candidates)
    changed = candidates.clone()
    changed[1:] *= -1
    others = wm.rollout(first, none, states, changed)
    torch.testing.assert_close(others[0], together[0], rtol=0, atol=TOLERANCE)
    assert (others[1] - together[1]).abs().max() > 1e-3
    for index in range(3):
        alone = wm.rollout(first, none, states, candidates[index : index + 1])
        torch.testing.assert_close(alone[0], together[index], rtol=0, atol=TOLERANCE)
