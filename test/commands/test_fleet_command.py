"""vjepa_fleet and its status: what is printed, and with which exit status it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import replays
from support.commands import short

from vjepa_ros.commands import fleet
from vjepa_ros.fleet.store import Store


def test_a_fleet_with_a_recording_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bag, broken, out = short(tmp_path / "bag"), tmp_path / "broken.mcap", tmp_path / "out"
    broken.write_text("nothing of the kind")
    few = ("num_frames=4", "encoder_depth=1", "predictor_depth=1")
    given = [str(bag), str(broken), "--params", str(replays.PARAMS), "-o", str(out), "--workers", "0"]
    arguments = [*given, *replays.ONE_THREAD, *few]
    assert fleet.main(arguments) == 3
    said = capsys.readouterr()
    assert said.out.startswith(f"{out}: ") and " windows of 1 recordings, 1 failed; 2 s of recording in " in said.out
    assert said.err.splitlines()[-1].endswith("exit status 3, 0 with --allow-incomplete; recordings.jsonl has why")
    assert fleet.main([*arguments, "--allow-incomplete"]) == 0
    assert "2 recordings, 1 of them done before" in capsys.readouterr().err
    assert fleet.main(["status", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{out}: 1 done (") and lines[0].endswith(" 1 failed, 0 left")
    assert lines[1].startswith("failed  broken.mcap-") and lines[1].endswith("cannot be read: it is not an mcap file")
    assert fleet.main(["status", str(bag)]) == 1
    assert capsys.readouterr().err == f"vjepa_fleet: {bag}: is no folder of vjepa_fleet, or of another version of it\n"
    alone = tmp_path / "alone"
    assert fleet.main([str(broken), *given[2:5], str(alone), "--workers", "0", *replays.ONE_THREAD]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"vjepa_fleet: {broken}: cannot be read: it is not an mcap file"
    monkeypatch.setattr(Store, "publish", lambda *_: False)
    assert fleet.main([str(bag), *arguments[2:], "--force"]) == 3
    assert capsys.readouterr().err.splitlines()[-1] == (
        "vjepa_fleet: 1 recordings are left: exit status 3; the same command goes on"
    )
