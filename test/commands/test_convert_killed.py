"""The converter killed at every step of the way: what lies at the output's place is whole, or not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.conversions import CHECKPOINT, loaded, run, written_preset

# Converts again and again, each time in a fork that kills itself one step later: before the first, second, ... thing
# that it does in or to the output's folder, until one comes through. Then once more in the middle of writing the
# weights, by a limit on the size of files. What each left behind is copied to a folder of its own.
KILLED = """
import os, resource, shutil, signal, sys, torch
from vjepa_ros import conversion
from vjepa_ros.commands import convert
torch.set_num_threads(1)
folder, states, start, *arguments = sys.argv[1:]
def die_before(step):
    seen = 0
    def hook(event, values):
        nonlocal seen
        if event in ("os.remove", "os.rmdir") or any(folder in str(value) for value in values):
            seen += 1
            if seen > step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
def attempt(name, prepare):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start, folder)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        prepare()
        os._exit(convert.main(arguments))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    shutil.copytree(folder, os.path.join(states, name))
    return status
step = 0
while (status := attempt(f"step {step}", lambda: die_before(step))) == -signal.SIGKILL:
    step += 1
assert status == 0, status
def limit():
    write = conversion.write_safetensors
    def limited(*given):
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        return write(*given)
    conversion.write_safetensors = limited
assert attempt("writing", limit) == -signal.SIGXFSZ
"""


@pytest.mark.parametrize("before", ["nothing", "another pair"])
def test_a_killed_run_leaves_a_whole_pair_or_none(tmp_path: Path, before: str) -> None:
    preset, folder = written_preset(tmp_path), tmp_path / "output"
    out, start, states = folder / "small.safetensors", tmp_path / "start", tmp_path / "states"
    start.mkdir()
    states.mkdir()
    new = loaded(CHECKPOINT, preset).weights_hash
    old = ""
    if before == "another pair":
        content = torch.load(CHECKPOINT, weights_only=True)
        content["target_encoder"] = {name: tensor * 2 for name, tensor in content["target_encoder"].items()}
        torch.save(content, tmp_path / "other.pt")
        assert run(tmp_path / "other.pt", start / out.name, "--preset", preset) == 0
        old = loaded(start / out.name, preset).weights_hash
    arguments = [folder, states, start, CHECKPOINT, out, "--preset", preset, *(["--force"] if old else [])]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr

    found: dict[str, list[str]] = {}
    for state in states.iterdir():
        weights = state / out.name
        # With its sidecar, which is for this very file (or it would be refused), or none at all.
        assert weights.with_suffix(".json").exists() or not weights.exists(), state.name
        found.setdefault(loaded(weights, preset).weights_hash if weights.exists() else "none", []).append(state.name)
    print(json.dumps({kind: sorted(names) for kind, names in found.items()}))
    assert set(found) == {"none", new, old} - {""}
    assert len(found[new]) >= 2  # killed while tidying up, and the one that came through
    assert "writing" in found[old or "none"]
    assert any(state.glob("*.vjepa_convert/*") for state in states.iterdir())

    left_over = next(state for state in states.iterdir() if state.name == "writing")
    assert len([*left_over.glob("*.vjepa_convert/new/*")]) == 1  # half of the weights
    assert run(CHECKPOINT, left_over / out.name, "--preset", preset, "--force") == 0
    assert sorted(path.name for path in left_over.iterdir()) == ["small.json", "small.safetensors"]
    assert os.path.getsize(left_over / out.name) == os.path.getsize(states / found[new][0] / out.name)
