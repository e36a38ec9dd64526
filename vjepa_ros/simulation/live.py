"""One arm that goes on for as long as it is told to: commanded by stamp, on the ticks and frames of the episodes.

What an episode commands, commanded here with the same stamps, gives the same joints and pictures, bit for bit. Time
passes when :meth:`LiveArm.advance` says so: it knows no clock, and no messages.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.errors import InputError
from vjepa_ros.geometry import Vector
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.arms import Arms
from vjepa_ros.simulation.drawing import Painter, Picture
from vjepa_ros.simulation.episodes import FRAME_NS, TICK_NS, beginning, generator, smaller
from vjepa_ros.simulation.plan import STEP_FRAMES, World

JOINTS_NS = 10_000_000
"""Between two measurements of the joints; every fifth is a tick of the motion."""
MOST_AHEAD_NS = 10**9
"""A command that is stamped further ahead of the arm's time is of another clock."""
_MOST_WAITING = 1000  # commands stamped ahead
_TRIES = 1000  # to find a place by chance
_GOALS, _PUSHES = 2, 3  # what the numbers of an episode's generators stand for
# The workspace's corners that are the farthest from any other place in it.
_CORNERS = np.array(
    [[panda.LOW[0], y, z] for y in (panda.LOW[1], panda.HIGH[1]) for z in (panda.LOW[2], panda.HIGH[2])]
)


@dataclass(frozen=True)
class Command:
    """Where some joints are to go.

    Attributes:
        stamp_ns: it is in force from here on.
        which: (k,) places of the joints in :data:`~vjepa_ros.simulation.panda.JOINTS`.
        joints: (points, k) in rad.
        times_ns: (points,) when they are to be there, counted from the stamp, rising from 0 or more.
    """

    stamp_ns: int
    which: NDArray[np.intp]
    joints: Vector
    times_ns: Vector

    def at(self, time_ns: int, before: Vector) -> Vector:
        """(7,) what it asks for at a time not before its stamp, on a straight way from point to point.

        Args:
            time_ns: when.
            before: (7,) what was commanded when it came into force: where its way begins, and where other joints stay.
        """
        found = before.copy()
        after = int(np.searchsorted(self.times_ns, time_ns - self.stamp_ns, side="right"))
        if after == len(self.times_ns):
            found[self.which] = self.joints[-1]
            return found
        start, start_ns = (self.joints[after - 1], self.times_ns[after - 1]) if after else (before[self.which], 0.0)
        share = (time_ns - self.stamp_ns - start_ns) / (self.times_ns[after] - start_ns)
        found[self.which] = start + share * (self.joints[after] - start)
        return found


