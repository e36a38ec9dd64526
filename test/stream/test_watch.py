"""What is said of stamps, clocks and senders: numbers and texts in, sentences out."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from vjepa_ros.stream.clocks import Setting
from vjepa_ros.stream.senders import Alternation, are_disjoint
from vjepa_ros.stream.stamps import Stamps, seconds
from vjepa_ros.stream.watch import Watch

MS, S = 10**6, 10**9
NOW_NS = 1_790_000_000 * S
WALL, SIM = Setting(), Setting(simulated=True)


class Told:
    """A watch of a camera at 20 Hz, with what it has reported."""

    def __init__(self, setting: Setting = WALL, max_skew_s: float = 0.5) -> None:
        self.reports: list[tuple[str, str, str]] = []
        self.watch = Watch(lambda *report: self.reports.append(report), max_skew_s, 1.0)
        self.watch.setting = lambda: setting

    def come(
        self, stream: str, age_s: Callable[[int], float] | float, count: int = 62, now_ns: int = NOW_NS,
        stamped: bool = True,
    ) -> Told:  # fmt: skip
        """Messages received every 50 ms, each some time after its stamp."""
        for index in range(count):
            received_ns = now_ns + index * 50 * MS
            age_ns = round((age_s(index) if callable(age_s) else age_s) * S)
            stamp_ns = received_ns - age_ns if stamped else received_ns
            self.watch.stamped(f"/{stream}", stream, stamp_ns, 0, received_ns, 0, own=stamped)
        return self

    def of(self, reason: str) -> list[str]:
        return [detail for _, found, detail in self.reports if found == reason]


# -- clocks


@pytest.mark.parametrize(
    ("age_s", "setting", "now_ns", "words"),
    [
        (NOW_NS / S - 12.5, WALL, NOW_NS, ("behind", "simulation", "since the boot", "use_sim_time: true")),
        (NOW_NS / S - 12.5, Setting(clock_published=True), NOW_NS, ("publishes /clock", "set use_sim_time: true")),
        (NOW_NS / S - 90000, Setting(boot_ns=NOW_NS - 90_001 * S), NOW_NS, ("computer's time since boot",)),
        (12.5 - NOW_NS / S, SIM, 12 * S, ("ahead of", "runs on simulated time, the camera does not")),
        (7200.2, WALL, NOW_NS, ("7200.200 s (2.0 hours) behind", "local time in place of UTC")),
        (-5.5 * 3600, WALL, NOW_NS, ("5.5 hours) ahead of", "local time in place of UTC")),
        (1_500_000_000.0, WALL, NOW_NS, ("clock that stamps was never set",)),
        (40 * 86400.0, WALL, NOW_NS, ("40.0 days) behind", "recording is played", "publish /clock", "synchronise")),
        (-100.0, WALL, NOW_NS, ("100.000 s", "ahead of", "synchronise the clocks")),
        (3.0, WALL, NOW_NS, ("3.000 s behind", "messages take so long", "synchronise the clocks")),
        (-NOW_NS / S, WALL, 100 * S, ("this computer's clock was never set",)),
        (NOW_NS / S - 12.5, Setting(recorded=True), NOW_NS, ("the recorder's clock", "use_sim_time: true")),
        (40 * 86400.0, Setting(recorded=True), NOW_NS, ("the recorder's clock", "recorded while something older")),
        (-3600.0, Setting(recorded=True), NOW_NS, ("local time in place of UTC",)),
        (400.0, SIM, 1000 * S, ("the time of /clock", "one /clock")),
    ],
)  # fmt: skip
def test_a_camera_far_from_the_clock_here_is_said_once_with_size_and_remedy(
    age_s: float, setting: Setting, now_ns: int, words: tuple[str, ...]
) -> None:
    told = Told(setting).come("image", age_s, now_ns=now_ns)
    ((topic, reason, detail),) = told.reports
    assert (topic, reason) == ("/image", "far_clock")
    assert all(word in detail for word in words), detail
    assert detail.split(" (")[0] in told.watch.problems["far_clock"]
    assert "\n" not in detail and len(detail) < 600


@pytest.mark.parametrize("age_s", [0.0, 0.3, -0.3, 1.5, lambda index: 30.0 if index % 3 == 0 else 0.1])
def test_delays_and_single_wrong_stamps_are_not_far(age_s: Any) -> None:
    told = Told().come("image", age_s)
    assert told.reports == [] and told.watch.problems == {}


def test_it_is_not_far_any_more_when_it_is_not() -> None:
    told = Told().come("image", 5000.0)
    assert told.watch.problems
    told.come("image", 0.01, now_ns=NOW_NS + 10 * S)
    assert told.watch.problems == {} and len(told.reports) == 1


def test_a_clock_that_has_not_begun_is_not_compared_with() -> None:
    told = Told(SIM)
    for index in range(100):
        told.watch.stamped("/image", "image", NOW_NS + index, 0, 0, 0, own=True)
    assert told.reports == []


def test_frames_that_jump_somewhat_before_the_simulated_clock_are_not_far() -> None:
    told = Told(SIM).come("image", 0.01, now_ns=1000 * S)
    for index in range(60):  # a second of a fast camera, before /clock follows
        told.watch.stamped("/image", "image", 900 * S + index * 16 * MS, 0, 1004 * S + index * 16 * MS, 1, own=True)
    assert told.reports == []


def test_an_offset_is_advised_only_where_it_brings_camera_and_joints_together() -> None:
    def advice(joints_s: float | None, stamped: bool = True) -> str:
        told = Told()
        if joints_s is not None:
            told.come("joint_states", joints_s, stamped=stamped)
        return told.come("image", 100.0).of("far_clock")[0]

    assert "set time.offset_s.image to 100.000" in advice(0.01)
    assert "set time.offset_s.image to 100.000" in advice(0.01, stamped=False)
    assert "offset" not in advice(100.0) and "windows are right" in advice(100.0)
    assert "offset" not in advice(None)


@pytest.mark.parametrize(
    ("ages", "stamped", "words", "never"),
    [
        # what arrives before it is stamped is not on its way
        ({"image": -1.7, "joint_commands": 0.01}, True, ("1.710 s ahead", "add -1.710 to time.offset_s.image"), ()),
        ({"image": 0.01, "joint_commands": -1.7}, True, ("add -1.710 to time.offset_s.joint_commands",), ("s.image",)),
        # a delay or a clock: both are said
        ({"image": 0.9, "joint_commands": 0.01}, True, ("if that is their way", "add 0.890"), ()),
        # a delay that differs
        ({"image": "jitter", "joint_commands": 0.01}, True, ("no offset mends",), ("add ",)),
        # boot against date
        ({"image": NOW_NS / S - 500, "joint_commands": 0.01}, True, ("until the next start only",), ("add ",)),
        ({"image": 0.01, "joint_commands": NOW_NS / S - 500}, True, ("until the next start only",), ("add ",)),
        # no stamp to compare with
        ({"image": -1.7, "joint_commands": 0.0}, False, ("for want of stamps", "add -1.700"), ()),
        ({"image": 1.2, "joint_commands": 0.0}, False, ("for want of stamps", "give the messages here stamps"), ()),
    ],
)  # fmt: skip
def test_skew_gives_no_advice_that_does_not_help(
    ages: dict[str, Any], stamped: bool, words: tuple[str, ...], never: tuple[str, ...]
) -> None:
    told = Told()
    rng = random.Random(0)
    jitter = [0.9 + 0.4 * rng.random() for _ in range(31)] * 2
    jittering = {name: jitter.__getitem__ if age == "jitter" else age for name, age in ages.items()}
    told.come("image", jittering["image"]).come("joint_commands", jittering["joint_commands"], stamped=stamped)
    assert told.of("clock_skew"), told.reports
    for detail in told.of("clock_skew"):
        assert all(word in detail for word in words) and not any(word in detail for word in never), detail


# -- stamps


def camera(stamps_ns: list[int], period_ns: int = 50 * MS) -> Stamps:
    stamps = Stamps(S)
    for index, stamp_ns in enumerate(stamps_ns):
        stamps.add(stamp_ns, NOW_NS + index * period_ns)
    return stamps


def test_stamps_are_counted_and_worded() -> None:
    whole = camera([NOW_NS + index // 20 * S for index in range(60)])
    whole.dropped = 57
    assert (whole.arrived, whole.repeated, whole.behind) == (60, 57, 0)
    assert "57 of 60 frames dropped" in whole.lost and "whole seconds" in whole.lost and not whole.jumps
    frozen = camera([NOW_NS + 17] * 40)
    assert frozen.is_frozen and "the last 40 messages have one stamp (1790000000.000000017 s)" in frozen.lost
    assert "whole" not in camera([NOW_NS] * 40).lost, "it stands still: that says it"
    first = camera([NOW_NS + 7] + [NOW_NS + S + index // 20 * S for index in range(60)])
    assert "nearly all stamps are whole seconds" in first.lost, "a driver that stamps its first frame rightly"
    assert "whole" not in camera([NOW_NS + 7] * 5 + [NOW_NS + S + index // 20 * S for index in range(60)]).lost
    back = camera([NOW_NS + (index ^ 1) * 50 * MS for index in range(40)])
    assert (back.behind, back.jumps) == (20, 0) and back.goes_back_and_forth
    assert "20 stamped before the one before, by up to 0.050 s" in back.lost and "back and forth" in back.lost
    jumping = camera([NOW_NS + index * 50 * MS + index % 2 * 10 * S for index in range(40)])
    assert jumping.jumps_back_and_forth and jumping.jumps == 19
    twice = camera([NOW_NS + index // 2 * 50 * MS for index in range(40)])
    assert twice.repeated == 20 and not twice.is_frozen and "whole" not in twice.lost
    good = camera([NOW_NS + index * 50 * MS for index in range(40)])
    assert not (good.repeated or good.behind or good.is_frozen or good.goes_back_and_forth)


def test_a_burst_with_one_stamp_is_not_frozen() -> None:
    assert not camera([NOW_NS] * 40, period_ns=MS).is_frozen
    assert [seconds(value) for value in (0, -1, 1_500_000_000)] == ["0.000000000", "-0.000000001", "1.500000000"]


def test_frozen_joints_are_said_once_and_joints_that_jump_between_two_clocks_too() -> None:
    told = Told()
    for index in range(100):
        told.watch.stamped("/joint_states", "joint_states", NOW_NS, 0, NOW_NS + index * 50 * MS, 0, own=True)
        stamp_ns = NOW_NS + index * 50 * MS + index % 2 * 10 * S
        told.watch.stamped("/joint_commands", "joint_commands", stamp_ns, 0, NOW_NS + index * 50 * MS, 0, own=True)
    assert len(told.of("frozen_stamps")) == 1 and len(told.of("stamps_back_and_forth")) == 1
    assert "two senders" in told.of("stamps_back_and_forth")[0]


# -- senders


def alternates(values: list[str]) -> bool:
    alternation = Alternation()
    found = [alternation.add(value) for value in values]  # to the end, whatever was found
    return any(found)


@pytest.mark.parametrize("values", ["ABABAB", "AAAABAAAABAAAAB", "ABCABCABC", "AAB" * 3])
def test_what_alternates(values: str) -> None:
    assert alternates(list(values))


@pytest.mark.parametrize(
    "values", ["AAAA", "AAABBB", "ABCDEF", "AAABAAA", "A" * 200 + "B" * 200 + "A" * 200 + "B" * 200]
)
def test_what_changes_without_alternating(values: str) -> None:
    assert not alternates(list(values))


def test_hostile_names_cost_no_memory() -> None:
    alternation = Alternation()
    for number in range(10_000):
        alternation.add(f"frame {number}")
    assert len(alternation.counts) <= 8
    told = Told()
    for number in range(6):
        told.watch.frame("/image", ("a\nb", "x" * 100_000)[number % 2])
    assert all("\n" not in detail and len(detail) < 1000 for _, _, detail in told.reports) and told.reports


def joints(names: str, frame_id: str = "") -> Any:
    return SimpleNamespace(name=names.split(), header=SimpleNamespace(frame_id=frame_id))


WANTED = frozenset(["a", "b", "c", "finger"])


def test_senders_of_other_joints_complete_each_other() -> None:
    told = Told()
    for _ in range(10):
        for message in (joints("a b c", "arm"), joints("finger", "hand")):
            told.watch.joints("/joint_states", "joint_states", message, WANTED)
    assert told.reports == [] and told.watch.complete_each_other("/joint_states") and not told.watch.problems
    for _ in range(10):
        told.watch.joints("/joint_states", "joint_states", joints("c b a", "arm"), WANTED)  # in any order
    assert told.watch.complete_each_other("/joint_states")
    assert not are_disjoint([["a"], ["a", "b"]]) and not are_disjoint([["a"]]) and not are_disjoint([])


def test_two_commanders_of_the_same_joints_are_noticed_by_what_they_send() -> None:
    told = Told()
    for _ in range(5):
        told.watch.joints("/joint_commands", "joint_commands", joints("a b", "planner"), WANTED)
        told.watch.joints("/joint_commands", "joint_commands", joints("a b", "teleop"), WANTED)
    assert "newest command of any sender counts" in told.of("senders_alternate")[0]
    assert "'planner'" in told.watch.problems["senders_alternate /joint_commands"]
    assert not told.watch.complete_each_other("/joint_commands")


def test_joints_that_are_not_read_say_nothing_about_senders() -> None:
    told = Told()
    for _ in range(10):
        for names in ("a b wheel", "c wheel", "wheel", "left right wheel"):
            told.watch.joints("/joint_states", "joint_states", joints(names, "base"), WANTED)
    assert told.reports == [] and told.watch.complete_each_other("/joint_states")


def test_a_third_sender_of_other_joints_hides_no_second_one_of_the_same() -> None:
    told = Told()
    for _ in range(5):
        for names, sender in (("a b", "planner"), ("finger", "hand"), ("a b", "teleop")):
            told.watch.joints("/joint_commands", "joint_commands", joints(names, sender), WANTED)
    assert told.of("senders_alternate") and not told.watch.complete_each_other("/joint_commands")


def test_no_stamp_is_too_odd_to_be_worded() -> None:
    rng = random.Random(1)
    odd = [0, 1, -1, -(2**31) * S, (2**31 - 1) * S + 2**32 - 1, 2**63, -(2**63), NOW_NS, NOW_NS + 1]
    for setting in (WALL, SIM, Setting(recorded=True), Setting(clock_published=True), Setting(boot_ns=0)):
        for _ in range(40):
            told = Told(setting)
            stamp_ns, received_ns = rng.choice(odd), rng.choice(odd)
            for index in range(70):
                shift_ns = rng.choice([0, index * 50 * MS, -index * S])
                for stream in ("image", "joint_states", "joint_commands"):
                    own = rng.random() > 0.1
                    arguments = (f"/{stream}", stream, stamp_ns + shift_ns, 0, received_ns + index, rng.randrange(2))
                    told.watch.stamped(*arguments, own=own)
                told.watch.dropped("/image")
            assert told.watch.values and told.watch.losses
            said = [detail for _, _, detail in told.reports] + [*told.watch.problems.values()]
            assert all(detail and len(detail) < 800 for detail in said)
