"""Where torch computes and in what: devices, dtypes, threads, and what their failures are called.

It knows no model.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from vjepa_ros.errors import ConfigError, EngineError, brief

_LIBC = ctypes.CDLL(None)
_MOST_SAID = 300  # characters of what torch says

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def find_device(name: str | int | torch.device) -> torch.device:
    """The device of that name, once it has shown that it works; ``auto`` takes CUDA where there is one.

    Raises:
        ConfigError: where it does not.
    """
    if not isinstance(name, (str, int, torch.device)):
        raise ConfigError("device", f"must be a name such as cpu, cuda or cuda:0, not {brief(name)}")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # the name alone does not say that the device is there and works
    except Exception as error:  # torch asserts that it was built for CUDA, and imports what other devices need
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError("device", f"{brief(name)} cannot be used: {said[:_MOST_SAID]}") from error
    return device


def find_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of that name; ``auto`` is float32 on a CPU and bfloat16 elsewhere.

    Raises:
        ConfigError: where there is none.
    """
    if not isinstance(name, (str, int, torch.device)):
        raise ConfigError("device", f"must be a name such as cpu, cuda or cuda:0, not {brief(name)}")
    if name == "auto":
        name = "float32" if device.type == "cpu" else "bfloat16"
    if not isinstance(name, str) or name not in DTYPES:
        raise ConfigError("dtype", f"{brief(name)} is not one of {', '.join(DTYPES)}")
    return DTYPES[name]


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the CPU can do, as Linux lists it: ``avx2``, ``avx512_bf16``, ``amx_bf16``; empty where nobody says."""
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.lower().startswith(("flags", "features"))), "").split()[1:])


INSTRUCTIONS = {
    torch.bfloat16: frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    torch.float16: frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
}
"""Of CPUs for a dtype, any of them, as Linux calls them on x86 and on ARM."""


def imitation(device: torch.device, dtype: torch.dtype, flags: frozenset[str] | None = None) -> str:
    """That a CPU has no instructions for a dtype, in words; empty where it has some, or nobody says what it has.

    Args:
        device, dtype: where and in what is computed.
        flags: of the CPU, see :func:`cpu_flags`; this machine's where none are given.
    """
    flags = cpu_flags() if flags is None else flags
    if device.type != "cpu" or dtype not in INSTRUCTIONS or not flags or flags & INSTRUCTIONS[dtype]:
        return ""
    name = str(dtype).removeprefix("torch.")
    return f"this CPU has no instructions for {name}: it is imitated, and takes longer than float32"


def to_device(value: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The value there and in that dtype; where it goes to a GPU, the host does not wait for it."""
    if device.type == "cuda" and value.device.type == "cpu":
        value = value.to(dtype).pin_memory()  # its allocator keeps it until the copy is done
    return value.to(device, dtype, non_blocking=True)


def new_stream(device: torch.device) -> torch.cuda.Stream | None:
    """A stream of its own for copies to a GPU; None where there is none."""
    if device.type != "cuda":
        return None
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return stream


def name_of(device: torch.device) -> str:
    """A device in words: the GPU's own name, or ``cpu``."""
    return f"{torch.cuda.get_device_name(device)} ({device})" if device.type == "cuda" else str(device)


def memory_in_use(device: torch.device, statm: Path = Path("/proc/self/statm")) -> dict[str, int]:
    """Bytes by what they are: of a GPU what torch has ``allocated`` and ``reserved``, and what is ``free`` for all; of
    a CPU what the whole process has ``resident``, where the system says."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
        return {"allocated": allocated, "reserved": reserved, "free": free}
    try:
        return {"resident": int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")}
    except (OSError, ValueError, IndexError):
        return {}


def use_threads(count: int) -> None:
    """Let torch compute with this many threads on a CPU; 0 takes all cores but one.

    With every core busy in the model, whoever receives messages beside it starves, and messages get lost.
    """
    torch.set_num_threads(count or max(1, len(os.sched_getaffinity(0)) - 1))


def release_memory() -> None:
    """Give memory that is no longer used back: a GPU's to the device, the process's own to the system."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim = getattr(_LIBC, "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)


@contextmanager
def failures(doing: str) -> Iterator[None]:
    """Turn what torch raises (out of memory included) into an EngineError.

    A GPU computes behind the caller's back, and its failures show only where a result is copied to the host: such
    copies belong inside of this too.
    """
    try:
        yield
    except RuntimeError as error:
        raise EngineError(f"{doing} failed: {error}") from error
