"""Draws the demo: what the camera saw, the goal, the forecast as colours, and how distance and energy fell.

A GIF with a frame for each step, and a PNG with the beginning and the end of each goal. Pictures and numbers in, files
out; it knows no topics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from examples.picture import INK, principal_colours

TILE_PX, GAP_PX, TITLE_PX, LABEL_PX = 256, 10, 34, 24
CURVES_PX = 190
STEP_S = 0.2
FRAME_MS, LAST_MS = 200, 1200
REACHED_CM = 4.0
BLUE, ORANGE, GREY = "#1f5fa8", "#c65f13", "#8a8a8a"

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Moment:
    """One step.

    Attributes:
        goal, step: which goal, and the step since it was drawn.
        picture: (256, 256, 3) what the camera saw.
        forecast: (H', W', D) what was expected of the next step; None where nothing was.
        distance_m: from the tip to the goal.
        energy: of what was seen; None where no plan was made.
    """

    goal: int
    step: int
    picture: Pixels
    forecast: NDArray[Any] | None
    distance_m: float
    energy: float | None


@dataclass(frozen=True)
class Goal:
    """One goal and the way to it.

    Attributes:
        picture: (256, 256, 3).
        moments: of each step.
        is_reached: whether the arm ended near it.
    """

    picture: Pixels
    moments: list[Moment]
    is_reached: bool


def write_gif(path: Path, model: str, goals: Sequence[Goal]) -> None:
    """A frame for each step, as long as the step took; the last one of each goal stays for a while."""
    curves = _Curves(goals, 3 * TILE_PX + 2 * GAP_PX)
    colours = _colours(goals)
    frames, times_ms = [], []
    for goal in goals:
        for moment in goal.moments:
            is_last = moment is goal.moments[-1]
            tiles = [
                (moment.picture, "camera"),
                (goal.picture, "goal image"),
                (colours[moment.goal, moment.step], "forecast of the next step (latents, PCA)"),
            ]
            state = (
                f"goal {moment.goal + 1} of {len(goals)}   step {moment.step:2d}   {moment.distance_m * 100:4.1f} cm"
            )
            verdict = ("   reached" if goal.is_reached else "   missed") if is_last else ""
            title = f"vjepa_ros, {model}: planning in latent space"
            frames.append(_page(title, state + verdict, [tiles], curves.until(moment)))
            times_ms.append(LAST_MS if is_last else FRAME_MS)
    # One palette for all frames: colours that differ from frame to frame would flicker, and cost much.
    palette = _side_by_side(frames[::5]).quantize(256)
    images = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=times_ms, loop=0, optimize=False)


def write_png(path: Path, model: str, goals: Sequence[Goal]) -> None:
    """A row for each goal: where the arm began, where it ended, the goal, and the last forecast."""
    colours = _colours(goals)
    rows = []
    for number, goal in enumerate(goals):
        first, last = goal.moments[0], goal.moments[-1]
        rows.append(
            [
                (first.picture, f"goal {number + 1}: {first.distance_m * 100:.1f} cm away"),
                (last.picture, f"after {len(goal.moments) - 2} steps: {last.distance_m * 100:.1f} cm"),
                (goal.picture, "goal image"),
                (colours[number, last.step], "forecast at the end (latents, PCA)"),
            ]
        )
    curves = _Curves(goals, 4 * TILE_PX + 3 * GAP_PX).until(goals[-1].moments[-1])
    title = f"vjepa_ros, {model}: three goal images reached by planning in latent space"
    if not all(goal.is_reached for goal in goals):
        title = f"vjepa_ros, {model}: three goal images, not all of them reached"
    _page(title, "", rows, curves).save(path, optimize=True)


def _colours(goals: Sequence[Goal]) -> dict[tuple[int, int], Pixels]:
    """By goal and step, (256, 256, 3): the newest forecast, as colours that mean the same in all of them."""
    keys, kept = [], []
    newest: NDArray[Any] | None = None
    for goal in goals:
        for moment in goal.moments:
            newest = newest if moment.forecast is None else moment.forecast
            if newest is not None:
                keys.append((moment.goal, moment.step))
                kept.append(newest)
    forecasts = np.stack(kept)
    # Each position has a look of its own that hardly changes and would take all the colours.
    colours = principal_colours(forecasts - forecasts.mean(axis=0))
    blank = np.full((TILE_PX, TILE_PX, 3), 230, np.uint8)
    found = {key: _large(picture) for key, picture in zip(keys, colours, strict=True)}
    return {(m.goal, m.step): found.get((m.goal, m.step), blank) for goal in goals for m in goal.moments}


def _large(picture: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(picture).resize((TILE_PX, TILE_PX), Image.Resampling.NEAREST))


def _page(title: str, state: str, rows: Sequence[Sequence[tuple[Pixels, str]]], curves: Image.Image) -> Image.Image:
    """Title, rows of tiles with a label below each, and curves."""
    width = 2 * GAP_PX + curves.width
    row_px = TILE_PX + LABEL_PX
    page = Image.new("RGB", (width, TITLE_PX + len(rows) * row_px + curves.height), "white")
    pen = ImageDraw.Draw(page)
    pen.text((GAP_PX, 9), title, INK, ImageFont.load_default(17))
    pen.text((width - GAP_PX, 9), state, INK, ImageFont.load_default(17), anchor="ra")
    for row, tiles in enumerate(rows):
        top = TITLE_PX + row * row_px
        for column, (pixels, label) in enumerate(tiles):
            left = GAP_PX + column * (TILE_PX + GAP_PX)
            page.paste(Image.fromarray(pixels), (left, top))
            pen.text((left, top + TILE_PX + 4), label, INK, ImageFont.load_default(13))
    page.paste(curves, (GAP_PX, page.height - curves.height))
    return page


def _side_by_side(pages: Sequence[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (sum(page.width for page in pages), pages[0].height))
    left = 0
    for page in pages:
        whole.paste(page, (left, 0))
        left += page.width
    return whole


class _Curves:
    """Distance and energy over time, as far as they are known at a moment."""

    def __init__(self, goals: Sequence[Goal], width_px: int) -> None:
        self._figure = Figure(figsize=(width_px / 100, CURVES_PX / 100), dpi=100)
        self._canvas = FigureCanvasAgg(self._figure)
        self._moments = [moment for goal in goals for moment in goal.moments]
        # The last moment of a goal is the first one of the next.
        lengths = [len(goal.moments) - 1 for goal in goals]
        self._begins_s = [sum(lengths[:number]) * STEP_S for number in range(len(goals))]
        far, near = self._figure.subplots(1, 2)
        ends_s = self._begins_s[-1] + (len(goals[-1].moments) - 1) * STEP_S
        most_cm = max(moment.distance_m for moment in self._moments) * 100
        most = max((moment.energy for moment in self._moments if moment.energy is not None), default=1.0)
        for axes, title, top in ((far, "distance to the goal, cm", most_cm), (near, "energy", most)):
            axes.set_xlim(0, ends_s)
            axes.set_ylim(0, top * 1.08)
            axes.set_title(title, fontsize=9, loc="left")
            axes.set_xlabel("s", fontsize=8, labelpad=0)
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
            for begin_s in self._begins_s[1:]:
                axes.axvline(begin_s, color=GREY, lw=0.8, ls=":")
        far.axhline(REACHED_CM, color=GREY, lw=0.8)
        far.text(ends_s, REACHED_CM + most_cm * 0.02, "4 cm", fontsize=7, color=GREY, ha="right")
        self._far = [far.plot([], [], color=BLUE, lw=1.6)[0] for _ in goals]
        self._near = [near.plot([], [], color=ORANGE, lw=1.6)[0] for _ in goals]
        self._figure.tight_layout(pad=0.6, w_pad=2.5)

    def until(self, moment: Moment) -> Image.Image:
        """With what is known at a moment."""
        for number, (far, near) in enumerate(zip(self._far, self._near, strict=True)):
            seen = [m for m in self._moments if m.goal == number and (m.goal, m.step) <= (moment.goal, moment.step)]
            begin_s = self._begins_s[number]
            far.set_data([begin_s + m.step * STEP_S for m in seen], [m.distance_m * 100 for m in seen])
            planned = [(begin_s + m.step * STEP_S, m.energy) for m in seen if m.energy is not None]
            near.set_data([at for at, _ in planned], [energy for _, energy in planned])
        self._canvas.draw()  # type: ignore[no-untyped-call]
        return Image.fromarray(
            np.asarray(self._canvas.buffer_rgba())[  # type: ignore[no-untyped-call]
                ..., :3
            ].copy()
        )
