"""How long windows take, stage by stage."""

from __future__ import annotations

import pytest

from vjepa_ros.ros.stages import KEPT, STAGES, Stages


def test_nothing_is_said_of_a_stage_without_a_duration() -> None:
    stages = Stages()
    assert stages.values == {}
    stages.add("encode", 4.0)
    assert stages.values == {"encode_p50_ms": 4.0, "encode_p95_ms": 4.0, "encode_p99_ms": 4.0}
    with pytest.raises(KeyError):
        stages.add("lunch", 1.0)


def test_percentiles_of_the_last_ones() -> None:
    stages = Stages()
    for stage in STAGES:
        for _ in range(KEPT):
            stages.add(stage, 1e6)
        for number in range(KEPT):
            stages.add(stage, float(number + 1))
    values = stages.values
    assert len(values) == 3 * len(STAGES)
    assert values["wait_p50_ms"] == pytest.approx(500.5)
    assert values["wait_p95_ms"] == pytest.approx(950.05)
    assert values["wait_p99_ms"] == pytest.approx(990.01)
