"""A model that is loaded beside whoever waits for it: how far it is, that it can be given up, and what it ends with."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from vjepa_ros.errors import ConfigError
from vjepa_ros.ros import loading
from vjepa_ros.ros.loading import Cancelled, Loading

WAIT_S = 30.0


def test_it_ends_once_with_what_was_loaded_and_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_SAID_EVERY_S", 0.0)
    ended, said, go_on, half = threading.Event(), [], threading.Event(), threading.Event()

    def load(tell: Callable[[int, int], None]) -> str:
        tell(1_000_000_000, 4_000_000_000)
        half.set()
        assert go_on.wait(WAIT_S)
        tell(4_000_000_000, 4_000_000_000)
        return "the model"

    found = Loading(load, said.append, ended.set)
    assert half.wait(WAIT_S) and found.text == "loading the model: 25 % of 4.00 GB"
    assert found.is_running and not ended.is_set() and found.model is None
    go_on.set()
    assert ended.wait(WAIT_S)
    assert (found.model, found.error, found.is_cancelled) == ("the model", None, False)
    assert said == ["loading the model: 25 % of 4.00 GB", "loading the model: 4.00 GB are read, it is being made ready"]


def test_it_is_given_up_at_once_and_ends_at_its_next_piece() -> None:
    ends, began, go_on, seen = [], threading.Event(), threading.Event(), []

    def load(tell: Callable[[int, int], None]) -> str:
        began.set()
        assert go_on.wait(WAIT_S)
        try:
            tell(1, 2)
        except Cancelled as error:
            seen.append(error)
            raise
        return "the model"

    found = Loading(load, lambda _: None, lambda: ends.append(threading.current_thread()))
    assert began.wait(WAIT_S) and found.text == "loading the model"
    found.cancel()
    assert ends == [threading.current_thread()] and found.is_cancelled and found.is_running
    go_on.set()
    found._thread.join(WAIT_S)
    assert not found.is_running and len(seen) == 1
    assert (found.model, found.error, len(ends)) == (None, None, 1)


def test_what_was_ready_when_it_was_given_up_is_not_kept() -> None:
    found = Loading(lambda _tell: "the model", lambda _: None, lambda: None)
    found._thread.join(WAIT_S)
    assert found.model == "the model"
    found.cancel()
    assert found.model is None and found.is_cancelled


def test_what_is_ready_after_it_was_given_up_is_not_kept() -> None:
    go_on = threading.Event()

    def load(_tell: object) -> str:
        assert go_on.wait(WAIT_S)
        return "the model"

    found = Loading(load, lambda _: None, lambda: None)
    found.cancel()
    go_on.set()
    found._thread.join(WAIT_S)
    assert found.model is None


def test_what_goes_wrong_is_kept_for_whoever_waits() -> None:
    ended = threading.Event()

    def load(_tell: object) -> str:
        raise ConfigError("checkpoint", "there is no such file")

    found = Loading(load, lambda _: None, ended.set)
    assert ended.wait(WAIT_S)
    assert isinstance(found.error, ConfigError) and found.model is None
