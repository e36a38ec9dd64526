"""The node's half of the benchmark runs on the real node over the real middleware; its figures are figures."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks import __main__

pytestmark = pytest.mark.timeout(300)


def test_the_node_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    only = ["node", "commands", "start", "memory", "imports"]
    assert __main__.main(["--smoke", "--threads", "1", "--only", *only]) == __main__.OK
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["node"]
    by_name = {figure["name"]: figure for figure in figures}
    names = ["node-overhead", "node-frame-cpu", "node-command-cpu", "command-process-cpu", "start", "memory", "imports"]
    assert list(by_name) == names
    for figure in figures:
        made_of = figure["from"].values()
        assert all(math.isfinite(value) for value in (figure["value"], *made_of)), figure
        assert (figure["goal"] is None) == (figure["name"] in ("command-process-cpu", "imports"))
    overhead = by_name["node-overhead"]["from"]
    assert overhead["windows"] == 3 and overhead["message_bytes"] == 1 * 4 * 4 * 128 * 4
    assert 0 < by_name["node-overhead"]["value"] < overhead["frame_sent_to_latents_ms"]
    assert by_name["node-frame-cpu"]["from"]["messages"] == 16 + 2 * 2
    assert by_name["node-command-cpu"]["from"]["messages"] == 10 * (16 + 2 * 2)
    commands = by_name["command-process-cpu"]
    assert commands["from"]["commands"] == 100 and min(commands["value"], commands["from"]["bare_single_us"]) > 0
    start = by_name["start"]
    assert start["value"] == pytest.approx(start["from"]["node_s"] / start["from"]["bare_s"])
    assert min(start["value"], start["from"]["bare_s"]) > 0
    memory = by_name["memory"]["from"]
    assert memory["rest_mb"] > memory["bare_mb"] > 20
    assert memory["weights_mb"] == pytest.approx(5.86, abs=0.01)
    imports = by_name["imports"]
    assert imports["unit"] == "MB" and 5 < imports["value"] < memory["rest_mb"] - memory["bare_mb"]
    assert {"cv2_mb", "sensor_msgs_mb", "vjepa_ros.config_mb"} <= set(imports["from"]), "the largest"
