"""The same bag live through the node and offline through vjepa_replay: the same windows, actions and latents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bags
import numpy as np
import pytest
import recorded
import replays
from ros.harness import Predictor, Robot
from ros.playing import IMAGE, MAX_WAIT_S, play

from vjepa_ros import latents
from vjepa_ros.digest import Digest


@pytest.mark.parametrize("worsen", [bags.unchanged, bags.jitter, bags.reordering], ids=lambda worsen: worsen.__name__)
def test_live_equals_offline(
    predictor: Predictor, robot: Robot, tmp_path: Path, worsen: Callable[[list[bags.Message]], list[bags.Message]]
) -> None:
    messages = [m for m in worsen(bags.sample()) if m.topic in bags.TOPICS]
    renamed = [m._replace(topic=IMAGE) if m.topic == recorded.CAMERA else m for m in messages]
    bag = bags.write(tmp_path / "bag", renamed)
    wait = ("--set", f"actions.max_wait_s={MAX_WAIT_S}")
    assert replays.run(bag, "-o", tmp_path / "out", *wait) == 0
    offline = replays.report(tmp_path / "out")
    want = replays.expected(bags.write(tmp_path / "as_recorded", messages), MAX_WAIT_S)
    hashes = replays.digest(want)
    assert {name: offline["sha256"][name] for name in hashes} == hashes

    robot.start(image_transport="compressed", actions__max_wait_s=MAX_WAIT_S)
    play(robot, bag, len(want))
    assert [window["late"] for window in robot.windows] == [0] * len(want)
    replays.assert_equal(robot.windows, want)
    assert replays.digest(robot.windows) == hashes
    seen = Digest()
    for message in robot.predicted:
        seen.add_latents(latents.read(message, robot.info).array)
    assert robot.info["info_id"] == offline["info_id"]
    assert seen.hexadecimal()["latents"] == offline["sha256"]["latents"]
    assert np.isfinite(latents.read(robot.predicted[-1], robot.info).array).all()
    robot.stop()
