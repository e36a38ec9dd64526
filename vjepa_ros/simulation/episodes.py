"""Episodes: arms that are commanded, move and are filmed, many in lockstep, each the same whoever else is there.

Time counts in ns from an episode's first frame. A command is stamped like the last frame of the step that it is given
after: it is in force from then on, as action[k] is from step k to step k+1 (docs/time.md; ``actions.phase: last``).
It knows no messages and no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.geometry import Vector
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.arms import Arms
from vjepa_ros.simulation.drawing import Painter, Picture
from vjepa_ros.simulation.motions import motion
from vjepa_ros.simulation.plan import FRAME_HZ, STEP_FRAMES, World
from vjepa_ros.simulation.scenes import Scene, scene

FRAME_NS = 10**9 // FRAME_HZ
TICKS = 2
"""Steps of the motion per frame."""
TICK_NS = FRAME_NS // TICKS
START_NS = 1_700_000_000 * 10**9
"""When the first frame of episode 0 is stamped where nobody says when: a stamp of 0 would say that there is none."""
GAP_NS = 2 * 10**9
"""Between an episode's last frame and the next one's first: longer than a window may have a gap, and longer than a
command is in force."""
LOCKSTEP = 32
"""Episodes that are simulated together unless told otherwise."""

MOTION, SCENE = 0, 1
"""What the numbers of an episode's generators stand for."""

Stamps = NDArray[np.int64]


@dataclass(frozen=True)
class Episode:
    """One episode.

    Attributes:
        number: which one of its seed.
        motion: the name of what is commanded.
        scene: what is around the arm.
        frame_stamps: (frames,) ns.
        pictures: (frames, size, size, 3) uint8, red, green, blue.
        joint_stamps: (ticks,) ns.
        joints: (ticks, 7) rad, where the arm is.
        command_stamps: (steps + 1,) ns; the first lies one step before the first step's last frame.
        commands: (steps + 1, 7) rad; the first is where the arm stands at the beginning.
    """

    number: int
    motion: str
    scene: Scene
    frame_stamps: Stamps
    pictures: Picture
    joint_stamps: Stamps
    joints: Vector
    command_stamps: Stamps
    commands: Vector


def simulate(world: World, numbers: Sequence[int], lockstep: int = LOCKSTEP) -> Iterator[Episode]:
    """Episodes, one after another.

    Args:
        world: what they are like.
        numbers: which ones of its seed.
        lockstep: how many are simulated together; that changes nothing but the time it takes.
    """
    for first in range(0, len(numbers), lockstep):
        yield from _together(world, numbers[first : first + lockstep])


def generator(world: World, number: int, what: int) -> np.random.Generator:
    """What an episode's motion (0), or its scene (1), comes from; live, its goals (2) and pushes (3) too."""
    return np.random.default_rng([world.seed, number, what])


def start_ns(world: World, number: int) -> int:
    """The stamp of an episode's first frame in recordings, which follow each other in time."""
    return START_NS + number * ((world.frames - 1) * FRAME_NS + GAP_NS)


def beginning(world: World, number: int) -> tuple[Scene, Vector]:
    """What is around the arm in an episode, and (7,) where its joints are at the first frame, in rad."""
    _, tips = motion(generator(world, number, MOTION), 1)
    return scene(world.variation, generator(world, number, SCENE)), panda.joints_for(tips[:1])[0]


def _together(world: World, numbers: Sequence[int]) -> Iterator[Episode]:
    steps = world.frames // STEP_FRAMES
    motions = [motion(generator(world, number, MOTION), steps) for number in numbers]
    commands = panda.joints_for(np.stack([tips for _, tips in motions]))  # (B, steps + 1, 7)
    joints = _moved(commands, world.frames)
    frame_stamps = np.arange(world.frames, dtype=np.int64) * FRAME_NS
    joint_stamps = np.arange(joints.shape[1], dtype=np.int64) * TICK_NS
    command_stamps = (np.arange(steps + 1, dtype=np.int64) * STEP_FRAMES - 1) * FRAME_NS
    for row, number in enumerate(numbers):
        around = scene(world.variation, generator(world, number, SCENE))
        yield Episode(
            number=number,
            motion=motions[row][0],
            scene=around,
            frame_stamps=frame_stamps,
            pictures=_filmed(around, joints[row, ::TICKS], world),
            joint_stamps=joint_stamps,
            joints=joints[row],
            command_stamps=command_stamps,
            commands=commands[row],
        )


def _moved(commands: Vector, frames: int) -> Vector:
    """(B, steps + 1, 7) -> (B, ticks, 7), where the arms are at each tick from the first frame to the last."""
    arms = Arms(commands[:, 0])
    found = [arms.joints]
    for frame in range(1, frames):
        if frame % STEP_FRAMES == 0:  # the frame before was the last one of its step
            arms.command(commands[:, frame // STEP_FRAMES])
        for _ in range(TICKS):
            arms.advance(TICK_NS / 1e9)
            found.append(arms.joints)
    return np.stack(found, axis=1)


def _filmed(around: Scene, joints: Vector, world: World) -> Picture:
    painter = Painter(around, world.drawn)
    return np.stack([smaller(painter.draw(row), world.size) for row in joints])


def smaller(picture: Picture, size: int) -> Picture:
    """A picture as the node's preprocessing makes it smaller: bilinear, without antialiasing; rounded."""
    if len(picture) == size:
        return picture
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