class LiveArm:
    """An episode without an end.

    Args:
        world: what it is like.
        number: which episode of the world's seed it begins like: its scene, and where the arm stands.
        start_ns: the stamp of its first frame.

    Attributes:
        number: as given.
        scene: what is around the arm.
        now_ns: the time that it has come to; at first nothing has passed, and this is before the first frame.
        next_ns: the next time at which its joints are measured.
        goal: (3,) the tip of the goal that was drawn last, in m; None before that.
    """

    def __init__(self, world: World, number: int, start_ns: int) -> None:
        self.number = number
        self._world = world
        self.scene, joints = beginning(world, number)
        self._painter = Painter(self.scene, world.drawn)
        self._goals, self._pushes = (generator(world, number, what) for what in (_GOALS, _PUSHES))
        self.goal: Vector | None = None
        # Each joint follows the newest command that names it: those, the newer ones last, each with what was
        # commanded when it came into force.
        self._followed: list[tuple[Command, Vector]] = []
        self.begin(start_ns, joints)

    def begin(self, start_ns: int, joints: Vector | None = None) -> None:
        """Begin anew at another time, where the arm is, or elsewhere; it has forgotten its commands."""
        self._arms = Arms((self._joints if joints is None else joints)[None])
        self._joints: Vector = self._arms.joints[0]
        self._start_ns = self._tick_ns = self.next_ns = start_ns
        self.now_ns = start_ns - JOINTS_NS
        # An episode's first command lies one frame before its first, and says where the arm stands.
        self._newest_ns = start_ns - FRAME_NS
        self._hold(self._newest_ns)
        self._waiting: list[Command] = []

    @property
    def joints(self) -> Vector:
        """(7,) where they are now, in rad."""
        return self._joints

    @property
    def tip(self) -> Vector:
        """(3,) the point between the fingertips, in m from the base."""
        return panda.tips_of(self._joints)

    @property
    def is_frame(self) -> bool:
        """Whether the camera takes a picture now."""
        return self.now_ns >= self._start_ns and (self.now_ns - self._start_ns) % FRAME_NS == 0

    @property
    def is_answered(self) -> bool:
        """Whether there is a command stamped within the last step: in an episode there always is when a frame has had
        its answer."""
        frames = (self.now_ns - self._start_ns) // FRAME_NS
        return self._newest_ns >= self._start_ns + (frames - STEP_FRAMES + 1) * FRAME_NS

    def command(self, command: Command) -> None:
        """Take in a command; of several for one time and joint the one with the newest stamp counts, then the one given
        last.

        One that comes within a tick of its stamp, 50 ms, still moves the arm from its stamp on; one that comes later,
        from the tick on that has begun.

        Raises:
            InputError: ``out_of_order``, ``bad_stamp`` or ``too_many``.
        """
        early_ns, ahead_ns = self._start_ns - command.stamp_ns, command.stamp_ns - self.now_ns
        if early_ns > FRAME_NS:
            raise InputError("out_of_order", f"stamped {early_ns / 1e9:.3f} s before the first frame of this episode")
        in_force = (other.stamp_ns for other, _ in self._followed if np.isin(command.which, other.which).any())
        late_s = (max(in_force) - command.stamp_ns) / 1e9
        if late_s > 0:
            raise InputError("out_of_order", f"stamped {late_s:.3f} s before the command in force, which stays")
        if ahead_ns > MOST_AHEAD_NS:
            raise InputError("bad_stamp", f"stamped {ahead_ns / 1e9:.3f} s ahead of the simulated time: another clock?")
        if len(self._waiting) == _MOST_WAITING:
            raise InputError("too_many", f"{_MOST_WAITING} commands that are stamped ahead are kept, not more")
        insort(self._waiting, command, key=lambda other: other.stamp_ns)
        self._newest_ns = max(self._newest_ns, command.stamp_ns)

    def advance(self) -> None:
        """Let time pass to the next measurement of the joints."""
        self.now_ns = self.next_ns
        self.next_ns += JOINTS_NS
        if self.now_ns == self._start_ns:
            return
        self._obey()
        passed_ns = self.now_ns - self._tick_ns
        if passed_ns < TICK_NS:
            # On the way between two ticks, which commands that come yet may change.
            between = Arms(self._arms.joints)
            between.commands = self._arms.commands
            between.advance(passed_ns / 1e9)
            self._joints = between.joints[0]
            return
        self._arms.advance(TICK_NS / 1e9)
        self._tick_ns = self.now_ns
        self._joints = self._arms.joints[0]

    def _obey(self) -> None:
        """Follow what is in force at the beginning of this tick."""
        while self._waiting and self._waiting[0].stamp_ns <= self._tick_ns:
            self._follow(self._waiting.pop(0))
        self._arms.command(self._asked(self._tick_ns)[None])

    def _follow(self, command: Command) -> None:
        """A command comes into force, for the joints that it names, from where they are commanded to be by then."""
        before = np.clip(self._asked(command.stamp_ns), panda.LOWER, panda.UPPER)
        found, named = [(command, before)], set(command.which.tolist())
        for kept in reversed(self._followed):
            if not named.issuperset(kept[0].which.tolist()):
                found.append(kept)
                named.update(kept[0].which.tolist())
        self._followed = found[::-1]

    def _asked(self, time_ns: int) -> Vector:
        """(7,) what the commands in force ask for; for joints of commands with later stamps that of their stamps."""
        found = np.empty(len(panda.JOINTS))
        for command, before in self._followed:
            found[command.which] = command.at(max(time_ns, command.stamp_ns), before)[command.which]
        return found

    def _hold(self, stamp_ns: int) -> None:
        """Stay where it is, as if commanded to."""
        held = Command(stamp_ns, np.arange(len(self._joints)), self._joints[None], np.zeros(1))
        self._followed = [(held, self._joints)]

    def picture(self) -> Picture:
        """(size, size, 3) uint8, what the camera sees now."""
        return self._drawn(self._joints)

    def push(self, metres: float) -> Vector:
        """Move the tip at once, in a direction by chance that stays in the workspace; there it is held until the next
        command.

        Args:
            metres: how far, at most ``ALWAYS_THERE_M``.

        Returns:
            (3,) where the tip is now.
        """
        joints = panda.joints_for(pushed(self._pushes, self.tip, metres))
        self._arms = Arms(joints[None])
        self._joints = self._arms.joints[0]
        self._hold(max(command.stamp_ns for command, _ in self._followed))
        return self.tip

    def draw_goal(self, least_m: float) -> Picture:
        """Choose another place for the tip by chance, at least so far from where it is.

        Args:
            least_m: at most ``ALWAYS_THERE_M``.

        Returns:
            (size, size, 3) uint8, what the camera would see if the arm were there.
        """
        self.goal = far_from(self._goals, self.tip, least_m)
        return self._drawn(panda.joints_for(self.goal))

    @property
    def distance_m(self) -> float | None:
        """From the tip to the goal; None where there is no goal."""
        return None if self.goal is None else _length(self.goal - self.tip)

    def _drawn(self, joints: Vector) -> Picture:
        return smaller(self._painter.draw(joints), self._world.size)


def far_from(rng: np.random.Generator, tip: Vector, least_m: float) -> Vector:
    """(3,) a place in the workspace by chance, at least so many m (at most ``ALWAYS_THERE_M``) from another."""
    for _ in range(_TRIES):
        found = panda.random_tips(rng)
        if _length(found - tip) >= least_m:
            return found
    return _farthest_corner(tip)


def pushed(rng: np.random.Generator, tip: Vector, metres: float) -> Vector:
    """(3,) a place in the workspace so many m (at most ``ALWAYS_THERE_M``) from another, in a direction by chance."""
    for _ in range(_TRIES):
        direction = rng.normal(size=3)
        found: Vector = tip + direction * (metres / max(_length(direction), 1e-9))
        if panda.is_inside(found):
            return found
    way = _farthest_corner(tip) - tip
    back: Vector = tip + way * (metres / _length(way))
    return back


def _farthest_corner(tip: Vector) -> Vector:
    found: Vector = max(_CORNERS, key=lambda corner: _length(corner - tip))
    return found


def _length(vector: Vector) -> float:
    return float(np.sqrt(vector @ vector))
