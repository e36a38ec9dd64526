"""What the doctor says of the middleware's shared memory: profiles, room, and messages that do not fit."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from vjepa_ros.config.presets import config_folder
from vjepa_ros.doctor.line import Line
from vjepa_ros.doctor.shared_memory import DEFAULT_SEGMENT, PROFILES, memory_lines

OURS = config_folder() / "fastdds.xml"
MB = 1_000_000


def lines(environment: dict[str, str], size: int = 0, folder: Path = Path("/dev/shm")) -> dict[str, Line]:
    return {line.subject: line for line in memory_lines(environment, {"latents": size}, folder)}


def test_without_a_profile(tmp_path: Path) -> None:
    found = lines({}, 100_000, tmp_path)
    assert {line.status for line in found.values()} == {"ok"}
    assert found["profile"].values["segment"] == DEFAULT_SEGMENT
    large = lines({}, 2 * MB, tmp_path)["large messages"]
    assert large.status == "warning" and "latents have up to 2.0 MB, a segment has 0.5 MB" in large.found
    assert "fastdds_profile:=true" in large.remedy


@pytest.mark.parametrize("variable", PROFILES)
def test_the_packages_own_profile_holds_them(tmp_path: Path, variable: str) -> None:
    found = lines({variable: str(OURS)}, 2 * MB, tmp_path)
    assert {line.status for line in found.values()} == {"ok"}
    assert found["profile"].values["segment"] == 64 * 2**20
    assert lines({variable: str(OURS)}, 100 * MB, tmp_path)["large messages"].status == "warning"


def test_profiles_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "profile.xml"
    for text, status, said in (
        (None, "wrong", "there is no such file"),
        ("<profiles>", "wrong", "is no XML"),
        ("<profiles/>", "warning", "no transport of type SHM"),
        (
            "<p><transport_descriptor><type>UDPv4</type></transport_descriptor></p>",
            "warning",
            "no transport of type SHM",
        ),
    ):
        if text is not None:
            path.write_text(text)
        found = lines({PROFILES[0]: str(path)})
        assert list(found) == ["profile"]
        assert found["profile"].status == status and said in found["profile"].found and found["profile"].remedy
    path.write_text("<p><transport_descriptor><type>SHM</type></transport_descriptor></p>")
    assert lines({PROFILES[0]: str(path)})["profile"].values["segment"] == DEFAULT_SEGMENT


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=63, f_frsize=2**20))
    room = lines({PROFILES[0]: str(OURS)}, folder=tmp_path)["shared memory"]
    assert room.status == "wrong" and "66.1 MB free, less than one segment of 67.1 MB" in room.found
    assert "shm-size" in room.remedy and "fastdds shm clean" in room.remedy


def test_no_shared_memory_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = lines({}, folder=tmp_path / "nowhere")["shared memory"]
    assert missing.status == "wrong" and "is not there" in missing.found
    monkeypatch.setattr(os, "access", lambda *_: False)
    closed = lines({}, folder=tmp_path)["shared memory"]
    assert closed.status == "wrong" and "cannot be written to" in closed.found


def test_transports_without_it_and_other_middlewares() -> None:
    (line,) = lines({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}).values()
    assert line.status == "warning" and "take the network" in line.found
    assert lines({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA?max_msg_size=1MB"})["profile"].status == "ok"
    (line,) = lines({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}).values()
    assert line.status == "skipped" and "rmw_cyclonedds_cpp" in line.found
