"""What a GPU would record when a node is configured: the rollouts that its plans and its windows ask for."""

from __future__ import annotations

import pytest
from support.plan_bench import GIVEN

from vjepa_ros.config.node import resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, EngineError
from vjepa_ros.ros.configured import load


def test_a_node_that_plans_records_as_it_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[tuple[int, ...]] = []
    monkeypatch.setattr(WorldModel, "record_rollout", lambda wm, *sizes: recorded.append(sizes))
    given = {**GIVEN, "preset": "tiny_random"}
    load(resolve({**given, "planner.enabled": False}))
    assert not recorded, "one step ahead is predicted, not rolled out"
    load(resolve({**given, "planner.enabled": False, "latents.horizon": 3}))
    assert recorded == [(8, 1, 3)]
    recorded.clear()
    load(resolve(given))
    assert recorded == [(5, 4, 4), (5, 2, 4), (5, 1, 4)]  # 6 candidates in batches of 4, and the plan
    recorded.clear()

    def fail(wm: WorldModel, *sizes: int) -> None:
        raise EngineError("recording a rollout failed: no")

    monkeypatch.setattr(WorldModel, "record_rollout", fail)
    with pytest.raises(ConfigError, match="device: recording a rollout failed: no"):
        load(resolve(given))
