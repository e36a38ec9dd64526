"""Episodes as recordings that replay, training and probe read like those of a robot: what ``vjepa_simulate`` does.

Between two episodes nothing is stamped for longer than a window may have a gap, and longer than a command is in force:
no window spans two, and no step reads the command of another one. It knows no command line
(:mod:`vjepa_ros.commands.simulate` does).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vjepa_ros import files
from vjepa_ros.recordings.robot_bag import RobotBag
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.episodes import FRAME_NS, Episode, simulate, start_ns
from vjepa_ros.simulation.plan import ABOUT, TOOL, Plan

_ANSWER_NS = 10**6  # a command comes this much later than the frame that it is stamped like

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Made:
    """What was recorded.

    Attributes:
        bags: the recordings, in their order.
        episodes, frames: how many.
        motions: episodes by what was commanded.
    """

    bags: tuple[Path, ...]
    episodes: int
    frames: int
    motions: dict[str, int]


def record(plan: Plan, progress: Progress = lambda things, done, total: None) -> Made:
    """Simulate, and write the recordings: all of them, or nothing.

    Args:
        plan: what to make.
        progress: is told ("episodes", done, to do).

    Raises:
        OutputError: where the output must not be written.
        OSError: where the disk is full or fails; it names the place.
    """
    motions: Counter[str] = Counter()
    names = [""] if plan.bags == 1 else [f"{number:0{len(str(plan.bags - 1))}}" for number in range(plan.bags)]
    with files.whole((plan.out,), tool=TOOL, force=plan.force) as new:
        folder = new[plan.out]
        if plan.bags > 1:
            folder.mkdir()
        done = 0
        progress("episodes", done, plan.episodes)
        for name, numbers in zip(names, np.array_split(np.arange(plan.episodes), plan.bags), strict=True):
            with _Written(folder / name) as bag:
                bag.description(panda.description(), start_ns(plan.world, int(numbers[0])) - FRAME_NS)
                for episode in simulate(plan.world, numbers.tolist()):
                    _write(bag, episode, start_ns(plan.world, episode.number))
                    motions[episode.motion] += 1
                    done += 1
                    progress("episodes", done, plan.episodes)
        about = {"episodes": plan.episodes, "bags": plan.bags, **asdict(plan.world)}
        about["motions"] = dict(sorted(motions.items()))
        with files.naming(folder):
            (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    bags = tuple(plan.out / name for name in names)
    return Made(bags, plan.episodes, plan.episodes * plan.world.frames, dict(motions))


class _Written:
    """A bag while it is written: finished at the end, closed where there is none."""

    def __init__(self, folder: Path) -> None:
        self._bag = RobotBag(folder)

    def __enter__(self) -> RobotBag:
        return self._bag

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._bag.close()
        else:
            self._bag.abort()


def _write(bag: RobotBag, episode: Episode, start_ns: int) -> None:
    """An episode's messages, in the order in which they come."""
    fingers = np.full(2, panda.OPEN_M)
    names = (*panda.JOINTS, *panda.FINGERS)
    coming: list[tuple[int, int, int]] = []  # when, what, which
    for what, stamps in enumerate((episode.frame_stamps, episode.joint_stamps, episode.command_stamps)):
        late = _ANSWER_NS if what == 2 else 0
        coming += [(start_ns + int(stamp) + late, what, number) for number, stamp in enumerate(stamps)]
    for at_ns, what, number in sorted(coming):
        if what == 0:
            bag.image(episode.pictures[number], at_ns)
        elif what == 1:
            bag.joint_states(names, np.concatenate([episode.joints[number], fingers]), at_ns)
        else:
            bag.joint_commands(panda.JOINTS, episode.commands[number], at_ns - _ANSWER_NS, at_ns)
