"""The report: exactly the keys that programs rely on, and a page that needs nothing from elsewhere."""

from __future__ import annotations

import base64
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from support.evaluated import figures

from vjepa_ros.documents import to_json
from vjepa_ros.errors import ConfigError
from vjepa_ros.training import pictures, report
from vjepa_ros.training.judgement import judge
from vjepa_ros.training.survey import Dimension, RecordingRow, Survey

HISTORY = [
    {"step": step, "rate": 1e-3, "loss": 1 / step, "near": 0.2, "near_still": 0.4, "far": 0.3, "far_still": 0.9,
     **({"held_back_loss": 2 / step, "held_back_near": 0.3, "held_back_near_still": 0.4} if step % 2 == 0 else {})}
    for step in range(1, 7)
]  # fmt: skip
COURSE = [{"step": 1, "rate": 1e-3, "loss": 2.0, "prediction": 0.5, "still": 0.4}]


def told(**changes: object) -> report.Told:
    found = figures({1: 0.6, 4: 0.4, 8: 0.3})
    rows = (
        RecordingRow("bags/<b>one</b>", False, 100, 110, 3, 0.5, 2, 0.8, {"windows without a command or state": 4}, ()),
        RecordingRow("bags/two", True, 50, 60, 1, 0.25, 0, 0.9, {}, ()),
    )
    joint = Dimension("elbow", -1.0, 1.0, 0.0, 0.5, 0.1, False)
    survey = Survey(rows, (joint,), (), 150, 170, 0.75, 2, 0.85, 80, 40, "held back: 1 of 2 recordings, bags/two",
                    ("something odd",))  # fmt: skip
    hashes = report.Hashes(("aa", "bb"), "cc", "dd", "ee")
    image = pictures.frame(np.full((8, 8, 3), 100, np.uint8))
    values = {
        "model": "arm.safetensors", "survey": survey, "evaluation": found, "judgement": judge(found),
        "convention": {"actions.reduction": "pick", "joint_names": ["elbow"]}, "hashes": hashes,
        "courses": {"encoder": COURSE, "predictor": HISTORY}, "frames": [(image, image)], "options": {"steps": 6},
    }  # fmt: skip
    return report.Told(**{**values, **changes})


def test_programs_find_exactly_these_keys() -> None:
    found = report.as_json(told())
    keys = "windows hours k1 k4 k8 shuffled4 rank judgement judgement_text convention hashes"
    assert tuple(found) == report.KEYS == tuple(keys.split())
    assert (found["windows"], found["hours"]) == (150, 0.75) and isinstance(found["hours"], float)
    assert [found[name] for name in ("k1", "k4", "k8", "shuffled4", "rank")] == pytest.approx([0.6, 0.4, 0.3, 3.0, 0.0])
    assert found["judgement"] == "follows" and found["judgement_text"].startswith("The model follows its actions")
    assert found["hashes"] == {"bags": ["aa", "bb"], "encoder": "cc", "params": "dd", "model": "ee"}
    assert json.loads(to_json(found)) == found


def test_what_is_not_known_is_null() -> None:
    short = figures({1: 0.6})
    found = json.loads(to_json(report.as_json(told(evaluation=replace(short, grid=None)))))
    assert [found[name] for name in ("k4", "k8", "shuffled4", "rank")] == [None] * 4


class _Page(HTMLParser):
    void = {"meta", "img", "br", "link", "hr", "input"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.void:
            self.open.append(tag)
        assert tag not in ("script", "link", "iframe")
        for name, value in attrs:
            if name in ("src", "href"):
                self.images.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def test_the_page_needs_nothing_else() -> None:
    html = report.as_html(told())
    page = _Page()
    page.feed(html)
    assert page.open == [] and "http" not in html and "url(" not in html
    assert len(page.images) == 4 + 2 + 2, "by distance, grid, joint, speed; two courses; two frames"
    for image in page.images:
        png = base64.b64decode(image.removeprefix("data:image/png;base64,"), validate=True)
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
    text = " ".join(page.text.split())
    for said in ("The model follows its actions", "0.60", "0.40", "3.00", "bags/<b>one</b> at 12.500 s",
                 "4 windows without a command or state", "something odd.", "0.75 h", 'joint_names ["elbow"]', "steps 6",
                 "8 steps later"):  # fmt: skip
        assert said in text, said
    assert "<b>one" not in html
    assert re.search(r'class="judgement follows"', html)


def test_a_page_without_what_is_not_known() -> None:
    short = replace(figures({1: 0.6}, shuffled=None), grid=None, worst=(), states_held=True)
    page = _Page()
    page.feed(report.as_html(told(evaluation=short, courses={"predictor": []}, frames=[])))
    assert len(page.images) == 2 and "took the last state" in " ".join(page.text.split())


@pytest.mark.parametrize("package", ["matplotlib.figure", "jinja2"])
def test_a_package_that_is_missing_is_named_with_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"needs the package \w+ .*pip install 'vjepa_ros\[train\]'"):
        report.require_packages()
