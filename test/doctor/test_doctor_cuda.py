"""What the doctor says of torch, the GPU and its driver, for every way that they do not fit each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vjepa_ros.doctor.cuda import Gpus, Torch, find_gpus, torch_line

CPU = Torch("2.13.0+cpu")
CUDA_12 = Torch("2.6.0+cu124", "12.4")
SEEN = replace(
    CUDA_12, available=True, arches=["sm_80", "sm_86", "sm_90", "compute_90"], devices=[["NVIDIA H100", 9, 0]]
)
GPU = Gpus(on_bus=1, driver=(12, 8))


@pytest.mark.parametrize(
    ("torch", "gpus", "device", "status", "words"),
    [
        (CPU, Gpus(driver_error="x"), "auto", "ok", ["no NVIDIA GPU here"]),
        (CPU, GPU, "cpu", "ok", ["device: cpu"]),
        (SEEN, GPU, "auto", "ok", ["driver up to CUDA 12.8", "NVIDIA H100"]),
        (SEEN, GPU, "cuda:0", "ok", ["NVIDIA H100"]),
        (Torch(error="OSError: libtorch_cpu.so"), GPU, "cpu", "wrong", ["libtorch_cpu.so", "docs/install.md"]),
        (Torch("2.0.1"), GPU, "cpu", "wrong", ["2.0.1 is older than 2.1"]),
        (CPU, GPU, "cuda", "wrong", ["knows no CUDA", "CUDA 12.8 or older"]),
        (CPU, GPU, "auto", "warning", ["knows no CUDA", "auto is the CPU"]),
        (CUDA_12, Gpus(1, driver_error="libcuda.so.1: none"), "cuda", "wrong", ["libcuda.so.1", "NVIDIA's driver"]),
        (replace(CUDA_12, cuda="13.0"), GPU, "cuda", "wrong", ["supports CUDA 12.8 at most", "update the driver"]),
        (replace(CUDA_12, cuda="13.0"), GPU, "auto", "warning", ["supports CUDA 12.8 at most"]),
        (CUDA_12, replace(GPU, visible=""), "cuda", "wrong", ["CUDA_VISIBLE_DEVICES is ''", "unset"]),
        (CUDA_12, GPU, "cuda", "wrong", ["sees no GPU, though a driver answers", "restart"]),
        (SEEN, GPU, "cuda:1", "wrong", ["no GPU 1, only 1"]),
        (replace(SEEN, arches=["sm_80", "sm_86"]), GPU, "cuda", "wrong", ["is sm_90", "sm_80 sm_86"]),
        (replace(SEEN, devices=[["RTX 5090", 12, 0]], arches=["sm_90"]), GPU, "auto", "warning", ["sm_120"]),
        (replace(SEEN, devices=[["RTX 5090", 12, 0]], arches=["sm_90", "compute_90"]), GPU, "cuda", "ok", ["5090"]),
        (replace(SEEN, devices=[["RTX 4090", 8, 9]]), GPU, "cuda", "ok", ["4090"]),
        (Torch("2.6.0+rocm6", hip=True), Gpus(driver_error="x"), "cuda", "wrong", ["AMD"]),
    ],
)
def test_every_way(torch: Torch, gpus: Gpus, device: str, status: str, words: list[str]) -> None:
    line = torch_line(torch, gpus, device)
    assert line.status == status, line
    assert all(word in line.text for word in words), line.text
    assert bool(line.remedy) == (status != "ok")


def test_the_bus_and_the_driver_are_asked(tmp_path: Path) -> None:
    for name, vendor, kind in (
        ("a", "0x10de", "0x030200"), ("b", "0x10de", "0x040300"),
        ("c", "0x8086", "0x030000"), ("d", "0x10de", "0x030000"),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    (tmp_path / "e").mkdir()  # one that says nothing
    found = find_gpus({"CUDA_VISIBLE_DEVICES": "1"}, tmp_path, "libno_such_driver.so")
    assert (found.on_bus, found.driver, found.visible) == (2, None, "1")
    assert "libno_such_driver.so" in found.driver_error
    other = find_gpus({}, tmp_path / "nowhere", "libc.so.6")
    assert (other.on_bus, other.driver, other.visible) == (0, None, None)
    assert "cuDriverGetVersion" in other.driver_error


def test_what_torch_says_here() -> None:
    import torch

    found = Torch.found()
    assert (found.version, found.available, found.error) == (torch.__version__, torch.cuda.is_available(), "")


@pytest.mark.gpu
def test_a_gpu_that_is_here_is_well() -> None:
    line = torch_line(Torch.found(), find_gpus({}), "cuda")
    assert line.status == "ok", line
