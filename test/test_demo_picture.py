"""What the demo draws: every step is there, pixels are those of the camera, no forecast stands for another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from examples import demo_picture
from examples.demo_picture import (
    FRAME_MS,
    GAP_PX,
    HELD_MS,
    LAST_MS,
    POSTER_MS,
    SMALL_PX,
    TILE_PX,
    TITLE_PX,
    Goal,
    Moment,
    write_gif,
    write_png,
)
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.drawing import Painter
from vjepa_ros.simulation.episodes import beginning, simulate
from vjepa_ros.simulation.plan import World

STEPS = 5


def goals() -> list[Goal]:
    """Three goals; nothing is forecast or planned at a last step."""
    rng = np.random.default_rng(0)
    (episode,) = simulate(World(seed=1, frames=16, size=256, drawn=256, variation="fixed"), [0])
    found = []
    for number in range(3):
        pictures = episode.pictures[number * 5 : number * 5 + STEPS]
        moments = [
            Moment(
                number, step, picture, None if step == STEPS - 1 else rng.normal(size=(4, 4, 64)),
                max(0.3 - 0.1 * step, 0.0), None if step == STEPS - 1 else 0.8 - 0.1 * step,
            )
            for step, picture in enumerate(pictures)
        ]  # fmt: skip
        found.append(Goal(episode.pictures[number], moments, number != 1, (30.0, 40.0), rng.normal(size=(4, 4, 64))))
    return found


def without_ring(picture: np.ndarray) -> np.ndarray:
    """What is left and below of where the ring of these goals is."""
    return picture[60:].astype(int)


def test_the_gif_has_a_frame_for_each_step_and_those_that_stand_still_pass_quickly(tmp_path: Path) -> None:
    given = goals()
    write_gif(tmp_path / "demo.gif", "tiny", given)
    shown, times_ms = [], []
    with Image.open(tmp_path / "demo.gif") as gif:
        for frame in range(getattr(gif, "n_frames", 0)):
            gif.seek(frame)
            shown.append(np.asarray(gif.convert("RGB")))
            times_ms.append(gif.info["duration"])
    assert times_ms == [POSTER_MS, *[FRAME_MS, FRAME_MS, FRAME_MS, FRAME_MS, LAST_MS] * 3]
    np.testing.assert_array_equal(shown[0], shown[-1])  # where nothing moves, the whole is to be seen
    camera, goal = (
        shown[STEPS][TITLE_PX : TITLE_PX + TILE_PX, left : left + TILE_PX] for left in (GAP_PX, 2 * GAP_PX + TILE_PX)
    )
    # A palette of 256 colours for all of it.
    assert np.abs(without_ring(camera) - without_ring(given[0].moments[-1].picture)).mean() < 4
    assert np.abs(without_ring(goal) - without_ring(given[0].picture)).mean() < 4
    assert (tmp_path / "demo.gif").stat().st_size < 1_000_000


def test_an_arm_that_stays_near_its_goal_passes_quickly() -> None:
    moments = [
        Moment(0, step, np.zeros((8, 8, 3), np.uint8), None, m, None)
        for step, m in enumerate((0.3, 0.1, 0.03, 0.02, 0.05))
    ]
    goal = Goal(moments[0].picture, moments, False)
    assert [demo_picture._is_held(goal, moment) for moment in moments] == [False, False, False, True, False]
    assert [moment.done for moment in moments] == [0, 0, 1, 2, 3] and HELD_MS < FRAME_MS / 2


def colours(pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two latents of a tile, as (4, 4, 3)."""
    middle = (np.arange(4) * SMALL_PX + SMALL_PX // 2) // 4
    upper, lower = pair[:SMALL_PX, :SMALL_PX], pair[-SMALL_PX:, :SMALL_PX]
    return upper[np.ix_(middle, middle)], lower[np.ix_(middle, middle)]


def test_a_forecast_is_never_shown_for_that_of_another_step_or_goal() -> None:
    given = goals()
    drawn = demo_picture._Colours(given)
    for goal in given:
        pairs = [drawn.pair(goal, moment) for moment in goal.moments]
        assert len({colours(pair)[1].tobytes() for pair in pairs}) == 1, "the goal's"
        forecasts = [colours(pair)[0].tobytes() for pair in pairs]
        assert len(set(forecasts)) == STEPS - 1
        assert forecasts[-1] == forecasts[-2], "what was forecast a step before is about the last one"
        assert (pairs[-1][:, SMALL_PX:] != pairs[-2][:, SMALL_PX:]).any(), "and is called so"
    blind = replace(given[1], moments=[replace(moment, forecast=None) for moment in given[1].moments], latents=None)
    tile = demo_picture._Colours([given[0], blind]).pair(blind, blind.moments[0])
    assert all((part == 230).all() for part in colours(tile)), "not those of the goal before"
    alone = demo_picture._Colours([blind]).pair(blind, blind.moments[0])
    np.testing.assert_array_equal(alone, tile)


def test_the_ring_is_where_the_tip_is_in_the_goal_image() -> None:
    """Moving the tip there changes the picture around it."""
    scene, joints = beginning(World(seed=4, size=256, variation="wide"), 2)
    place = np.array([0.5, 0.2, 0.3])
    painter = Painter(scene, 256)
    column, row = scene.pixel_of(place, 256)
    changed = np.abs(painter.draw(panda.joints_for(place)).astype(int) - painter.draw(joints)).sum(axis=2) > 40
    around = changed[round(row) - 30 : round(row) + 5, round(column) - 12 : round(column) + 12]
    assert around.mean() > 0.5, (column, row)
    below = changed[round(row) + 40 :, :]
    assert below.mean() < around.mean() / 2


def test_the_picture_has_a_row_for_each_goal(tmp_path: Path) -> None:
    given = goals()
    write_png(tmp_path / "demo.png", "tiny", given)
    shown = np.asarray(Image.open(tmp_path / "demo.png").convert("RGB"))
    assert shown.shape[1] == 4 * TILE_PX + 5 * GAP_PX
    for number, goal in enumerate(given):
        top = TITLE_PX + number * (TILE_PX + 24)
        columns = [GAP_PX + column * (TILE_PX + GAP_PX) for column in range(4)]
        first, last, aim, pair = (shown[top : top + TILE_PX, left : left + TILE_PX] for left in columns)
        np.testing.assert_array_equal(without_ring(first), without_ring(goal.moments[0].picture))
        np.testing.assert_array_equal(without_ring(last), without_ring(goal.moments[-1].picture))
        np.testing.assert_array_equal(without_ring(aim), without_ring(goal.picture))
        assert (first[30:50, 20:40] != goal.moments[0].picture[30:50, 20:40]).any(), "the ring"
        for part in colours(pair):
            assert len(np.unique(part.reshape(-1, 3), axis=0)) > 8
