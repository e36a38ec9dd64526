"""The layouts for Foxglove and RViz in config/: every topic, field and key that they name is there to be shown."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray

from vjepa_ros.forecast import info
from vjepa_ros.ros.overrides import DIAGNOSTICS_TOPIC
from vjepa_ros.ros.panda_node import PandaNode
from vjepa_ros.ros.plan_topics import PICTURE, PLAN_ENERGY, SENT
from vjepa_ros.ros.publishers import PUBLISHERS
from vjepa_ros.ros.stages import Stages

CONFIG = Path(__file__).parents[2] / "config"
NODE = "/vjepa_predictor"
FOXGLOVE = json.loads((CONFIG / "foxglove_layout.json").read_text(encoding="utf-8"))
RVIZ = yaml.safe_load((CONFIG / "vjepa_ros.rviz").read_text(encoding="utf-8"))
PANELS: dict[str, Any] = FOXGLOVE["configById"]
WANTED = {"/image", f"{NODE}/latent_image", f"{NODE}/error_image"}


@pytest.fixture(scope="module")
def sent() -> dict[str, type]:
    """What node and simulator publish by default: types, by topic."""
    assert {PLAN_ENERGY, PICTURE} <= set(SENT)
    simulator = PandaNode()
    try:
        found = {publisher.topic_name: publisher.msg_type for publisher in simulator.publishers}
    finally:
        simulator.destroy_node()
    private = {row.topic: row.adapter.kind for row in PUBLISHERS.values()}
    private |= {PLAN_ENERGY: Float32MultiArray, PICTURE: Image}
    return found | {NODE + topic[1:]: kind for topic, kind in private.items()} | {DIAGNOSTICS_TOPIC: DiagnosticArray}


def leaves(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    else:
        yield from leaves(tree["first"])
        yield from leaves(tree["second"])


def paths() -> Iterator[str]:
    """Of all curves."""
    for name, panel in PANELS.items():
        if name.startswith("Plot!"):
            yield from (path["value"] for path in panel["paths"])


def test_every_panel_is_in_the_layout_once_and_no_other() -> None:
    assert sorted(leaves(FOXGLOVE["layout"])) == sorted(PANELS)
    kinds = {name.split("!")[0] for name in PANELS}
    assert kinds == {"Image", "Plot", "DiagnosticSummary"}
    assert {panel["foxglovePanelTitle"] for panel in PANELS.values()} >= {"prediction error", "energy", "latency, ms"}


def test_every_image_that_is_shown_is_published(sent: dict[str, type]) -> None:
    foxglove = {panel["imageMode"]["imageTopic"] for panel in PANELS.values() if "imageMode" in panel}
    displays = RVIZ["Visualization Manager"]["Displays"]
    assert {display["Class"] for display in displays} == {"rviz_default_plugins/Image"}
    rviz = {display["Topic"]["Value"] for display in displays}
    assert foxglove == rviz >= WANTED
    assert {sent[topic] for topic in foxglove} == {Image}
    reliable = {d["Topic"]["Value"] for d in displays if d["Topic"]["Reliability Policy"] == "Reliable"}
    assert rviz - reliable == {"/image"}, "a camera's driver may be best effort"
    assert set(RVIZ["Window Geometry"]) >= {display["Name"] for display in displays}


@pytest.mark.parametrize("path", list(paths()))
def test_every_curve_is_a_number_of_a_message_that_is_published(path: str, sent: dict[str, type]) -> None:
    topic, *fields = re.sub(r"\[[^\]]*\]|\{[^}]*\}", "", path).split(".")
    kind = sent[topic]
    for number, field in enumerate(fields, start=1):
        declared = kind.get_fields_and_field_types()[field]
        element = re.sub(r"^sequence<(.*)>$", r"\1", declared)
        # A list is taken apart: all of it, or one place of it.
        has_place = bool(re.search(rf"\.{field}\[(:|\d)\]", path))
        assert has_place == (element != declared), f"{field} is {declared}"
        if number < len(fields):
            package, name = element.split("/")
            kind = getattr(importlib.import_module(f"{package}.msg"), name)
    assert element in ("float", "double", "string"), "a text of digits is drawn as a number"


def test_every_topic_that_the_page_plots_is_published(sent: dict[str, type]) -> None:
    page = (CONFIG.parent / "docs" / "pictures.md").read_text(encoding="utf-8")
    named = set(re.findall(rf"{NODE}/\w+", page))
    assert len(named) == 3 and named <= sent.keys()
    assert {f"~{topic.removeprefix(NODE)}" for topic in WANTED - {"/image"}} <= set(re.findall(r"~/\w+", page))


def test_every_status_and_key_that_is_picked_is_what_the_node_says() -> None:
    stages = Stages()
    for stage in ("decode", "wait", "encode", "predict", "publish"):
        stages.add(stage, 1.0)
    filters = [re.findall(r'\{(\w+)=="([^"]+)"\}', path) for path in paths()]
    of_latency = [dict(found)["key"] for found in filters if ("name", f"{NODE}: latency") in found]
    assert len(of_latency) == 3 and set(of_latency) <= stages.values.keys()
    others = [found for found in filters if found and ("name", f"{NODE}: latency") not in found]
    assert others == [[("key", "compute_ms")]]
    assert '"compute_ms"' in inspect.getsource(info.window_info)
