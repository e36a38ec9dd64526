"""What is made of the notes of a robot and its node: by hand."""

from __future__ import annotations

import pytest

from benchmarks.node_figures import imports_figure, node_figures

MS = 1_000_000
# One window whose command comes 4 ms after its newest frame, one that waits for nothing. All in ns.
NOTES = {
    "sent_ns": {"100": 10 * MS, "200": 110 * MS},
    "arrived_ns": {"100": 40 * MS, "200": 130 * MS},
    "compute_ms": {"100": 15.0, "200": 12.0},
    "bare_ns": [1 * MS, 2 * MS, 9 * MS],
    "latent_bytes": 8192,
    "node": {
        "frames_ns": {"100": 12 * MS, "150": 60 * MS, "200": 111 * MS},
        "resolved_ns": {"100": 16 * MS, "200": 110 * MS},
        "cpu_ns": {"image": [3 * MS, 1 * MS, 2 * MS], "joint_commands": [30_000, 50_000], "joint_states": [9]},
    },
}


def test_the_overhead_is_what_neither_the_wait_nor_the_model_took() -> None:
    overhead, frame, command = node_figures("tiny_random", NOTES)
    # 40 - 12 - 4 - 15 = 9 ms, and 130 - 111 - 0 - 12 = 7 ms
    assert overhead["value"] == pytest.approx(8.0)
    assert overhead["from"]["worst_ms"] == pytest.approx(9.0)
    assert overhead["from"]["frame_sent_to_latents_ms"] == pytest.approx(25.0)
    assert overhead["from"]["bare_publish_ms"] == 2.0 and overhead["goal"] == 5.0 + 2 * 2.0
    assert overhead["from"]["windows"] == 2 and overhead["from"]["message_bytes"] == 8192
    assert (frame["value"], frame["unit"], frame["goal"]) == (2.0, "ms", 2.0)
    assert (command["value"], command["unit"], command["goal"]) == (40.0, "us", 50.0)


def test_imports_are_added_up_and_the_largest_are_named() -> None:
    own = {f"part{number}": [0.5 * number, 3.0] for number in range(20)}
    found = imports_figure({"own": own, "modules": 33})
    assert (found["value"], found["unit"], found["goal"]) == (0.5 * 190, "MB", None)
    largest = {f"part{number}_mb": 0.5 * number for number in range(12, 20)}
    cpu = {name.replace("_mb", "_cpu_ms"): 3.0 for name in largest}
    assert found["from"] == {"cpu_ms": 60.0, "modules": 33} | largest | cpu
