"""vjepa_replay --html: one page that needs nothing else, with what the report and the recording say."""

from __future__ import annotations

import base64
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import bags, recorded, replays

from vjepa_ros.forecast.prediction_error import Compared
from vjepa_ros.replay.html import Page
from vjepa_ros.replay.losses import KEPT, LOSSES, SUMS
from vjepa_ros.replay.written import Written
from vjepa_ros.stream.frame import Frame

SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 6 * bags.S]
TINY = ("--set", "preset=tiny")


class Parsed(HTMLParser):
    """What is in a page: that its elements are closed, its pictures and its words."""

    void = {"meta", "img", "br", "link", "hr", "input"}

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.source = file.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.pictures: dict[str, list[np.ndarray]] = {}  # (h, w, 3) BGR, by what stands for them
        self.headings: list[str] = []
        self.cells: list[list[str]] = []  # of all tables, row by row
        self.text = ""
        self.feed(self.source)
        self.text = " ".join(self.text.split())
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe")
        if tag not in self.void:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")
        if tag == "img":
            values = dict(attrs)
            kind, _, data = str(values["src"]).partition(";base64,")
            assert kind in ("data:image/png", "data:image/jpeg")
            image = cv2.imdecode(np.frombuffer(base64.b64decode(data, validate=True), np.uint8), cv2.IMREAD_COLOR)
            self.pictures.setdefault(re.sub(r" at .*", "", str(values["alt"])), []).append(np.asarray(image))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += f" {data}"
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        if {"td", "th"} & set(self.open[-2:]):
            self.cells[-1][-1] = (self.cells[-1][-1] + data).strip()


def test_the_page_of_a_replay(tmp_path: Path) -> None:
    def worsen(message: bags.Message, number: int) -> bags.Message:
        is_late = message.topic == recorded.COMMANDS and number % 40 == 0
        return message._replace(received_ns=message.received_ns + 3 * bags.S) if is_late else message

    bag = bags.write(tmp_path / "<bag>", [worsen(message, number) for number, message in enumerate(SHORT)])
    assert replays.run(bag, "-o", tmp_path / "out", "--html", *TINY) == 0
    report, page = replays.report(tmp_path / "out"), Parsed(tmp_path / "out" / "replay.html")
    counts, error = report["counts"], report["prediction_error"]
    assert "http" not in page.source and "url(" not in page.source and "<bag>" not in page.source
    assert page.headings == ["Moments", "Errors and latency", "What was dropped", "What was read"]
    for said in ("tiny, tubelet", "<bag>", f"{counts['windows']} windows of {report['timings']['recorded_s']:.1f} s",
                 f"{error['mean']:.3f} error of forecasts", f"{error['no_change_mean']:.3f} of expecting no change",
                 report["sha256"]["latents"], "actions.max_wait_s"):  # fmt: skip
        assert said in page.text, said

    pictures = {what: len(found) for what, found in page.pictures.items()}
    shown = pictures["camera"]
    assert 8 <= shown <= 16 and pictures["latents"] == shown
    assert pictures["forecast of the latents"] == pictures["error over the camera image"] == shown - 1
    assert pictures["prediction error and latency over time"] == 1
    assert {image.shape for image in page.pictures["latents"]} == {(4, 4, 3)}
    assert {image.shape for image in page.pictures["camera"]} == {(128, 128, 3)}
    brightness = [float(image.mean()) for image in page.pictures["camera"]]
    assert all(abs(value - brightness[0]) < 30 for value in brightness) and 60 < brightness[0] < 200
    assert page.pictures["prediction error and latency over time"][0].shape[1] > 900

    rows = {cells[0]: cells[1:] for cells in page.cells if cells}
    assert counts["late_commands"] > 5
    assert rows["commands late"][0] == str(counts["late_commands"])
    assert rows["frames taken in"][-1] == str(counts["frames"])
    assert "states late" not in rows and "states late" in page.text, "that none were is said too"
    assert rows["joint_commands"] == [recorded.COMMANDS, str(report["messages"][recorded.COMMANDS])]
    for stage in ("encode", "predict", "whole window"):
        p50, p95, p99 = map(float, rows[stage])
        assert 0 < p50 <= p95 <= p99


def test_a_page_of_windows_only_and_one_without_any(tmp_path: Path) -> None:
    bag = bags.write(tmp_path / "bag", SAMPLE[:80])
    assert replays.run(bag, "-o", tmp_path / "none", "--windows-only", "--html", tmp_path / "none.html") == 0
    empty = Parsed(tmp_path / "none.html")
    assert "No window came out." in empty.text and "no model ran" in empty.text and empty.pictures == {}
    bag = bags.write(tmp_path / "longer", SHORT[: len(SHORT) // 3])
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only", "--html", tmp_path / "w.html") == 0
    page = Parsed(tmp_path / "w.html")
    assert set(page.pictures) == {"camera"} and "Errors and latency" not in page.headings
    assert "Nothing." in page.text


def test_every_count_of_the_report_has_its_words(tmp_path: Path) -> None:
    bag = bags.write(tmp_path / "bag", SAMPLE[:10])
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 0
    assert {*KEPT, *LOSSES, *SUMS, "rejected"} == set(replays.report(tmp_path / "out")["counts"])


def written(number: int) -> Written:
    """A window of which a page looks at the newest frame, the time and the comparison alone."""

    class Window:
        epoch = 0
        frames = (Frame(number, "camera", np.full((3, 8, 8), number / 100, np.float32)),)

    steps = np.random.default_rng(number).normal(size=(2, 2, 2, 4)).astype(np.float32)
    return Written(Window(), number * bags.S, 0, None, None, Compared(number, steps[0], steps[1]))  # type: ignore[arg-type]


def test_of_a_long_recording_moments_are_kept_evenly(tmp_path: Path) -> None:
    page = Page(tmp_path / "page.html")
    for number in range(1000):
        page.add(written(number))
    at_s = np.array([moment.at_s for moment in page._moments])
    assert 8 <= len(at_s) <= 16 and set(np.diff(at_s)) == {64.0} and at_s[0] == 0 and at_s[-1] >= 1000 - 64


def test_the_report_names_the_extra_that_is_missing_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert replays.run(recorded.BAG, "-o", tmp_path / "out", "--html") == 1
    assert re.search(r"--html: needs the package jinja2 .*pip install 'vjepa_ros\[pictures\]'", capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []
