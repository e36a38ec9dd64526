"""What is to be simulated, as values that refuse what makes no sense. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vjepa_ros.config.checks import Refusal, refuse
from vjepa_ros.errors import brief

TOOL = "vjepa_simulate"
ABOUT = "simulation.json"
"""In the output: what it was made of."""

Variation = Literal["fixed", "varied", "wide"]
VARIATIONS: tuple[str, ...] = get_args(Variation)

FRAME_HZ = 10
STEP_FRAMES = 2
"""Frames of a tubelet: one command is given right after the last of them."""
SMALLEST_PX, LARGEST_PX = 16, 1024
ALWAYS_THERE_M = 0.4
"""From every place of the workspace there are others as far away as this."""
MOST_EPISODES, MOST_FRAMES, MOST_BAGS = 1_000_000, 10_000, 1000
MOST_OF_ALL = 100_000_000
"""Frames: with more of them stamps, which have 32 bits for seconds, would come to their end."""
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class World:
    """What episodes are like.

    Attributes:
        seed: what everything comes from; episode n of a seed is the same however many others there are.
        frames: of an episode, a whole number of tubelets.
        size: px of the pictures, which are square.
        drawn: px that they are drawn at before they are made smaller, as the node's preprocessing does it.
        variation: of the scenes, one of :data:`VARIATIONS`.

    Raises:
        ConfigError: naming the field at fault.
    """

    seed: int = 0
    frames: int = 32
    size: int = 64
    drawn: int = 256
    variation: str = "varied"

    def __post_init__(self) -> None:
        refuse(self._refusals())

    def _refusals(self) -> Iterator[Refusal]:
        yield _outside("seed", self.seed, 0, LARGEST_SEED)
        yield _outside("frames", self.frames, STEP_FRAMES, MOST_FRAMES)
        yield self.frames % STEP_FRAMES != 0, "frames", f"{self.frames} are no whole number of steps of {STEP_FRAMES}"
        yield _outside("size", self.size, SMALLEST_PX, LARGEST_PX)
        yield _outside("drawn", self.drawn, self.size, LARGEST_PX)
        choices = ", ".join(VARIATIONS)
        yield self.variation not in VARIATIONS, "variation", f"{brief(self.variation)} is not one of {choices}"


@dataclass(frozen=True)
class Plan:
    """Recordings to make.

    Attributes:
        out: the bag, a folder; with several bags a folder of them.
        world: what the episodes are like.
        episodes: how many.
        bags: how many recordings they are spread over, one after another.
        force: replace what is there.

    Raises:
        ConfigError: naming the field at fault.
    """

    out: Path
    world: World
    episodes: int = 100
    bags: int = 1
    force: bool = False

    def __post_init__(self) -> None:
        refuse(self._refusals())

    def _refusals(self) -> Iterator[Refusal]:
        yield _outside("episodes", self.episodes, 1, MOST_EPISODES)
        every = self.episodes * self.world.frames
        yield every > MOST_OF_ALL, "episodes", f"{self.episodes:,} have {every:,} frames, at most {MOST_OF_ALL:,}"
        yield _outside("bags", self.bags, 1, MOST_BAGS)
        yield self.bags > self.episodes, "bags", f"{self.bags} bags are more than there are episodes, {self.episodes}"


def _outside(name: str, value: int, least: int, most: int) -> Refusal:
    return not least <= value <= most, name, f"must be a whole number from {least:,} to {most:,}, not {brief(value)}"
