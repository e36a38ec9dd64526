"""docs/planners.md: its reader reads what is written, its tables name every key and every reason."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from support.builders import model_window

import vjepa_ros
from vjepa_ros import latents
from vjepa_ros.config.node import resolve
from vjepa_ros.config.planner_rows import COMMAND_TYPES
from vjepa_ros.config.table import BY_NAME
from vjepa_ros.forecast import info
from vjepa_ros.forecast.forecaster import Forecaster
from vjepa_ros.planning.command import Command
from vjepa_ros.planning.execution import REASONS as END_REASONS
from vjepa_ros.planning.execution import Execution
from vjepa_ros.planning.plan_outcome import REASONS as PLAN_REASONS
from vjepa_ros.planning.planner import Outcome, Planner
from vjepa_ros.planning.question_reading import MAX_TAG
from vjepa_ros.planning.questions import REASONS, answer_info
from vjepa_ros.planning.status import plan_values

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "planners.md").read_text(encoding="utf-8")


def keys_of(heading: str) -> set[str]:
    """What stands in backquotes in the first column of the table with this heading."""
    (table,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE)
    return {key for row in table.splitlines() for key in re.findall(r"`([^`]+)`", row.split("|")[1])}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("bigendian", [0, 1])
def test_the_reader_of_the_page(dtype: Any, bigendian: int) -> None:
    (reader,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(reader, names)
    array = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(dtype)
    empty = SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace()), data=b"")
    message = latents.write(empty, latents.Latents(array, 7, "camera"))
    if bigendian != message.is_bigendian:
        message.is_bigendian, message.data = bigendian, array.byteswap().tobytes()
    np.testing.assert_array_equal(names["read"](message, 3, 4), array)
    np.testing.assert_array_equal(latents.read(message, (3, 4)).array, array)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_where_a_number_lies(dtype: Any) -> None:
    """The formula of the page, byte by byte."""
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).astype(dtype)
    empty = SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace()), data=b"")
    message = latents.write(empty, latents.Latents(array, 7, "camera"))
    size = {"32FC1": 4, "16FC1": 2}[message.encoding]
    assert "((s · H' + r) · W' + c) · step + d · (4 or 2)" in PAGE
    for s, r, c, d in np.ndindex(array.shape):
        at = ((s * 3 + r) * 4 + c) * message.step + d * size
        assert np.frombuffer(message.data[at : at + size], dtype) == array[s, r, c, d]


def test_every_key_is_explained() -> None:
    config = resolve({"joint_names": [f"joint{number}" for number in range(7)]})
    constant = info.latent_info(config, vjepa_ros.load("tiny_random"))
    assert constant.keys() - {"info_id"} <= keys_of("keys of `latent_info`")
    assert info.window_info("a", model_window(), 1.0, ("", "")).keys() <= keys_of("keys of `window_info`")
    assert answer_info(0, (), None, None, "a").keys() == keys_of("key of `candidate_info`")


def test_every_reason_is_explained() -> None:
    assert keys_of("reason") == set(REASONS)


def test_every_parameter_that_is_named_exists() -> None:
    named = set(re.findall(r"`(candidates\.\w+|latents\.\w+|actions\.\w+)`", PAGE))
    assert len(named) >= 10 and named <= BY_NAME.keys()
    assert f"0 to {MAX_TAG}" in PAGE


def test_the_planner_of_the_node_is_explained() -> None:
    config = resolve({"joint_names": [f"joint{number}" for number in range(7)], "planner.enabled": True})
    model = vjepa_ros.load("tiny_random")
    planner = Planner(config, model, Forecaster(model, config), (), lambda: 0)
    execution = Execution(config.planner, Silent(), lambda reason, detail: None)
    assert plan_values(planner, Outcome(), execution).keys() == keys_of("key of `planner_status`")
    assert keys_of("reason for no plan") == set(PLAN_REASONS)
    named = set(re.findall(r"`(planner\.\w+)", PAGE))
    assert len(named) >= 10 and named <= BY_NAME.keys()


def test_the_parameters_of_the_steps_can_be_configured() -> None:
    first, second = (
        values["/**"]["ros__parameters"]
        for values in map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))
    )
    joints = {"joint_names": [f"joint{number}" for number in range(7)]}
    dry = resolve({**joints, **first}).planner
    assert dry.enabled and not dry.execute
    assert resolve({**joints, **first, **second}).planner.execute


class Silent:
    """Sends nothing."""

    def send(self, command: Command) -> None: ...

    def rest(self) -> None: ...


def test_every_end_of_execution_is_explained() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "safety.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| `end_reason` \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page, flags=re.MULTILINE)
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(END_REASONS)
    (kinds,) = re.findall(r"^\| `planner.command_type` \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page, flags=re.MULTILINE)
    assert tuple(re.findall(r"^\| `(\w+)` \|", kinds, re.MULTILINE)) == COMMAND_TYPES
    named = set(re.findall(r"`(planner\.\w+)", page))
    assert len(named) >= 10 and named <= BY_NAME.keys()
    assert "**None of this replaces** an emergency stop" in page
