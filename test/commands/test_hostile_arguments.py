"""Files, names and values that nobody vouches for, on the command lines: one sentence, and nothing is written."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from support import bags, conversions, replays

from vjepa_ros.commands import convert, replay
from vjepa_ros.commands.replay import main as replay_main

SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 2 * bags.S]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two seconds of the sample bag."""
    return bags.write(tmp_path_factory.mktemp("short") / "bag", SHORT)


def said(capsys: pytest.CaptureFixture[str], tool: str, most: int = 1_500) -> str:
    """Its only sentence about what is wrong."""
    lines = capsys.readouterr().err.splitlines()
    assert lines and not any("Traceback" in line for line in lines)
    last = lines[-1]
    assert last.startswith(f"{tool}: ") and len(last) < most, last
    return last.removeprefix(f"{tool}: ")


def refused(arguments: list[Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    before, started = sorted(os.listdir(folder)), time.monotonic()
    try:
        status = replay_main([str(argument) for argument in arguments])
    except SystemExit as ended:  # a value that is not of the option's form
        assert ended.code == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error and len(error) < 6_000
        return error.splitlines()[-1]
    assert status == 1 and time.monotonic() - started < 30
    assert sorted(os.listdir(folder)) == before
    return said(capsys, "vjepa_replay")


@pytest.mark.parametrize(
    "name", ["1node", "a//b", "a-b", "", "a/", "/a/b/", "//a", "a b", "~a", "a\nb", "n" * 300, "/".join("a" * 100_000)]
)
def test_a_node_that_ros_would_not_call_so(
    tmp_path: Path, bag: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    common = [bag, "--params", replays.PARAMS, "-o", tmp_path / "out", "--windows-only"]
    assert refused([*common, "--node-name", name], tmp_path, capsys).startswith("--node-name: ")


def test_a_node_whose_topics_would_be_too_long(tmp_path: Path, bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [bag, "-o", tmp_path / "out", "--node-name", "n" * 235]
    assert "more than 247" in refused(arguments, tmp_path, capsys)


@pytest.mark.parametrize("value", [
    "hop=" + "9" * 5000, "hop=" + "[" * 100_000, "hop=2001-99-99", "hop=&a [*a]", "hop=!!int x",
    "time.offset_s.image=1e300",
    "time.offset_s.image=1.0e+400", "window.max_gap_s=1e300", "num_frames=1000000000", "image_size=[1000000, 1000000]",
    "encoder_depth=100000000", "latents.horizon=1000000000", "actions.std=[1e-9, 1, 1, 1, 1, 1, 1]", "seed=-1",
    "seed=" + "9" * 30,
    "preset=~nosuchuser/x.yaml", "preset=" + "n" * 5000 + ".yaml", "checkpoint=~nosuchuser/x.pt",
    "checkpoint=/dev/zero",
    "checkpoint=" + "n" * 5000, "a" + ".a" * 100_000 + "=1", "actions.scale=[1e400, 1, 1, 1, 1, 1, 1]",
    "frame_rate=1e-300",
    "pose.tip_link=" + "n" * 100_000, "joint_names=" + "[" + "a," * 10_000 + "]", "hop=\ud800",
])  # fmt: skip
def test_settings_of_strangers(tmp_path: Path, bag: Path, capsys: pytest.CaptureFixture[str], value: str) -> None:
    common = [bag, "--params", replays.PARAMS, "-o", tmp_path / "out"]
    if value.startswith("pose.tip_link"):
        assert replays.run(*common, "--windows-only", "--set", "hop=2") == 0  # it is not read
        return
    refused([*common, "--set", value], tmp_path, capsys)


@pytest.mark.parametrize("option", ["--params", "--urdf", "--set preset=", "--set checkpoint="])
@pytest.mark.parametrize(
    "kind", ["pipe", "device", "circle", "dangling", "folder", "below a file", "too long", "binary", "huge"]
)
def test_files_that_are_none(
    tmp_path: Path, bag: Path, capsys: pytest.CaptureFixture[str], option: str, kind: str
) -> None:
    """None of them is waited for, read for ever, or a traceback."""
    path = tmp_path / "given.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind in ("device", "circle", "dangling"):
        path.symlink_to({"device": "/dev/zero", "circle": path, "dangling": tmp_path / "nowhere"}[kind])
    elif kind == "folder":
        path.mkdir()
    elif kind == "below a file":
        path.touch()
        path = path / "given.yaml"
    elif kind == "too long":
        path = tmp_path / ("n" * 300 + ".yaml")
    elif kind == "binary":
        path.write_bytes(bytes(range(256)) * 10)
    else:
        with path.open("wb") as file:
            file.truncate(2**40)
    common = (
        [bag, "-o", tmp_path / "out", "--windows-only"] if "checkpoint" not in option else [bag, "-o", tmp_path / "out"]
    )
    if option == "--urdf":
        common += ["--set", "pose.source=forward_kinematics", "pose.tip_link=panda_hand", "--params", replays.PARAMS]
    elif option != "--params":
        common += ["--params", replays.PARAMS]
    given = [*option.split()[:1], option.split()[1] + str(path)] if " " in option else [option, path]
    sentence = refused([*common, *given], tmp_path, capsys)
    assert "given.yaml" in sentence or "nnn" in sentence, sentence


@pytest.mark.parametrize("option", ["-o", "--dump", "--export"])
@pytest.mark.parametrize("kind", ["below a file", "circle", "dangling", "too long", "long path", "half a character"])
def test_outputs_where_none_can_be(
    tmp_path: Path, bag: Path, capsys: pytest.CaptureFixture[str], option: str, kind: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at all")
    place = {
        "below a file": tmp_path / "file" / "out", "circle": tmp_path / "circle" / "out",
        "dangling": tmp_path / "dangling" / "out",
        "too long": tmp_path / ("n" * 300), "long path": tmp_path / ("n/" * 3000),
        "half a character": tmp_path / "\ud800",
    }[kind]  # fmt: skip
    arguments: list[Any] = [bag, "--params", replays.PARAMS, "--windows-only", option, place, "--force"]
    refused(arguments if option == "-o" else [*arguments, "-o", tmp_path / "out"], tmp_path, capsys)


@pytest.mark.parametrize("force", [True, False])
def test_a_work_folder_of_somebodys_is_neither_cleared_nor_followed(
    tmp_path: Path, bag: Path, capsys: pytest.CaptureFixture[str], force: bool
) -> None:
    common = [
        bag,
        "--params",
        replays.PARAMS,
        "--windows-only",
        "-o",
        tmp_path / "out",
        *(["--force"] if force else []),
    ]
    work, precious = tmp_path / "out.vjepa_replay", tmp_path / "precious"
    precious.write_text("precious")
    work.mkdir()
    for name in ("lock", "vjepa_ros.lock"):
        (work / name).symlink_to(precious)
        assert "is in the way" in refused(common, tmp_path, capsys)
        assert precious.read_text() == "precious" and (work / name).is_symlink()
        (work / name).unlink()
    (work / "thesis.tex").write_text("precious")
    assert "is in the way" in refused(common, tmp_path, capsys)
    assert (work / "thesis.tex").read_text() == "precious"
    out = tmp_path / "small.safetensors"
    (tmp_path / "small.safetensors.vjepa_convert").symlink_to(work)
    preset = conversions.written_preset(tmp_path)
    assert (
        convert.main([str(conversions.CHECKPOINT), str(out), "--preset", str(preset), *(["--force"] if force else [])])
        == 1
    )
    assert "is in the way" in said(capsys, "vjepa_convert")
    assert os.listdir(work) == ["thesis.tex"] and not out.exists()


def test_a_dump_is_json_for_ever(tmp_path: Path, bag: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    common = [bag, "--params", replays.PARAMS, "--windows-only", "-o", tmp_path / "out", "--dump"]
    assert replays.run(*common, "--set", "actions.scale=[1e20, 1, 1, 1, 1, 1, 1]", "actions.on_missing=zero") == 0
    lines = (tmp_path / "out" / "windows.jsonl").read_text().splitlines()
    assert lines and all(json.loads(line, parse_constant=refuse) for line in lines)
    assert json.loads((tmp_path / "out" / "report.json").read_text(), parse_constant=refuse)
    assert replay.TOOL == "vjepa_replay"
