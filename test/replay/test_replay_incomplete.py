"""Exit status 3: done, outputs written, what could not be read listed; 0 where that is allowed, or nobody asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import bags, mcaps, recorded, replays
from support.mcaps import Form, Raw

from vjepa_ros.commands import probe

SAMPLE = mcaps.sample()
Run = tuple[int, dict[str, Any], str]


@pytest.fixture(params=["replay", "probe"])
def command(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def run(command: str, bag: Path, out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> Run:
    """(exit status, report, what was said) of a command."""
    if command == "replay":
        status = replays.run(bag, "-o", out, "--windows-only", "--force", *more)
    else:
        few = ("--points", "3", "--windows", "1", "--no-picture", "--force")
        arguments = [bag, "-o", out, "--params", replays.PARAMS, *replays.ONE_THREAD, *few, *more]
        status = probe.main([*map(str, arguments)])
    report = json.loads((out / ("report.json" if command == "replay" else "probe.json")).read_text())
    return status, report, capsys.readouterr().err


def test_what_is_missing_is_listed_and_ends_with_3(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(Form(chunk_messages=200).contents(SAMPLE[:1500]))
    start, end = list(mcaps.chunks(bytes(data)))[4]
    data[(start + end) // 2] ^= 1
    (bag := tmp_path / "bag.mcap").write_bytes(data)
    status, report, said = run(command, bag, tmp_path / "out", capsys)
    assert status == 3
    lost = SAMPLE[800:1000]
    by_topic = {entry["topic"]: entry for entry in report["incomplete"]}
    for topic in bags.TOPICS:
        entry = by_topic.pop(topic)
        assert entry["file"] == str(bag)
        assert entry["announced"] == sum(raw.topic == topic for raw in SAMPLE[:1500])
        assert entry["announced"] - entry["read"] == sum(raw.topic == topic for raw in lost)
        assert said.count(f"{bag}: {entry['what']}") == 1
    (chunk,) = by_topic.values()
    assert (chunk["announced"], chunk["read"]) == (200, 0) and "checksum" in chunk["what"]
    assert any(chunk["what"] in note for note in report["notes"]) and said.count(chunk["what"]) == 1
    assert f"vjepa_{command}: done, but not all of what was announced could be read: exit status 3, 0 with " in said
    assert "--allow-incomplete" in said.splitlines()[-1]
    allowed, same, said = run(command, bag, tmp_path / "out", capsys, "--allow-incomplete")
    assert allowed == 0 and same["incomplete"] == report["incomplete"]
    assert "exit status" not in said


def test_what_nobody_reads_may_be_missing(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = [raw for raw in SAMPLE[:1000] if raw.topic not in bags.TOPICS]
    apart = [raw for raw in SAMPLE[:1000] if raw.topic in bags.TOPICS] + info
    data = bytearray(Form(chunk_messages=20, message_index=False).contents(apart))
    start, end = list(mcaps.chunks(bytes(data)))[-1]
    data[(start + end) // 2] ^= 1
    (bag := tmp_path / "bag.mcap").write_bytes(data)
    status, report, said = run(command, bag, tmp_path / "out", capsys)
    assert (status, report["incomplete"]) == (0, [])
    assert "cannot be used" in said


def test_what_was_announced_and_nothing_else_gives_0(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, report, _ = run(command, Form().write(tmp_path / "bag.mcap", SAMPLE[:1000]), tmp_path / "out", capsys)
    assert (status, report["incomplete"], report["notes"]) == (0, [], [])


@pytest.mark.parametrize("form", [Form(message_index=False), Form(profile=""), Form(chunk_messages=0, summary=False)])
@pytest.mark.parametrize("order", ["in order", "by topic"])
def test_the_hashes_are_those_of_the_sample_bag(tmp_path: Path, form: Form, order: str) -> None:
    messages = SAMPLE if order == "in order" else sorted(SAMPLE, key=lambda raw: raw.topic)
    assert replays.run(form.write(tmp_path / "bag.mcap", messages), "-o", tmp_path / "out", "--windows-only") == 0
    assert replays.run(recorded.BAG, "-o", tmp_path / "sample", "--windows-only") == 0
    found, want = (replays.report(tmp_path / name) for name in ("out", "sample"))
    assert found["counts"]["windows"] == 113
    assert found["sha256"] == want["sha256"] and found["messages"] == want["messages"]


def test_of_several_cameras_one_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An overlay is often called ``.../image``, a camera never."""
    other = [raw._replace(topic="/detections/image/compressed") for raw in SAMPLE[:600] if raw.topic == recorded.CAMERA]
    mixed = sorted([*SAMPLE[:600], *other], key=lambda raw: raw.received_ns)
    bag = Form().write(tmp_path / "bag.mcap", mixed)
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"vjepa_replay: {recorded.CAMERA}, /detections/image/compressed could each be image (")
    assert said.endswith("say which with --image")
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only", "--image", recorded.CAMERA) == 0


def test_a_topic_of_another_encoding_is_refused_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = Raw("/notes", "notes", SAMPLE[0].received_ns, b"{}", "json")
    bag = Form().write(tmp_path / "bag.mcap", [notes, *SAMPLE[:600]])
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 0
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only", "--force", "--image", "/notes") == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "vjepa_replay: --image: /notes is recorded as 'json', not as cdr, which is all that ROS 2 has"
    )
    states = [raw._replace(encoding="ros1") if raw.topic == recorded.STATES else raw for raw in SAMPLE[:600]]
    bag = Form().write(tmp_path / "bag.mcap", states)
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only", "--force") == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "vjepa_replay: /joint_states is recorded as 'ros1', not as cdr, which is all that ROS 2 has: if joint_states "
        "is another topic, say which with --joint-states"
    )
