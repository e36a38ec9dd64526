"""Draws the demo: what the camera saw, the goal, forecast and goal as colours, and how distance and energy fell.

A GIF with a frame for each step, and a PNG with the beginning and the end of each goal. Pictures and numbers in, files
out; it knows no topics. Rings mark where a goal is: whoever looks at the picture is told, the model is not.
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

from examples.picture import INK
from vjepa_ros.pictures.colours import principal_colours

TILE_PX, GAP_PX, TITLE_PX, LABEL_PX = 256, 10, 58, 24
CURVES_PX = 190
STEP_S = 0.2
FRAME_MS, HELD_MS, LAST_MS, POSTER_MS = 200, 60, 1200, 100
"""A step; one in which the arm stays near its goal; the last one of a goal; what comes before the first."""
SMALL_PX = (TILE_PX - LABEL_PX) // 2  # of latents, of which two are on top of each other
REACHED_CM = 4.0
RING_PX = 9
TITLE = "A simulated Franka Panda goes to a goal image by planning in latents"
BLUE, ORANGE, GREY = "#1f5fa8", "#c65f13", "#8a8a8a"

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Moment:
    """One step.

    Attributes:
        goal, step: which goal, and the step since it was drawn; the first command is in force from the next one on.
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

    @property
    def done(self) -> int:
        """Steps that were commanded until then."""
        return max(0, self.step - 1)


@dataclass(frozen=True)
class Goal:
    """One goal and the way to it.

    Attributes:
        picture: (256, 256, 3).
        moments: of each step.
        is_reached: whether the arm ended near it.
        mark: column and row of the goal's place in the pictures, px.
        latents: (H', W', D) of the picture, as the model sees it.
    """

    picture: Pixels
    moments: list[Moment]
    is_reached: bool
    mark: tuple[float, float] | None = None
    latents: NDArray[Any] | None = None


def write_gif(path: Path, model: str, goals: Sequence[Goal]) -> None:
    """A frame for each step, as long as the step took, or less once the goal is near; the last one of each goal stays
    for a while. Before the first comes the very last: where nothing moves, all of the curves are to be seen.
    """
    curves = _Curves(goals, 3 * TILE_PX + 2 * GAP_PX)
    colours = _Colours(goals)
    frames, times_ms = [], []
    for goal in goals:
        for moment in goal.moments:
            is_last = moment is goal.moments[-1]
            tiles = [
                (_marked(moment.picture, goal.mark), "camera (ring: the goal)"),
                (_marked(goal.picture, goal.mark), "goal image"),
                (colours.pair(goal, moment), ""),
            ]
            state = (
                f"goal {moment.goal + 1} of {len(goals)}   step {moment.done:2d}   {moment.distance_m * 100:4.1f} cm"
            )
            verdict = ("   reached" if goal.is_reached else "   missed") if is_last else ""
            frames.append(_page(f"{TITLE} ({model})", state + verdict, [tiles], curves.until(moment)))
            times_ms.append(LAST_MS if is_last else HELD_MS if _is_held(goal, moment) else FRAME_MS)
    frames, times_ms = [frames[-1], *frames], [POSTER_MS, *times_ms]
    # One palette for all frames: colours that differ from frame to frame would flicker, and cost much.
    palette = _side_by_side(frames[::5]).quantize(256)
    images = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=times_ms, loop=0, optimize=False)


def _is_held(goal: Goal, moment: Moment) -> bool:
    """Whether the arm has been near its goal for a step, and stays there."""
    before = goal.moments[max(0, moment.step - 1)]
    return max(before.distance_m, moment.distance_m) * 100 <= REACHED_CM


