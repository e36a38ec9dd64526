"""The arm that goes on: what an episode commands gives what the episode has, and commands count by their stamps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from docs import make_parameters
from vjepa_ros.errors import ConfigError, InputError
from vjepa_ros.simulation import live, panda
from vjepa_ros.simulation.arms import FASTEST_M_S, Arms
from vjepa_ros.simulation.episodes import FRAME_NS, START_NS, TICK_NS, Episode, beginning, simulate
from vjepa_ros.simulation.live import JOINTS_NS, Command, LiveArm
from vjepa_ros.simulation.plan import ALWAYS_THERE_M, World
from vjepa_ros.simulation.robot import TABLE, resolve

WORLD = World(seed=3, frames=12, size=32, drawn=64)
MS = 10**6
EVERY = np.arange(7)


@pytest.fixture(scope="module")
def episode() -> Episode:
    """One whose arm moves all the time."""
    return next(simulate(WORLD, [1]))


def command(at_ns: int, joints: Any, which: Any = EVERY, times_ms: Any = (0,)) -> Command:
    return Command(at_ns, np.asarray(which), np.atleast_2d(joints), np.asarray(times_ms, np.float64) * MS)


def to(arm: LiveArm, time_ns: int) -> np.ndarray:
    """Let time pass; the joints then."""
    while arm.now_ns < time_ns:
        arm.advance()
    assert arm.now_ns == time_ns
    return arm.joints


def test_an_episode_commanded_live_is_the_episode(episode: Episode) -> None:
    arm = LiveArm(WORLD, episode.number, START_NS)
    ticks, pictures = [], []
    while arm.next_ns <= START_NS + episode.frame_stamps[-1]:
        arm.advance()
        assert arm.now_ns + JOINTS_NS == arm.next_ns
        if (arm.now_ns - START_NS) % TICK_NS == 0:
            ticks.append(arm.joints)
        if arm.is_frame:
            pictures.append(arm.picture())
            is_last = len(pictures) % 2 == 0
            assert arm.is_answered != is_last
            if is_last:
                arm.command(command(arm.now_ns, episode.commands[len(pictures) // 2]))
                assert arm.is_answered
    np.testing.assert_array_equal(ticks, episode.joints)
    np.testing.assert_array_equal(pictures, episode.pictures)
    assert np.abs(np.diff(episode.joints, axis=0)).max() > 0.01, "it moves"


def test_a_world_begins_as_its_episodes_do(episode: Episode) -> None:
    for variation in ("varied", "wide"):
        world = World(**{**vars(WORLD), "variation": variation})
        scene, joints = beginning(world, 4)
        fourth = next(simulate(world, [4]))
        np.testing.assert_array_equal(joints, fourth.joints[0])
        assert {name: np.asarray(value).tolist() for name, value in vars(scene).items() if name != "view"} == {
            name: np.asarray(value).tolist() for name, value in vars(fourth.scene).items() if name != "view"
        }


def test_between_two_ticks_it_is_on_its_way(episode: Episode) -> None:
    """Measured at 100 Hz, where motion is computed at 20 Hz: no jumps, no faster than an arm is."""
    arm = LiveArm(WORLD, 1, START_NS)
    arm.advance()
    arm.command(command(START_NS, panda.joints_for(np.array([0.3, 0.0, 0.45]))))
    tips = [arm.tip]
    for _ in range(60):
        arm.advance()
        tips.append(arm.tip)
    moved = np.linalg.norm(np.diff(tips, axis=0), axis=1)
    assert FASTEST_M_S * 0.01 * 0.9 < moved.max() <= FASTEST_M_S * 0.01 * 1.001
    assert np.linalg.norm(tips[-1] - [0.3, 0.0, 0.45]) < 0.05


def after(arm: LiveArm, joints: np.ndarray, ticks: int) -> np.ndarray:
    """Where an arm gets from there in so many ticks, commanded once."""
    arms = Arms(arm.joints[None])
    arms.command(joints[None])
    for _ in range(ticks):
        arms.advance(0.05)
    return arms.joints[0]


def test_a_command_counts_from_its_stamp_where_it_comes_within_a_tick() -> None:
    """As in an episode, whose commands come right after their frames; later, what has passed stays as it was."""
    goal = panda.joints_for(np.array([0.5, 0.2, 0.3]))
    for comes_ms, ticks in ((0, 2), (40, 2), (60, 1), (90, 1)):
        arm = LiveArm(WORLD, 1, START_NS)
        to(arm, START_NS + FRAME_NS)
        expected = after(arm, goal, ticks)
        to(arm, START_NS + FRAME_NS + comes_ms * MS)
        arm.command(command(START_NS + FRAME_NS, goal))
        np.testing.assert_array_equal(to(arm, START_NS + 2 * FRAME_NS), expected)


def test_a_command_ahead_waits_for_its_time_and_the_newest_stamp_wins() -> None:
    first, second = (panda.joints_for(np.array(tip)) for tip in ([0.5, 0.2, 0.3], [0.4, -0.2, 0.2]))
    arm = LiveArm(WORLD, 1, START_NS)
    begin = to(arm, START_NS)
    arm.command(command(START_NS + 2 * FRAME_NS, second))
    arm.command(command(START_NS + FRAME_NS, first))
    np.testing.assert_array_equal(to(arm, START_NS + FRAME_NS), begin)
    expected = after(arm, first, 2)
    np.testing.assert_array_equal(to(arm, START_NS + 2 * FRAME_NS), expected)
    expected = after(arm, second, 2)
    np.testing.assert_array_equal(to(arm, START_NS + 3 * FRAME_NS), expected)
    with pytest.raises(InputError, match=r"out_of_order: stamped 0.050 s before the command in force, which stays"):
        arm.command(command(START_NS + 2 * FRAME_NS - 50 * MS, first))
    with pytest.raises(InputError, match=r"bad_stamp: stamped 2.000 s ahead of the simulated time"):
        arm.command(command(arm.now_ns + 2000 * MS, first))
    for _ in range(1000):
        arm.command(command(arm.now_ns + 500 * MS, first))
    with pytest.raises(InputError, match="too_many"):
        arm.command(command(arm.now_ns + 500 * MS, first))


def test_commands_outside_of_the_limits_are_brought_within() -> None:
    arm = LiveArm(WORLD, 1, START_NS)
    to(arm, START_NS)
    arm.command(command(START_NS, np.full(7, 9.0)))
    for _ in range(300):
        arm.advance()
        assert ((arm.joints >= panda.LOWER) & (arm.joints <= panda.UPPER)).all()
    assert panda.is_inside(arm.tip, 0.03)


def test_a_trajectory_goes_straight_from_point_to_point_and_stays_at_the_last() -> None:
    begin = np.zeros(7)
    points = np.array([np.full(7, 1.0), np.full(7, 3.0)])
    asked = command(START_NS, points, times_ms=(100, 200))
    at = [asked.at(START_NS + ms * MS, begin)[0] for ms in (0, 25, 50, 100, 150, 200, 900)]
    np.testing.assert_allclose(at, [0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 3.0], rtol=0, atol=1e-12)
    at_once = command(START_NS, points, times_ms=(0, 100))
    assert [at_once.at(START_NS + ms * MS, begin)[0] for ms in (0, 50, 100)] == [1.0, 2.0, 3.0]


def test_an_arm_follows_a_trajectory() -> None:
    arm = LiveArm(WORLD, 1, START_NS)
    begin = to(arm, START_NS)
    goal = panda.joints_for(np.array([0.5, 0.2, 0.3]))
    arm.command(command(START_NS, goal, times_ms=(150,)))
    arms = Arms(begin[None])
    for share in (0, 1 / 3, 2 / 3, 1):
        arms.command((begin + share * (goal - begin))[None])
        arms.advance(0.05)
    np.testing.assert_allclose(to(arm, START_NS + 4 * TICK_NS), arms.joints[0], rtol=0, atol=1e-12)


def test_joints_that_are_not_in_a_command_stay_where_they_were_commanded() -> None:
    arm = LiveArm(WORLD, 1, START_NS)
    begin = to(arm, START_NS)
    arm.command(command(START_NS, [begin[0] + 0.1, begin[6] - 0.2], which=[0, 6]))
    to(arm, START_NS + FRAME_NS)
    arm.command(command(arm.now_ns, [begin[0]], which=[0]))
    np.testing.assert_allclose(to(arm, START_NS + 20 * FRAME_NS), [*begin[:6], begin[6] - 0.2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("ahead_ms", [(10, 20, 30), (10, 10, 10), (30, 20, 10), (-5, -15, 0)])
def test_joints_may_be_commanded_by_messages_of_their_own(ahead_ms: tuple[int, ...]) -> None:
    """Whatever their order within a tick, it is as if one command had named them all."""
    arm, whole = LiveArm(WORLD, 1, START_NS), LiveArm(WORLD, 1, START_NS)
    at_ns = START_NS + FRAME_NS
    begin = to(arm, at_ns)
    np.testing.assert_array_equal(to(whole, at_ns), begin)
    for joint, ms in zip((0, 3, 5), ahead_ms, strict=True):
        arm.command(command(at_ns + ms * MS, [begin[joint] + 0.1], which=[joint]))
    whole.command(command(at_ns + max(ahead_ms) * MS, begin + 0.1 * np.isin(EVERY, (0, 3, 5))))
    np.testing.assert_allclose(to(arm, at_ns + FRAME_NS), to(whole, at_ns + FRAME_NS), rtol=0, atol=1e-12)
    assert np.flatnonzero(np.abs(arm.joints - begin) > 0.01).tolist() == [0, 3, 5]


def test_what_one_joint_is_told_does_not_end_the_trajectory_of_another() -> None:
    arm = LiveArm(WORLD, 1, START_NS)
    begin = to(arm, START_NS)
    arm.command(command(START_NS, [[begin[0] + 0.2]], which=[0], times_ms=(400,)))
    to(arm, START_NS + FRAME_NS)
    for _ in range(20):  # however many come
        arm.command(command(arm.now_ns, [begin[6] - 0.2], which=[6]))
    arm.command(command(arm.now_ns - 50 * MS, [begin[5] + 0.1], which=[5]))  # older, but the newest for its joint
    with pytest.raises(InputError, match=r"stamped 0.050 s before the command in force, which stays"):
        to(arm, arm.now_ns + 2 * TICK_NS)
        arm.command(command(START_NS + 50 * MS, begin[5:], which=[5, 6]))
    expected = begin + [0.2, 0, 0, 0, 0, 0.1, -0.2]
    np.testing.assert_allclose(to(arm, START_NS + 20 * FRAME_NS), expected, rtol=0, atol=1e-6)


def test_a_push_moves_the_tip_at_once_and_it_stays_there() -> None:
    arm = LiveArm(WORLD, 1, START_NS)
    to(arm, START_NS + 30 * MS)
    arm.command(command(START_NS, panda.joints_for(np.array([0.5, 0.2, 0.3]))))
    to(arm, START_NS + FRAME_NS + 20 * MS)
    for metres in (0.02, 0.15, ALWAYS_THERE_M):
        before = arm.tip
        place = arm.push(metres)
        assert abs(np.linalg.norm(place - before) - metres) < 2e-3 and panda.is_inside(place, 1e-3)
        there = arm.joints
        np.testing.assert_array_equal(to(arm, arm.now_ns + 5 * FRAME_NS), there)
    assert not np.allclose(LiveArm(WORLD, 1, START_NS).push(0.15), LiveArm(WORLD, 2, START_NS).push(0.15))
    np.testing.assert_array_equal(LiveArm(WORLD, 1, START_NS).push(0.15), LiveArm(WORLD, 1, START_NS).push(0.15))
    arm.command(command(arm.now_ns, there + 0.1))
    assert np.abs(to(arm, arm.now_ns + 5 * FRAME_NS) - there).max() > 0.05


def test_a_goal_is_where_the_arm_looks_like_it() -> None:
    arm = LiveArm(WORLD, 1, START_NS)
    to(arm, START_NS)
    assert arm.distance_m is None
    picture = arm.draw_goal(0.3)
    assert arm.goal is not None and arm.distance_m is not None and arm.distance_m >= 0.3
    assert panda.is_inside(arm.goal) and np.abs(picture.astype(int) - arm.picture()).mean() > 1
    arm.command(command(START_NS, panda.joints_for(arm.goal)))
    to(arm, START_NS + 30 * FRAME_NS)
    assert arm.distance_m < 1e-3
    assert np.abs(picture.astype(int) - arm.picture()).mean() < 0.1
    first = arm.goal
    arm.draw_goal(0.3)
    assert not np.allclose(first, arm.goal)


def test_there_is_always_a_place_so_far_away() -> None:
    rng = np.random.default_rng(0)
    places = [panda.random_tips(rng) for _ in range(300)]
    for place in [*places, *panda.into_workspace(np.array([[0.475, 0.0, 0.28], [0.65, 0.2, 0.2]]))]:
        assert np.linalg.norm(live.far_from(rng, place, ALWAYS_THERE_M) - place) >= ALWAYS_THERE_M
        pushed = live.pushed(rng, place, ALWAYS_THERE_M)
        assert abs(np.linalg.norm(pushed - place) - ALWAYS_THERE_M) < 1e-9 and panda.is_inside(pushed, 1e-9)


def test_it_begins_anew_where_it_is() -> None:
    arm = LiveArm(WORLD, 1, START_NS)
    to(arm, START_NS)
    arm.command(command(START_NS, panda.joints_for(np.array([0.5, 0.2, 0.3]))))
    there = to(arm, START_NS + FRAME_NS)
    arm.begin(7 * START_NS)
    assert not arm.is_frame
    arm.advance()
    assert arm.is_frame and arm.now_ns == 7 * START_NS
    np.testing.assert_array_equal(to(arm, 7 * START_NS + FRAME_NS), there)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"clock.rate": 2.0}, "clock.rate: only a clock that is driven has a rate: set clock.drive"),
        ({"clock.wait_s": 1.0}, "clock.wait_s: only a clock that is driven can wait: set clock.drive"),
        ({"drawn": 128}, "drawn: must be a whole number from 256 to 1,024, not 128"),
        ({"size": 4}, "size: 4 is less than 16 px"),
        ({"variation": "none"}, "variation: 'none' is not one of fixed, varied, wide"),
        ({"commands.type": "Twist"}, "commands.type: 'Twist' is not one of "),
        ({"colour": 1}, "colour: there is no such parameter"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve(values)
    assert str(refused.value).startswith(said)


def test_defaults_are_a_camera_of_256_px() -> None:
    config = resolve({})
    assert (config.world.size, config.world.drawn, config.world.seed, config.drives_clock) == (256, 256, 0, False)
    assert resolve({"size": 512}).world.drawn == 512 and resolve({"size": 64}).world.drawn == 256


def test_the_page_has_the_table() -> None:
    page = make_parameters.PAGE.with_name("simulation.md").read_text(encoding="utf-8")
    for row in TABLE:
        assert make_parameters.line(row) in page.splitlines()
        for name, value in (("minimum", row.minimum), ("maximum", row.maximum)):
            if row.kind == "int" and value is not None:
                assert str(int(value)) in make_parameters.allowed(row).split(), f"the {name} of {row.name}, whole"
