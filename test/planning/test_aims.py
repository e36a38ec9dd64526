"""Goals that change while the model encodes them: whoever is at what, latents stay those of their images."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch

from vjepa_ros.config.node import resolve
from vjepa_ros.planning import aims as module
from vjepa_ros.planning.aims import Aims, GoalImages

PLANNER = resolve({"joint_names": ["a"], "action_dim": 1, "state_dim": 1}).planner
_TURN_S = 0.2  # how long a line waits for the other thread, which may have to wait for the line's lock


class Encoding:
    """A model whose latents are the number that an image is filled with."""

    def encode_still(self, image: torch.Tensor) -> torch.Tensor:
        return torch.full((1, 4, 8), float(image.flatten()[0]))


def goal(number: int, images: int = 1) -> GoalImages:
    filled = np.full((3, 2, 2), float(number), np.float32)
    return GoalImages(str(number), (filled,) * images)


def encode_all(aims: Aims) -> None:
    while aims.encode(Encoding()):  # type: ignore[arg-type]
        pass


def between_lines(call: Callable[[], object], other: Callable[[], None]) -> list[BaseException]:
    """Call something of aims.py, and before each of its lines let another thread have a turn; what that has raised."""
    raised: list[BaseException] = []

    def turn() -> None:
        try:
            other()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line":
            thread = threading.Thread(target=turn)
            thread.start()
            thread.join(_TURN_S)
            threads.append(thread)
        return trace

    threads: list[threading.Thread] = []
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    for thread in threads:
        thread.join()
    assert threads
    return raised


@pytest.mark.parametrize("before", [[goal(1)], [goal(1), goal(2), goal(3)], [goal(1, images=3)]])
def test_a_goal_that_comes_while_another_is_encoded(before: list[GoalImages]) -> None:
    """The target is the new goal with its own latents, wherever the other thread was when it came."""
    aims = Aims(PLANNER, before)
    assert between_lines(lambda: aims.set(goal(9)), lambda: encode_all(aims)) == []
    encode_all(aims)
    target = aims.target()
    assert target is not None and target.goal.name == "9" and aims.count == 1
    assert bool((target.latents == 9.0).all())


def test_what_is_encoded_of_goals_that_are_gone_is_of_nothing() -> None:
    aims = Aims(PLANNER, [goal(1), goal(2)])
    coming = iter([goal(number) for number in range(10, 14)])

    def set_one() -> None:
        if (one := next(coming, None)) is not None:
            aims.set(one)

    assert between_lines(lambda: encode_all(aims), set_one) == []
    encode_all(aims)
    target = aims.target()
    assert target is not None and bool((target.latents == float(target.goal.name)).all())
