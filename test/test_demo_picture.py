"""What the demo draws: every step is there, pixels are those of the camera, and the files are small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from examples.demo_picture import GAP_PX, LAST_MS, TILE_PX, TITLE_PX, Goal, Moment, write_gif, write_png
from vjepa_ros.simulation.episodes import simulate
from vjepa_ros.simulation.plan import World

STEPS = 4


def goals() -> list[Goal]:
    """Three goals; nothing is forecast or planned at a last step."""
    rng = np.random.default_rng(0)
    (episode,) = simulate(World(seed=1, frames=16, size=256, drawn=256, variation="fixed"), [0])
    found = []
    for number in range(3):
        pictures = episode.pictures[number * 5 : number * 5 + STEPS]
        moments = [
            Moment(
                number, step, picture, None if step == STEPS - 1 else rng.normal(size=(4, 4, 64)), 0.3 - 0.08 * step,
                None if step == STEPS - 1 else 0.8 - 0.1 * step,
            )
            for step, picture in enumerate(pictures)
        ]  # fmt: skip
        found.append(Goal(episode.pictures[number], moments, number != 1))
    return found


def test_the_gif_has_a_frame_for_each_step(tmp_path: Path) -> None:
    given = goals()
    write_gif(tmp_path / "demo.gif", "tiny", given)
    with Image.open(tmp_path / "demo.gif") as gif:
        assert getattr(gif, "n_frames", 0) == 3 * STEPS
        gif.seek(STEPS - 1)
        assert gif.info["duration"] == LAST_MS
        shown = np.asarray(gif.convert("RGB"))
    camera, goal = (
        shown[TITLE_PX : TITLE_PX + TILE_PX, left : left + TILE_PX].astype(int)
        for left in (GAP_PX, 2 * GAP_PX + TILE_PX)
    )
    # A palette of 256 colours for all of it.
    assert np.abs(camera - given[0].moments[-1].picture).mean() < 4
    assert np.abs(goal - given[0].picture).mean() < 4
    assert (tmp_path / "demo.gif").stat().st_size < 1_000_000


def test_the_picture_has_a_row_for_each_goal(tmp_path: Path) -> None:
    given = goals()
    write_png(tmp_path / "demo.png", "tiny", given)
    shown = np.asarray(Image.open(tmp_path / "demo.png").convert("RGB"))
    assert shown.shape[1] == 4 * TILE_PX + 5 * GAP_PX
    for number, goal in enumerate(given):
        top = TITLE_PX + number * (TILE_PX + 24)
        columns = [GAP_PX + column * (TILE_PX + GAP_PX) for column in range(4)]
        first, last, aim, forecast = (shown[top : top + TILE_PX, left : left + TILE_PX] for left in columns)
        np.testing.assert_array_equal(first, goal.moments[0].picture)
        np.testing.assert_array_equal(last, goal.moments[-1].picture)
        np.testing.assert_array_equal(aim, goal.picture)
        blocks = forecast.reshape(4, 64, 4, 64, 3)
        assert (blocks == blocks[:, :1, :, :1]).all() and len(np.unique(blocks.reshape(-1, 3), axis=0)) > 8