def write_png(path: Path, model: str, goals: Sequence[Goal]) -> None:
    """A row for each goal: where the arm began, where it ended, the goal, and the last forecast."""
    colours = _Colours(goals)
    rows = []
    for number, goal in enumerate(goals):
        first, last = goal.moments[0], goal.moments[-1]
        rows.append(
            [
                (_marked(first.picture, goal.mark), f"goal {number + 1}: {first.distance_m * 100:.1f} cm away"),
                (_marked(last.picture, goal.mark), f"after {last.done} steps: {last.distance_m * 100:.1f} cm"),
                (_marked(goal.picture, goal.mark), "goal image"),
                (colours.pair(goal, last), ""),
            ]
        )
    curves = _Curves(goals, 4 * TILE_PX + 3 * GAP_PX).until(goals[-1].moments[-1])
    reached = sum(goal.is_reached for goal in goals)
    _page(f"{TITLE} ({model})", f"{reached} of {len(goals)} reached", rows, curves).save(path, optimize=True)


def _marked(picture: Pixels, mark: tuple[float, float] | None) -> Pixels:
    """With a ring where the goal is."""
    if mark is None:
        return picture
    drawn = Image.fromarray(picture)
    pen = ImageDraw.Draw(drawn)
    for radius, colour in ((RING_PX + 1, "black"), (RING_PX, "white")):
        box = [mark[0] - radius, mark[1] - radius, mark[0] + radius, mark[1] + radius]
        pen.ellipse(box, outline=colour, width=1 if colour == "black" else 2)
    return np.asarray(drawn)


class _Colours:
    """Latents as colours that mean the same in all of them, forecasts and goals."""

    def __init__(self, goals: Sequence[Goal]) -> None:
        forecasts = {(m.goal, m.step): m.forecast for goal in goals for m in goal.moments if m.forecast is not None}
        aims = {id(goal): goal.latents for goal in goals if goal.latents is not None}
        latents: dict[Any, NDArray[Any]] = {**forecasts, **aims}
        self._found: dict[Any, Pixels] = {}
        if latents:
            every = np.stack(list(latents.values()))
            # Each position has a look of its own that hardly changes and would take all the colours.
            self._found = dict(zip(latents, principal_colours(every - every.mean(axis=0)), strict=True))

    def pair(self, goal: Goal, moment: Moment) -> Pixels:
        """(256, 256, 3): the forecast at a moment, and below it the goal, with what they are beside them."""
        # Where nothing new is forecast, what was forecast a step before is about this one.
        now, before = (moment.goal, moment.step), (moment.goal, moment.step - 1)
        if now in self._found:
            shown, said = self._found[now], "forecast of\nthe next step"
        elif before in self._found:
            shown, said = self._found[before], "forecast of\nthis step"
        else:
            shown, said = None, "no forecast"
        whole = Image.new("RGB", (TILE_PX, TILE_PX), "white")
        pen = ImageDraw.Draw(whole)
        for top, latents, text in (
            (0, shown, said),
            (TILE_PX - SMALL_PX, self._found.get(id(goal)), "goal image,\nas latents"),
        ):
            if latents is None:
                pen.rectangle([0, top, SMALL_PX - 1, top + SMALL_PX - 1], fill=(230, 230, 230))
            else:
                size = (SMALL_PX, SMALL_PX)
                whole.paste(Image.fromarray(latents).resize(size, Image.Resampling.NEAREST), (0, top))
            pen.multiline_text((SMALL_PX + GAP_PX, top + 4), text, INK, ImageFont.load_default(13), spacing=4)
        notes = (
            (SMALL_PX - 56, "colours: PCA of the\nlatents; they are to\nbecome the goal's"),
            (TILE_PX - 40, "the ring is for you:\nno model is told of it"),
        )
        for top, note in notes:
            pen.multiline_text((SMALL_PX + GAP_PX, top), note, (120, 120, 120), ImageFont.load_default(12), spacing=3)
        return np.asarray(whole)


def _page(title: str, state: str, rows: Sequence[Sequence[tuple[Pixels, str]]], curves: Image.Image) -> Image.Image:
    """Title, rows of tiles with a label below each, and curves."""
    width = 2 * GAP_PX + curves.width
    row_px = TILE_PX + LABEL_PX
    page = Image.new("RGB", (width, TITLE_PX + len(rows) * row_px + curves.height), "white")
    pen = ImageDraw.Draw(page)
    pen.text((GAP_PX, 9), title, INK, ImageFont.load_default(17))
    pen.text((GAP_PX, 33), state, INK, ImageFont.load_default(15))
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
