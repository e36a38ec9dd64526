"""The planner that people will copy: whatever order the topics' messages come in."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from examples.planner import _MOST, Planner, Received
from vjepa_ros import latents

GRID = (1, 2, 3)  # steps, rows, columns


def image(stamp_ns: int) -> CompressedImage:
    message = CompressedImage(data=b"file %d" % stamp_ns)
    message.header.stamp.nanosec = stamp_ns
    return message


def window_info(stamp_ns: int, info_id: str = "a") -> DiagnosticArray:
    values = latents.window_values({"info_id": info_id, "window": stamp_ns})
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    message = DiagnosticArray(status=[DiagnosticStatus(values=pairs)])
    message.header.stamp.nanosec = stamp_ns
    return message


def latent_message(stamp_ns: int, steps: int = GRID[0]) -> Image:
    array = np.full((steps, *GRID[1:], 4), stamp_ns, np.float32)
    array += np.arange(steps)[:, None, None, None]
    return latents.write(Image(), latents.Latents(array, stamp_ns, "camera"))


def latent_info(info_id: str = "a") -> String:
    return String(data=json.dumps({"info_id": info_id, "grid": GRID}))


@pytest.fixture
def planner():
    received: list[Received] = []
    node = Planner("/vjepa_predictor", "/camera", received.append)
    node.windows = received
    yield node
    node.destroy_node()


@pytest.mark.parametrize("order", permutations(["info", "image", "window", "latents"]))
def test_a_window_is_complete_in_whatever_order_its_parts_come(planner: Planner, order: tuple[str, ...]) -> None:
    arrive = {
        "info": lambda: planner._on_info(latent_info()),
        "image": lambda: planner._on_image(image(7)),
        "window": lambda: planner._on_window_info(window_info(7)),
        "latents": lambda: planner._on_latents(latent_message(7)),
    }
    for part in order:
        assert planner.windows == []
        arrive[part]()
    (got,) = planner.windows
    assert (got.latents.stamp_ns, got.window["window"], got.jpeg) == (7, 7, b"file 7")
    np.testing.assert_array_equal(got.latents.array, np.full((*GRID, 4), 7))
    assert (got.latency_ms >= 0) == (order.index("latents") > order.index("image"))


def test_every_forecast_of_a_horizon_is_read(planner: Planner) -> None:
    planner._on_info(latent_info())
    planner._on_image(image(7))
    planner._on_window_info(window_info(7))
    planner._on_latents(latent_message(7, steps=3))
    (got,) = planner.windows
    assert got.latents.array.shape == (3, 2, 3, 4)
    np.testing.assert_array_equal(got.latents.array[:, 0, 0, 0], [7, 8, 9])


def test_latents_wait_for_the_info_of_their_own_configuration(planner: Planner) -> None:
    planner._on_info(latent_info("old"))
    planner._on_image(image(7))
    planner._on_window_info(window_info(7, "new"))
    planner._on_latents(latent_message(7))
    assert planner.windows == []
    planner._on_info(latent_info("new"))
    assert [got.window["window"] for got in planner.windows] == [7]


def test_what_never_finds_its_partners_makes_room(planner: Planner) -> None:
    planner._on_info(latent_info())
    planner._on_latents(latent_message(7))
    for stamp_ns in range(1000, 1000 + 2 * _MOST):
        planner._on_image(image(stamp_ns))
    assert len(planner._parts) == _MOST and 7 not in planner._parts


def test_health_is_the_predictor_s_own(planner: Planner) -> None:
    def status(name: str, **values: str) -> DiagnosticStatus:
        return DiagnosticStatus(name=name, values=[KeyValue(key=key, value=value) for key, value in values.items()])

    statuses = [
        status("/vjepa_predictor: stream", late="3", state="active"),
        status("/vjepa_predictor: model", done="5", state="active"),
        status("/other_predictor: stream", late="99"),
        status("camera driver", late="98"),
    ]
    planner._on_diagnostics(DiagnosticArray(status=statuses))
    assert planner.health == {
        "stream": {"late": "3", "state": "active"},
        "model": {"done": "5", "state": "active"},
    }
