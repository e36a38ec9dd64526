"""Files and texts of strangers: opened without waiting, read within bounds, and what is wrong in one sentence."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from vjepa_ros import documents
from vjepa_ros.config import yaml_text
from vjepa_ros.config.table import BY_NAME
from vjepa_ros.documents import Unreadable, from_json, open_regular, read_text, to_json
from vjepa_ros.kinematics import urdf


def refusal(read: Any, *arguments: Any) -> str:
    started = time.monotonic()
    with pytest.raises(Unreadable) as caught:
        read(*arguments)
    assert time.monotonic() - started < 20
    message = str(caught.value)
    assert len(message) < 500 and "\n" not in message
    return message


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").write_text("text")
    for name, reason in (
        ("pipe", "is a pipe, a socket or a device, not a file"),
        ("/dev/zero", "is a pipe, a socket or a device, not a file"),
        (".", "is a folder, not a file"),
        ("circle", "cannot be read (Too many levels of symbolic links)"),
        ("dangling", "there is no such file"),
        ("nowhere/file", "there is no such file"),
        ("file/below", "there is no such file"),
        ("n" * 256, "cannot be read (File name too long)"),
        ("a\0b", "is no name of a file"),
        ("\ud800", "is no name of a file"),
    ):
        assert refusal(open_regular, tmp_path / name) == reason
    assert read_text(tmp_path / "file") == "text"


def test_a_folder_that_one_may_not_enter() -> None:
    """Root may enter every folder, and is somebody else for this."""
    folder = Path(tempfile.mkdtemp(prefix="closed-", dir="/tmp"))  # where everybody may come to
    try:
        (folder / "file").write_text("text")
        folder.chmod(0o000)
        code = (
            "import os, sys; from vjepa_ros.documents import read_text, Unreadable\n"
            "from vjepa_ros.config.presets import load_preset\n"
            "if os.geteuid() == 0: os.seteuid(12345)\n"
            "try:\n    read_text(sys.argv[1])\nexcept Unreadable as error:\n    print(error)\n"
            "try:\n    load_preset(sys.argv[1] + '.yaml')\nexcept ValueError as error:\n    print(error)"
        )
        done = subprocess.run([sys.executable, "-c", code, str(folder / "file")], capture_output=True, text=True)
        preset = f"preset: {folder / 'file.yaml'} cannot be read: cannot be read (Permission denied)"
        assert (done.stdout.splitlines(), done.stderr) == (["cannot be read (Permission denied)", preset], "")
    finally:
        folder.chmod(0o700)
        (folder / "file").unlink()
        folder.rmdir()


def test_texts_that_are_too_long_or_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 11)
    assert refusal(read_text, path, 10) == "has more than the 10 bytes that are read"
    assert read_text(path, 11) == "x" * 11
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole: no disk has it
    assert "has more than the 1,000,000 bytes" in refusal(read_text, path)
    path.write_bytes(b"\xff\xfe")
    assert refusal(read_text, path) == "is not UTF-8 (invalid start byte at byte 0)"


DEEP = 100_000


@pytest.mark.parametrize("text", [
    "[" * DEEP, "[" * DEEP + "]" * DEEP, '{"a":' * DEEP, "[" * 33 + "]" * 33, "9" * 5000, "-" + "9" * 41,
    "[" + "1," * 200_000 + "1]",
    '"\\ud800"', '{"\\udfff": 1}', "", "nul", "\x00", "[1", "'a'", "\ufeff{}", "{" + '"a":1,' * 200_001 + '"a":1}x',
])  # fmt: skip
def test_json_that_is_refused(text: str) -> None:
    assert refusal(from_json, text)


def test_json_that_is_read() -> None:
    assert from_json("[" * 31 + "]" * 31) and from_json('{"a": [1, 2.5, null, true, "\\u20ac"]}')["a"][4] == "\u20ac"
    assert from_json(str(2**63)) == 2**63


def test_json_that_is_written_has_no_word_that_json_has_not() -> None:
    nan, inf = float("nan"), float("inf")
    text = to_json({"a": [1.5, nan, (inf, -inf)], "b": {"c": nan}, "d": "NaN"}, sort_keys=True)
    assert text == '{"a": [1.5, null, [null, null]], "b": {"c": null}, "d": "NaN"}'
    assert to_json({"a": 1.0}) == json.dumps({"a": 1.0})


N = yaml_text.MOST_CHARACTERS
BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)


@pytest.mark.parametrize(("text", "said"), [
    ("[" * N, "inside of each other"), ("- " * (N // 2), "inside of each other"), ("? " * (N // 2), "inside"),
    ("{a: " * (N // 4), "inside of each other"), (BOMB, "has an alias, '*a'"), ("a: &a [*a]", "has an alias"),
    ("<<: *x", "has an alias"), ("*" + "a" * (N - 1), "has an alias"), ("x" * (N + 1), "characters, more than"),
    ("[" + "1," * (N // 2 - 1) + "]", "more than 20,000 values"), ("1" * 5000, "whole number of 5,000"),
    ("0x" + "f" * 5000, "whole number of 5,002"), (":".join(["1"] * 5000), "whole number of 9,999"),
    (":".join(["1"] * 5000) + ".5", "number of 10,001"), ("0b" + "1" * 5000, "whole number"), ("0" + "7" * 5000,
    "whole number"),
    ("2001-99-99", "cannot be read"), ("2001-01-01 99:00:00", "cannot be read"), ("!!int ''", "cannot be read"),
    ("!!int x", "cannot be read"), ("!!float x", "cannot be read"), ("!!timestamp x", "cannot be read"),
    ("!!bool x", "cannot be read"), ("!!binary x", "not YAML"), ("!!python/object/apply:os.mkdir [x]", "not YAML"),
    ("!!omap 5", "not YAML"), ("!" + "x" * 5000 + " 5", "not YAML"), ("? [1]\n: 2", "not YAML"), ("=", "not YAML"),
    ("'\\ud800", "not YAML"), ('"\\ud800"', "lone surrogate"), ("\0", "not YAML"), ("\ud800", "not YAML"),
    ("a: 1\n---\nb: 2", "not YAML"), ("%TAG ! x\n%TAG ! y\n--- 1", "not YAML"), ("\t1", "not YAML"), ("[", "not YAML"),
    ("!!merge x", "not YAML"), ("!!set {[1]}", "not YAML"),
])  # fmt: skip
def test_yaml_that_is_refused(text: str, said: str) -> None:
    assert said in refusal(yaml_text.load, text)


@pytest.mark.parametrize("text", [
    "a " * (N // 2), "a\n" * (N // 2), "#" * N, "#\n" * (N // 2), " " * N, '"' + "\\n" * (N // 2 - 1) + '"', "-" * N,
    "|\n" + " a\n" * (N // 3 - 1), '"' + "\n" * (N - 2) + '"', ">\n" + " \n" * (N // 2 - 2) + " a",
    "&" + "a" * (N - 3) + " 1",
    ":" * N, "[," * 1000, "".join(f"a{n}: 1\n" for n in range(9_999)),
])  # fmt: skip
def test_the_longest_texts_take_no_time(text: str) -> None:
    started = time.monotonic()
    try:
        yaml_text.load(text)
    except Unreadable as error:
        assert len(str(error)) < 500
    assert time.monotonic() - started < 20, "seconds, on a machine that does other things"


def test_yaml_that_is_read() -> None:
    assert yaml_text.load("a: &anchor 1\nb: [0x10, 1_000, 12:30, 1.5e+3, 2001-01-01, ~, off]\n<<: {c: 3}")["b"][:4] == [
        16, 1000, 750, 1500.0,
    ]  # fmt: skip
    assert yaml_text.load("[" * 31 + "]" * 31) is not None and yaml_text.load("") is None


FUZZED = int(os.environ.get("VJEPA_ROS_FUZZ", "2000"))


@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_damaged_texts_are_read_or_refused(kind: str) -> None:
    """Real parameter files and a sidecar, damaged in every way that chance may."""
    root = Path(__file__).parents[1]
    sources = [path.read_text() for path in sorted(root.glob("config/**/*.yaml"))]
    load: Any = yaml_text.load
    if kind == "json":
        sources = [json.dumps({"a": [1, 2.5, None, {"b": "text\n\u20ac"}], "sizes": {"x": [1e300, -5]}}, indent=1)] * 3
        load = from_json
    marks = [*"[]{}:,-?&*!|>'\"%@`#\n\t \\<=~.0123456789", "\0", "\ud800", "\ufeff", "\u2028", "!!int ", "!!float ",
        "*a", "&a ",
             "<<: ", "0x", "1e400", "2001-02-30", "---\n", "...\n", "\\u", "\\x", ": ", "- ", "? "]  # fmt: skip
    chance, counts, slowest = random.Random(7), {"read": 0, "refused": 0}, 0.0
    for _ in range(FUZZED):
        text = chance.choice(sources)
        first = chance.randrange(max(1, len(text) - 400))
        text = text[first : first + 400] if chance.random() < 0.8 else text[:1500]
        for _ in range(chance.choice((1, 2, 5, 20))):
            at, size = chance.randrange(len(text) + 1), chance.choice((0, 0, 1, 1, 5))
            text = text[:at] + chance.choice(marks) * chance.choice((1, 1, 1, 2, 50)) + text[at + size :]
        started = time.monotonic()
        try:
            load(text)
            counts["read"] += 1
        except Unreadable as error:
            counts["refused"] += 1
            assert len(str(error)) < 500 and "\n" not in str(error)
        slowest = max(slowest, time.monotonic() - started)
    print(f"{kind}: {counts}, slowest {slowest:.2f} s")
    assert min(counts.values()) > FUZZED // 50 and slowest < 10


def test_bounds_are_what_the_page_says() -> None:
    page = (Path(__file__).parents[1] / "docs" / "security.md").read_text()
    limits = [name for name in BY_NAME if name.startswith(("images.", "messages."))]
    assert len(limits) == 10 and [name for name in limits if f"`{name}`" not in page] == []
    for bound in (urdf.MOST_ELEMENTS, urdf.MOST_JOINTS, urdf.MOST_MOVING_JOINTS, urdf.MOST_NAME_CHARACTERS):
        assert f"{bound:,} " in page
    for bound in (documents.MOST_BYTES, documents.MOST_DEPTH, yaml_text.MOST_CHARACTERS, yaml_text.MOST_NODES):
        assert f"{bound:,}" in page
