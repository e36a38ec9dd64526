"""A lossless queue that is full holds up the camera, and nothing else: services and timers wait for no model."""

from __future__ import annotations

import time
from pathlib import Path

from support.harness import Predictor, Robot
from support.planned import EXECUTED, Standing

WINDOW_S = 4.0  # what the model takes for one
QUICK_S = 2.0  # an answer that did not wait for it


def test_stop_does_not_wait_for_the_model_and_no_window_is_lost(log_path: Path, tmp_path: Path) -> None:
    faulty = str(Path(__file__).parents[1] / "support" / "faulty_node.py")
    fault = tmp_path / "fault"
    fault.write_text("slower", encoding="utf-8")
    values = {**EXECUTED, "queue": "all", "queue_size": 1, "qos_overrides./image.subscription.depth": 100,
              "qos_overrides./image.subscription.reliability": "reliable"}  # fmt: skip
    predictor = Predictor(log_path, values, ("-r", "__node:=full"), (faulty, str(fault)))
    robot = Robot("/full")
    standing = Standing(robot)
    try:
        standing.start()
        # The model is at the first window, the second waits, and the third has no room.
        assert robot.spin(lambda: standing.frames >= 40), standing.frames
        waited_s = []
        for _ in range(5):
            began_s = time.monotonic()
            assert standing.trigger("stop") == (True, "nothing was executed")
            waited_s.append(time.monotonic() - began_s)
        print(f"answers after {[round(waited, 2) for waited in waited_s]} s, a window takes {WINDOW_S:g} s")
        assert max(waited_s) < QUICK_S, waited_s
        before = len(robot.windows)
        standing.is_sending = False
        fault.write_text("none", encoding="utf-8")
        assert robot.spin(lambda: len(robot.windows) >= before + 8), (len(robot.windows), predictor.log)
        assert [window["window"] for window in robot.windows] == list(range(len(robot.windows)))
    finally:
        standing.close()
        assert predictor.stop() == 0, predictor.log
        robot.close()
