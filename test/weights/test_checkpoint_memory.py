"""What loading costs in memory, and what is left of the file afterwards; each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoint_files import saved_safetensors
from support.pairs import made_for
from support.reference import SMALL_CHECKPOINT, SMALL_PRESET, public_encoder, public_predictor, small_config

from vjepa_ros.weights.fitting import ALLOWED_EXTRA
from vjepa_ros.weights.values import part_hash
from vjepa_ros.weights.writing import write_predictor

LARGE = {"encoder_dim": 1024, "encoder_heads": 16, "encoder_depth": 6}

# Peak of everything that counts as the process's memory (VmHWM, pages mapped from files included), less what it was
# before. Each case runs in a fork, whose peak begins anew, so that torch is imported only once. A small file is loaded
# before all of them: the code of torch that only loading needs is no part of what is measured.
MEASURE = """
import json, os, sys, torch, vjepa_ros
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
def memory_kb(kind):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(kind + ":"))
preset, small, overrides, cases = json.loads(sys.argv[1])
torch.set_num_threads(1)  # others would not survive the fork
for dtype in ("float32", "bfloat16"):
    vjepa_ros.load(preset, checkpoint=small, dtype=dtype)
for checkpoint, predictor, dtype, fast in cases:
    child = os.fork()
    if child == 0:
        before = memory_kb("VmRSS")
        files = {"checkpoint": checkpoint, "predictor_checkpoint": predictor}
        model = vjepa_ros.load(preset, **files, dtype=dtype, fast=fast, **overrides)
        peak, stays = memory_kb("VmHWM") - before, memory_kb("VmRSS") - before
        with torch.device("meta"):
            modules = Encoder(model.config), Predictor(model.config)
        count = sum(parameter.numel() for module in modules for parameter in module.parameters())
        kept = count * model.dtype.itemsize / 2**20
        print(json.dumps({"peak": peak / 1024, "stays": stays / 1024, "kept": kept}), flush=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""

# Runs the model before and after the file is first overwritten in place, then cut to nothing: a tensor that is still
# mapped to it would show other values, or kill the process.
OVERWRITE = """
import os, sys, torch, vjepa_ros
preset, checkpoint, dtype = sys.argv[1:]
model = vjepa_ros.load(preset, checkpoint=checkpoint, dtype=dtype, image_size=64)
assert checkpoint not in open("/proc/self/maps").read()
clip, joints = torch.randn(1, 3, 16, 64, 64), torch.randn(1, 8, 7)
def outputs():
    latents = model.encode(clip)
    return torch.cat([latents, model.predict(latents, joints, joints)])
before = outputs()
with open(checkpoint, "r+b") as file:
    file.write(b"\\xff" * os.path.getsize(checkpoint))
assert torch.equal(outputs(), before)
os.truncate(checkpoint, 0)
assert torch.equal(outputs(), before)
print("the same")
"""


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def large_files(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """A training checkpoint of some 900 MB; the 300 MB of it that are needed, as safetensors; its predictor alone."""
    config = small_config(**LARGE)
    encoder, predictor = public_encoder(config).state_dict(), public_predictor(config).state_dict()
    for name in ALLOWED_EXTRA["predictor"]:
        del predictor[name]
    files = {"pt": tmp_path / "large.pt", "safetensors": tmp_path / "large.safetensors"}
    moments = {name: {"exp_avg": tensor.clone()} for name, tensor in encoder.items()}
    copies = {key: {name: tensor.clone() for name, tensor in encoder.items()} for key in ("encoder", "target_encoder")}
    torch.save({**copies, "predictor": predictor, "opt": {"state": moments}}, files["pt"])
    saved_safetensors(files["safetensors"], {"encoder": encoder, "predictor": predictor})
    files["predictor"] = tmp_path / "predictor.safetensors"
    source = {"file": "large.pt", "key": "target_encoder", "hash": "0123456789abcdef"}
    about = made_for(tmp_path, **LARGE)
    write_predictor(files["predictor"], predictor, about, source, part_hash(encoder))
    yield files
    for path in files.values():
        path.unlink()


def test_loading_needs_at_most_1_3_times_the_weights_that_are_kept(large_files: dict[str, Path]) -> None:
    pt, whole, predictor = map(str, large_files.values())
    sources = ((pt, ""), (whole, ""), (pt, predictor), (whole, predictor))
    cases = [(*paths, dtype, fast) for paths in sources for dtype in ("float32", "bfloat16") for fast in (True, False)]
    lines = run_python(MEASURE, json.dumps([SMALL_PRESET, SMALL_CHECKPOINT, {"image_size": 64, **LARGE}, cases]))
    results: list[dict[str, Any]] = [json.loads(line) for line in lines.splitlines()]
    assert len(results) == len(cases)
    for (path, beside, dtype, fast), found in zip(cases, results, strict=True):
        ratio = found["peak"] / found["kept"]
        size = Path(path).stat().st_size / 2**20
        print(
            f"{Path(path).suffix}{' and a predictor' if beside else ''}, {size:.0f} MiB, to {dtype}, "
            f"{'packed' if fast else 'not packed'}: "
            f"{found['kept']:.0f} MiB kept, {found['peak']:.0f} MiB at the peak, {ratio:.2f} times; "
            f"{found['stays']:.0f} MiB stay"
        )
        assert found["kept"] == pytest.approx(290 if dtype == "float32" else 145, rel=0.02)
        assert ratio <= 1.3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_file_may_be_overwritten_and_cut_afterwards(tmp_path: Path, suffix: str, dtype: str) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        path.write_bytes(Path(SMALL_CHECKPOINT).read_bytes())
    else:
        content = torch.load(SMALL_CHECKPOINT, weights_only=True)
        saved_safetensors(path, {"encoder": content["encoder"], "predictor": content["predictor"]})
    assert run_python(OVERWRITE, SMALL_PRESET, str(path), dtype) == "the same\n"
