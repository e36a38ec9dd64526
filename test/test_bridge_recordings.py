"""Episodes in arrays as recordings: what the streams read is what the arrays hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import vjepa_ros
from examples.bridge_recordings import write

PARAMS = Path(__file__).parents[1] / "examples" / "bridge.yaml"


def test_windows_hold_the_episodes_frames_actions_and_states(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 5, 64, 64, 3), dtype=np.uint8)
    actions, states = (rng.normal(size=(2, 5, 7)).astype(np.float32) for _ in range(2))
    np.savez(tmp_path / "episodes.npz", images=images, actions=actions, states=states)
    assert write(tmp_path / "episodes.npz", tmp_path / "bags") == 2
    assert sorted(path.name for path in (tmp_path / "bags").iterdir()) == ["00", "01"]
    for episode in range(2):
        windows = list(vjepa_ros.read_windows(tmp_path / "bags" / f"{episode:02}", params=PARAMS))
        assert len(windows) == 4, "each two frames are one"
        for number, window in enumerate(windows):
            both = slice(number, number + 2)
            np.testing.assert_array_equal(window.actions.values, actions[episode, both].astype(np.float64))
            np.testing.assert_array_equal(window.states.values, states[episode, both].astype(np.float64))
            mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
            pixels = (window.clip[0].transpose(1, 2, 3, 0) * std + mean) * 255
            np.testing.assert_allclose(pixels, images[episode, both], atol=1e-3)
