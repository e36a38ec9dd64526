"""How often messages come, how regularly, and how old they are."""

from __future__ import annotations

import pytest

from vjepa_ros.ros.rates import KEPT, Rate, Rates


def test_nothing_is_known_before_a_message() -> None:
    rates = Rates()
    assert rates.of("/image") == Rate()
    assert rates.of("/image", 5.0) == Rate(awaited_s=0.0)
    assert rates.of("/image", 7.5) == Rate(awaited_s=2.5)


def test_one_message_has_an_age_and_a_silence() -> None:
    rates = Rates()
    rates.add("/image", 2.0, 30_000_000)
    assert rates.of("/image", 5.0) == Rate(1, silence_s=3.0, age_s=0.03)
    assert rates.of("/other") == Rate()


def test_rate_jitter_and_the_longest_pause() -> None:
    rates = Rates()
    for now_s in (0.0, 0.1, 0.2, 0.31, 0.4, 0.9):
        rates.add("/image", now_s, None)
    found = rates.of("/image")
    assert (found.count, found.age_s, found.silence_s) == (6, None, None)
    assert found.hz == pytest.approx(5 / 0.9)
    assert found.period_s == pytest.approx(0.1)
    assert found.longest_s == pytest.approx(0.5)
    assert found.jitter_s == pytest.approx(0.01)


def test_the_last_ones_count_and_all_are_counted() -> None:
    rates = Rates()
    for number in range(KEPT):
        rates.add("/image", number * 1.0, 0)
    for number in range(KEPT):
        rates.add("/image", KEPT + number * 0.5, 1_000_000_000)
    found = rates.of("/image")
    assert (found.count, found.hz, found.age_s) == (2 * KEPT, pytest.approx(2.0), 1.0)
    rates.clear()
    assert rates.of("/image") == Rate()


def test_a_pause_is_forgotten_soon() -> None:
    """A camera of 15 Hz after a minute without frames: ten periods later its rate is that of the frames again."""
    rates = Rates()
    for number in range(100):
        rates.add("/image", number / 15, 0)
    again_s = 100 / 15 + 60.0
    found = []
    for number in range(30):
        rates.add("/image", again_s + number / 15, 0)
        found.append(rates.of("/image").hz)
    assert found[0] is not None and found[0] < 1.0
    assert found[10:] == [pytest.approx(15.0)] * 20
    assert not rates.of("/image").is_below(15.0)


def test_one_that_loses_frames_is_slower_all_the_same() -> None:
    rates = Rates()
    for number in range(300):
        if number % 10 < 6:
            rates.add("/image", number / 30, 0)
    found = rates.of("/image")
    assert found.period_s == pytest.approx(1 / 30), "the median knows nothing of it"
    assert found.hz == pytest.approx(18.0, rel=0.05) and found.is_below(30.0)


def test_what_is_forgotten_comes_for_the_first_time() -> None:
    rates = Rates()
    for topic in ("/image", "/joint_states"):
        for now_s in (1.0, 2.0):
            rates.add(topic, now_s, 0)
    rates.forget("/image")
    rates.forget("/never")
    assert rates.of("/image", 62.0) == Rate(awaited_s=0.0) and rates.of("/image", 65.0) == Rate(awaited_s=3.0)
    assert rates.of("/joint_states").count == 2
    rates.add("/image", 66.0, None)
    assert rates.of("/image", 66.5) == Rate(1, silence_s=0.5)


def test_a_clock_that_stands_at_zero_awaits_nothing() -> None:
    rates = Rates()
    assert rates.of("/image", 0.0) == Rate()
    assert rates.of("/image", 1.7e9) == Rate(awaited_s=0.0)


def test_messages_at_one_moment_have_no_rate() -> None:
    rates = Rates()
    for _ in range(3):
        rates.add("/image", 1.0, 0)
    assert rates.of("/image").hz is None
