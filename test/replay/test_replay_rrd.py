"""vjepa_replay --rrd: what is logged, where and when; against the real package where it is installed."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from support import bags, replays

from vjepa_ros import latents
from vjepa_ros.recordings.bag import Recording

SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 2 * bags.S]
ARGUMENTS = ("--set", "preset=tiny", "latents.publish_context=true")
CURVES = {"/error/forecast", "/error/no_change", "/latency/encode", "/latency/predict", "/latency/whole"}
PICTURES = {"/camera", "/latents/observed", "/latents/forecast", "/error/where"}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bags.write(tmp_path_factory.mktemp("rrd") / "bag", SHORT)


def windows_of(out: Path) -> list[dict[str, Any]]:
    """What a replay has written of each window: its stamp, when, its forecast, and what was observed last."""
    found: dict[int, dict[str, Any]] = {}
    with Recording([out]) as recording:
        for recorded in recording.messages(recording.topics):
            for name in ("predicted", "context"):
                if recorded.topic.endswith(f"/{name}_latents"):
                    read = latents.read(recorded.message(), (4, 4))
                    row = found.setdefault(read.stamp_ns, {"stamp": read.stamp_ns, "recorded": recorded.received_ns})
                    row[name] = read.array[-1].copy()
    return [found[stamp] for stamp in sorted(found)]


@dataclass
class Stream:
    """A stand-in for rerun's, which keeps what is logged: (path, times, what)."""

    name: str
    rows: list[tuple[str, dict[str, Any], Any]] = field(default_factory=list)
    times: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def save(self, path: str, default_blueprint: Any) -> None:
        self.calls.append("save")
        Path(path).write_bytes(b"rrd")

    def set_time(self, timeline: str, *, timestamp: np.datetime64) -> None:
        self.times[timeline] = int(timestamp.astype("int64"))

    def log(self, path: str, what: Any) -> None:
        self.rows.append((f"/{path}", dict(self.times), what))

    def flush(self) -> None:
        self.calls.append("flush")

    def disconnect(self) -> None:
        self.calls.append("disconnect")


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[Stream]:
    """Those that are made while a module stands in for rerun."""
    made: list[Stream] = []
    module, blueprint = ModuleType("rerun"), ModuleType("rerun.blueprint")

    def stream(name: str) -> Stream:
        made.append(Stream(name))
        return made[-1]

    module.RecordingStream, module.Scalars, module.Image = stream, np.asarray, np.asarray
    module.EncodedImage = lambda contents, media_type: cv2.imdecode(np.frombuffer(contents, np.uint8), 1)
    module.blueprint = blueprint
    for part in ("Blueprint", "Vertical", "Horizontal", "Spatial2DView", "TimeSeriesView"):
        setattr(blueprint, part, lambda *inner, **values: (inner, values))
    monkeypatch.setitem(sys.modules, "rerun", module)
    monkeypatch.setitem(sys.modules, "rerun.blueprint", blueprint)
    return made


def test_every_window_is_logged_at_its_stamp(bag: Path, tmp_path: Path, streams: list[Stream]) -> None:
    assert replays.run(bag, "-o", tmp_path / "out", "--rrd", *ARGUMENTS) == 0
    assert (tmp_path / "out" / "replay.rrd").read_bytes() == b"rrd"
    (stream,) = streams
    assert stream.calls == ["save", "flush", "disconnect", "disconnect"]
    windows = windows_of(tmp_path / "out")
    assert len(windows) >= 5
    by_path: dict[str, list[Any]] = {}
    for path, times, what in stream.rows:
        by_path.setdefault(path, []).append((times, what))
    assert set(by_path) == PICTURES | CURVES | {"/action", "/state"}
    for path, rows in by_path.items():
        of = windows[1:] if path.startswith("/error") else windows
        assert [times for times, _ in rows] == [{name: w[name] for name in ("stamp", "recorded")} for w in of], path
    errors = [float(what) for _, what in by_path["/error/forecast"]]
    pairs = list(zip(windows, windows[1:], strict=False))
    want = [np.abs(before["predicted"] - after["context"]).mean() for before, after in pairs]
    np.testing.assert_allclose(errors, want, rtol=1e-5)
    still = [np.abs(before["context"] - after["context"]).mean() for before, after in pairs]
    np.testing.assert_allclose([float(what) for _, what in by_path["/error/no_change"]], still, rtol=1e-5)
    assert {what.shape for _, what in by_path["/camera"] + by_path["/error/where"]} == {(64, 64, 3)}
    assert {what.shape for _, what in by_path["/latents/observed"]} == {(4, 4, 3)}
    assert {what.shape for _, what in by_path["/action"]} == {(7,)}


def test_it_is_refused_without_the_package_before_anything_is_read(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert replays.run(bag, "-o", tmp_path / "out", "--rrd", tmp_path / "file.rrd", *ARGUMENTS) == 1
    said = capsys.readouterr().err
    assert "--rrd: needs the package rerun-sdk" in said and "pip install 'vjepa_ros[rerun]'" in said
    assert list(tmp_path.iterdir()) == []


def test_the_real_package_writes_what_it_reads(bag: Path, tmp_path: Path) -> None:
    chunk = pytest.importorskip("rerun.chunk")
    assert replays.run(bag, "-o", tmp_path / "out", "--rrd", tmp_path / "file.rrd", *ARGUMENTS) == 0
    windows = windows_of(tmp_path / "out")
    reader = chunk.RrdReader(tmp_path / "file.rrd")
    assert len(reader.recordings()) == len(reader.blueprints()) == 1
    stamps: dict[str, list[int]] = {}
    errors: list[tuple[int, float]] = []
    for part in reader.stream():
        batch, path = part.to_record_batch(), str(part.entity_path)
        if "stamp" in batch.schema.names:
            at_ns = batch.column("stamp").cast("int64").to_pylist()
            stamps.setdefault(path, []).extend(at_ns)
            if path == "/error/forecast":
                errors += zip(at_ns, (v for (v,) in batch.column("Scalars:scalars").to_pylist()), strict=True)
    assert set(stamps) == PICTURES | CURVES | {"/action", "/state"}
    assert sorted(stamps["/camera"]) == [window["stamp"] for window in windows]
    pairs = zip(windows, windows[1:], strict=False)
    want = [(after["stamp"], np.abs(before["predicted"] - after["context"]).mean()) for before, after in pairs]
    np.testing.assert_allclose(sorted(errors), want, rtol=1e-5)
