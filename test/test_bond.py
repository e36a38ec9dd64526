"""The bond's protocol on plain values: two of its sides, and what bondcpp's state machine does with each message."""

from __future__ import annotations

import pytest

from vjepa_ros.bond import CONNECT_TIMEOUT_S, DISCONNECT_TIMEOUT_S, Bond, Status

PERIOD_S, TIMEOUT_S = 0.1, 4.0


def side(instance: str, now_s: float = 0.0, id_: str = "vjepa_predictor") -> Bond:
    return Bond(id_, instance, period_s=PERIOD_S, timeout_s=TIMEOUT_S, now_s=now_s)


def beat(instance: str = "manager", *, active: bool = True, id_: str = "vjepa_predictor") -> Status:
    return Status(id_, instance, active, TIMEOUT_S, PERIOD_S)


def formed() -> Bond:
    node = side("node")
    assert node.heard(beat(), 1.0) is None and node.state == "alive"
    return node


def test_a_heartbeat_says_who_lives_and_by_which_settings() -> None:
    assert side("node").tick(0.0) == Status("vjepa_predictor", "node", True, 4.0, 0.1)


def test_two_sides_form_a_bond_and_end_it() -> None:
    node, manager = side("node"), side("manager")
    for one, other in ((node, manager), (manager, node)):
        said = one.tick(0.1)
        assert said is not None and other.heard(said, 0.1) is None
    assert node.state == manager.state == "alive"
    farewell = node.leave(1.0)
    assert farewell == Status("vjepa_predictor", "node", False, 4.0, 0.1) and node.state == "leaving"
    answer = manager.heard(farewell, 1.0)
    assert answer is not None and not answer.active and manager.state == "dead"
    assert node.heard(answer, 1.1) is None and node.state == "dead" and node.reason == ""
    assert node.tick(1.2) is None and manager.tick(1.2) is None and node.leave(1.3) is None


def test_others_and_its_own_messages_are_not_heard() -> None:
    node = side("node")
    for other in (beat("node"), beat(id_="controller_server"), beat("node", active=False)):
        assert node.heard(other, 0.1) is None
    assert node.state == "waiting"
    node.heard(beat(), 0.2)
    assert node.heard(beat("third", active=False), 0.3) is None
    assert node.state == "alive" and node.strangers == 1


def test_a_manager_that_stops_is_missed() -> None:
    node = formed()
    for tenth in range(11, 50):
        assert node.tick(tenth / 10) is not None
    assert node.state == "alive"
    assert node.tick(1.0 + TIMEOUT_S) is None
    assert node.state == "dead" and node.reason == "no heartbeat has come for 4 s"
    again = formed()
    again.heard(beat(), 4.0)
    assert again.tick(7.9) is not None and again.state == "alive"


def test_a_manager_that_leaves_is_answered_at_once() -> None:
    node = formed()
    answer = node.heard(beat(active=False), 2.0)
    assert answer == Status("vjepa_predictor", "node", False, 4.0, 0.1)
    assert node.state == "dead" and node.reason == "the other side has ended it"
    waiting = side("node")
    assert waiting.heard(beat(active=False), 0.5) is not None and waiting.state == "dead"


def test_nobody_takes_it_up() -> None:
    node = side("node", now_s=100.0)
    assert node.tick(100.0 + CONNECT_TIMEOUT_S - 0.01) is not None
    assert node.tick(100.0 + CONNECT_TIMEOUT_S) is None and node.reason == "nobody has taken it up for 10 s"


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_farewell_is_repeated_until_it_is_heard_or_too_old(goes_on: bool) -> None:
    node = formed()
    node.leave(2.0)
    for tenth in range(1, 19):
        said = node.tick(2.0 + tenth / 10)
        assert said is not None and not said.active
        if goes_on:  # the manager has not heard yet: that keeps nothing alive
            assert node.heard(beat(), 2.0 + tenth / 10) is None
    assert node.tick(2.0 + DISCONNECT_TIMEOUT_S) is None
    assert node.state == "dead" and node.reason == ""


def test_a_bond_that_nobody_took_up_ends_at_once() -> None:
    node = side("node")
    farewell = node.leave(1.0)
    assert farewell is not None and not farewell.active and node.state == "dead"
