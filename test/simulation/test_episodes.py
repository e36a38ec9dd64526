"""Episodes: the same seed gives the same bits, motions are what they are called, and time is as it says."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vjepa_ros.errors import ConfigError
from vjepa_ros.images.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from vjepa_ros.simulation import arms, motions, panda
from vjepa_ros.simulation.drawing import Painter
from vjepa_ros.simulation.episodes import Episode, generator, simulate, smaller
from vjepa_ros.simulation.plan import Plan, World

WORLD = World(seed=5, frames=8, size=32, drawn=64)


def digest(episodes: list[Episode]) -> str:
    """Of everything in them."""
    found = hashlib.sha256()
    for episode in episodes:
        for field in fields(Episode):
            value: Any = getattr(episode, field.name)
            found.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return found.hexdigest()


def test_the_bits_do_not_depend_on_how_many_there_are() -> None:
    every = list(simulate(WORLD, range(7)))
    assert [episode.number for episode in every] == list(range(7))
    for lockstep in (1, 3):
        assert digest(list(simulate(WORLD, range(7), lockstep))) == digest(every)
    assert digest(list(simulate(WORLD, [4, 2]))) == digest([every[4], every[2]])
    longer = next(simulate(World(**{**vars(WORLD), "frames": 16}), [4]))
    np.testing.assert_array_equal(longer.pictures[:8], every[4].pictures)  # what comes later changes nothing before


def test_the_bits_do_not_depend_on_the_process_and_its_threads() -> None:
    code = """
from simulation.test_episodes import WORLD, digest, simulate
print(digest(list(simulate(WORLD, range(3)))))
"""
    expected = digest(list(simulate(WORLD, range(3))))
    for threads in ("1", "2"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=Path(__file__).parents[1],
                              capture_output=True, text=True, timeout=60)  # fmt: skip
        assert done.stdout.strip() == expected, done.stderr


def test_seeds_and_numbers_give_other_episodes() -> None:
    one, two = simulate(WORLD, range(2))
    other = next(simulate(World(**{**vars(WORLD), "seed": 6}), [0]))
    for different in (two, other):
        assert not np.array_equal(one.commands, different.commands)
        assert not np.array_equal(one.scene.table, different.scene.table)
    fixed = next(simulate(World(**{**vars(WORLD), "variation": "fixed"}), [0]))
    np.testing.assert_array_equal(fixed.joints, one.joints)  # the scene changes no motion
    assert not np.array_equal(fixed.pictures, one.pictures)


def test_time_and_what_was_commanded_when() -> None:
    world = World(seed=2, frames=32, size=16, drawn=16)
    for episode in simulate(world, range(12)):
        assert episode.frame_stamps.tolist() == [n * 100_000_000 for n in range(32)]
        assert episode.joint_stamps.tolist() == [n * 50_000_000 for n in range(63)]
        assert episode.command_stamps.tolist() == [n * 200_000_000 - 100_000_000 for n in range(17)]
        np.testing.assert_array_equal(episode.joints[0], episode.commands[0])
        # Where the arm is follows from the commands in force, and nothing else.
        group = arms.Arms(episode.commands[:1])
        for tick, stamp in enumerate(episode.joint_stamps[1:], 1):
            in_force = np.searchsorted(episode.command_stamps, stamp, "left") - 1
            group.command(episode.commands[in_force][None])
            group.advance(0.05)
            np.testing.assert_array_equal(group.joints[0], episode.joints[tick])
        # One step later it has nearly come to where a step that it can make has sent it.
        short = np.abs(np.diff(episode.commands, axis=0)).max(axis=1) < 0.05
        left = np.abs(episode.joints[6::4] - episode.commands[1:-1])[: len(short)].max(axis=1)
        assert (left[short[:15] & np.roll(short[:15], 1)] < 0.012).all()
        painter = Painter(episode.scene, 16)
        np.testing.assert_array_equal(episode.pictures[9], painter.draw(episode.joints[18]))


def test_the_motions_are_what_they_are_called() -> None:
    found: dict[str, list[np.ndarray]] = {name: [] for name in motions.MOTIONS}
    for number in range(1500):
        name, tips = motions.motion(generator(WORLD, number, 0), 16)
        assert tips.shape == (17, 3) and panda.is_inside(tips, 1e-9).all()
        found[name].append(np.diff(tips, axis=0))
    counts = Counter({name: len(steps) for name, steps in found.items()})
    for name, (share, _) in motions.MOTIONS.items():
        assert abs(counts[name] / 1500 - share) < 0.04
    assert sum(share for share, _ in motions.MOTIONS.values()) == pytest.approx(1)
    lengths = {name: np.linalg.norm(steps, axis=-1).reshape(-1) for name, steps in found.items()}
    assert lengths["static"].max() == 0
    assert lengths["waypoints"].max() <= 0.09 + 1e-9 and 0.04 < np.median(lengths["waypoints"]) < 0.07
    assert lengths["walk"].max() <= 0.10 and 0.03 < np.median(lengths["walk"]) < 0.07
    jumps = np.abs(np.concatenate(found["jumps"]))
    assert 0.10 < jumps.max() < 0.2 and lengths["jumps"].max() > arms.FASTEST_M_S * 0.2, "further than it can in a step"
    walk = np.stack(found["walk"])
    assert (walk[:, :-1] * walk[:, 1:]).sum(axis=-1).mean() > 0.2 * (walk**2).sum(axis=-1).mean(), "it keeps its way"


def test_smaller_pictures_are_those_of_the_nodes_preprocessing() -> None:
    large = next(simulate(World(seed=1, frames=2, size=256, drawn=256), [0])).pictures[1]
    small = next(simulate(World(seed=1, frames=2, size=64, drawn=256), [0])).pictures[1]
    clip = Preprocess("square", (64, 64))(large)
    grey = clip * IMAGENET_STD[:, None, None] + IMAGENET_MEAN[:, None, None]
    assert np.abs(grey.transpose(1, 2, 0) - small).max() < 1.0
    np.testing.assert_array_equal(smaller(large, 256), large)


def test_the_example_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    exec(example, {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(line.endswith(" (32, 256, 256, 3) (17, 7)") for line in lines)
    assert {line.split()[0] for line in lines} <= set(motions.MOTIONS)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seed": -1}, "seed: must be a whole number from 0 to 4,294,967,295, not -1"),
        ({"frames": 7}, "frames: 7 are no whole number of steps of 2"),
        ({"frames": 0}, "frames: must be a whole number from 2 to 10,000, not 0"),
        ({"size": 8}, "size: must be"),
        ({"size": 64, "drawn": 32}, "drawn: must be a whole number from 64 to 1,024, not 32"),
        ({"variation": "wild"}, "variation: 'wild' is not one of fixed, varied, wide"),
    ],
)
def test_a_world_that_makes_no_sense_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        World(**values)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"episodes": 0}, "episodes: must be"),
        ({"episodes": 3, "bags": 4}, "bags: 4 bags are more than there are episodes, 3"),
        ({"episodes": 1_000_000, "world": World(frames=200)}, "episodes: 1,000,000 have 200,000,000 frames, at most"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Plan(**{"out": Path("out"), "world": WORLD, **values})
    assert str(refused.value).startswith(said)
