"""Plans over the middleware: the node in a process of its own, before a robot that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.harness import Predictor, Robot
from support.messages import JOINTS
from support.planned import QUICK, READY, Standing


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    return QUICK


@pytest.fixture
def standing(robot: Robot) -> Iterator[Standing]:
    found = Standing(robot)
    yield found
    found.close()


def test_a_plan_of_every_window(predictor: Predictor, standing: Standing) -> None:
    standing.start()
    assert standing.robot.spin(lambda: any(s["reason"] == "no_goal" for s in standing.statuses)), predictor.log
    assert standing.plans == []
    standing.aim()
    assert standing.is_planning(5), standing.statuses[-1]
    message = standing.plans[-1]
    print(standing.statuses[-1])
    print(message)
    assert message.joint_names == JOINTS
    for point in message.points:
        assert np.abs(np.array(point.positions) - READY).max() < 0.3
