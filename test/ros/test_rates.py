"""How often messages come, how regularly, and how old they are."""

from __future__ import annotations

import pytest

from vjepa_ros.ros.rates import KEPT, Rate, Rates


def test_nothing_is_known_before_a_message() -> None:
    assert Rates().of("/image", 5.0) == Rate()


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


def test_messages_at_one_moment_have_no_rate() -> None:
    rates = Rates()
    for _ in range(3):
        rates.add("/image", 1.0, 0)
    assert rates.of("/image").hz is None
