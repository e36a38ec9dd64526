"""Recordings of the simulated arm that is commanded at every frame, so that a step of two frames has two commands.

What ``vjepa_simulate`` records has one command for two frames, and nothing would be lost by reading every second one.
Here the same motions go on at half the pace, a command a frame, and the same commands are there once more as
increments. Everything comes from a seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.strategies.variants import AFTER_FRAME_S, WIRES
from vjepa_ros.geometry import Vector
from vjepa_ros.recordings.robot_bag import RobotBag
from vjepa_ros.recordings.writing import header, new
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.arms import Arms
from vjepa_ros.simulation.drawing import Painter, Picture
from vjepa_ros.simulation.episodes import FRAME_NS, MOTION, TICK_NS, TICKS, beginning, generator, smaller, start_ns
from vjepa_ros.simulation.motions import motion
from vjepa_ros.simulation.plan import World
from vjepa_ros.units import to_ns

PACE = 0.5
"""Of the motions, which are made for steps of two frames."""
_JOINTS = "sensor_msgs/msg/JointState"


@dataclass(frozen=True)
class Filmed:
    """An episode.

    Attributes:
        pictures: (frames, size, size, 3) uint8, red, green, blue.
        joints: (frames, 7) rad, where the arm is.
        commands: (frames + 1, 7) rad: where it stands at the beginning, then what is commanded right after each frame.
    """

    pictures: Picture
    joints: Vector
    commands: Vector


def film(world: World, numbers: Sequence[int]) -> Iterator[Filmed]:
    """Episodes of a world's seed, one after another."""
    for number in numbers:
        _, tips = motion(generator(world, number, MOTION), world.frames)
        # A part of the way from a place of the workspace to another: it has no dents.
        commands = panda.joints_for(tips[0] + PACE * (tips - tips[0]))
        arms, painter = Arms(commands[:1]), Painter(beginning(world, number)[0], world.drawn)
        pictures, joints = [], []
        for command in commands[1:]:
            joints.append(arms.joints[0])
            pictures.append(smaller(painter.draw(joints[-1]), world.size))
            arms.command(command[None])
            for _ in range(TICKS):
                arms.advance(TICK_NS / 1e9)
        yield Filmed(np.stack(pictures), np.stack(joints), commands)


def record(folder: Path, world: World, episodes: int, bags: int) -> list[Path]:
    """Write recordings, one after another in time, or find those that are there.

    Args:
        folder: of the bags.
        world: what the episodes are like.
        episodes, bags: how many.
    """
    paths = [folder / f"{number:0{len(str(bags - 1))}}" for number in range(bags)]
    done = folder / "done"
    if done.exists():
        return paths
    folder.mkdir(parents=True)
    for path, numbers in zip(paths, np.array_split(np.arange(episodes), bags), strict=True):
        bag = _Bag(path)
        bag.description(panda.description(), start_ns(world, int(numbers[0])) - FRAME_NS)
        for number, filmed in zip(numbers, film(world, numbers.tolist()), strict=True):
            bag.episode(filmed, start_ns(world, int(number)))
        bag.close()
    done.touch()
    return paths


class _Bag(RobotBag):
    """A bag with the commands as increments, too."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._increments = self.topic(WIRES["increments"], _JOINTS, 1000)

    def episode(self, filmed: Filmed, start_ns: int) -> None:
        """Write what is published in an episode, in the order in which it comes."""
        after_ns = to_ns(AFTER_FRAME_S)
        increments = np.diff(filmed.commands, axis=0, prepend=filmed.commands[:1])
        for frame, (command, increment) in enumerate(zip(filmed.commands, increments, strict=True), -1):
            at_ns = start_ns + frame * FRAME_NS
            if frame >= 0:
                self.image(filmed.pictures[frame], at_ns)
                self.joint_states(panda.JOINTS, filmed.joints[frame], at_ns)
            self.joint_commands(panda.JOINTS, command, at_ns, at_ns + after_ns)
            self._write_increment(increment, at_ns + after_ns)

    def _write_increment(self, increment: Vector, at_ns: int) -> None:
        message = new(_JOINTS, header=header(at_ns), name=list(panda.JOINTS), position=np.ascontiguousarray(increment),
                      velocity=np.zeros(0), effort=np.zeros(0))  # fmt: skip
        self.write(self._increments, at_ns, message)
