"""torch, the GPU and its driver: whether they fit each other and what the parameters ask for.

What is found and what is said of it are two things, so that the second can be tried without the first. It knows no
model.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjepa_ros.doctor.line import Line, ok, warning, wrong
from vjepa_ros.doctor.programs import Answer, asked
from vjepa_ros.doctor.versions import LEAST, is_older

_SUBJECT = "torch"
_PCI = Path("/sys/bus/pci/devices")
_NVIDIA, _DISPLAY = "0x10de", ("0x0300", "0x0302")  # VGA and 3D controllers; not their sound
_INSTALL = "install a build of torch for CUDA {} or older (docs/install.md)"
_TORCH = """
import torch
found |= {'version': torch.__version__, 'cuda': torch.version.cuda or '', 'hip': bool(torch.version.hip)}
found['available'] = torch.cuda.is_available()
found['arches'] = torch.cuda.get_arch_list() if found['available'] else []
places = range(torch.cuda.device_count()) if found['available'] else ()
found['devices'] = [[torch.cuda.get_device_name(i), *torch.cuda.get_device_capability(i)] for i in places]
"""


@dataclass(frozen=True)
class Gpus:
    """What of GPUs there is, besides torch.

    Attributes:
        on_bus: NVIDIA's GPUs that the computer has; in a container too, whether it may use them or not.
        driver: the newest CUDA that the driver supports, (major, minor); None where no driver answers.
        driver_error: why none does.
        visible: ``CUDA_VISIBLE_DEVICES``, None where it is not set.
    """

    on_bus: int = 0
    driver: tuple[int, int] | None = None
    driver_error: str = ""
    visible: str | None = None


@dataclass(frozen=True)
class Torch:
    """What torch says of itself; ``error`` where it cannot be imported."""

    version: str = ""
    cuda: str = ""
    hip: bool = False
    available: bool = False
    arches: list[str] = field(default_factory=list)
    devices: list[list[Any]] = field(default_factory=list)  # name, major and minor of its capability
    error: str = ""

    @classmethod
    def found(cls) -> Torch:
        """The one that is imported here."""
        answer: Answer = asked(_TORCH)
        return cls(error=answer.error) if answer.error else cls(**answer.found)


def find_gpus(environment: dict[str, str], pci: Path = _PCI, library: str = "libcuda.so.1") -> Gpus:
    """Look at the bus and ask the driver; neither needs torch."""
    count = 0
    for device in sorted(pci.glob("*")) if pci.is_dir() else ():
        try:
            vendor, kind = ((device / name).read_text().strip() for name in ("vendor", "class"))
        except OSError:
            continue
        count += vendor == _NVIDIA and kind[:6] in _DISPLAY
    driver, error = None, ""
    try:
        version = ctypes.c_int()
        status = ctypes.CDLL(library).cuDriverGetVersion(ctypes.byref(version))
        if status == 0 and version.value > 0:
            driver = (version.value // 1000, version.value % 1000 // 10)
        else:
            error = f"cuDriverGetVersion gives error {status}"
    except (OSError, AttributeError) as problem:
        error = str(problem)
    return Gpus(count, driver, error, environment.get("CUDA_VISIBLE_DEVICES"))


def torch_line(torch: Torch, gpus: Gpus, device: str) -> Line:
    """What is to be said.

    Args:
        torch, gpus: what was found.
        device: the parameter.
    """
    if torch.error:
        return wrong(_SUBJECT, f"it cannot be imported: {torch.error}", "install it as docs/install.md says")
    version = f"torch {torch.version}" + (f" for CUDA {torch.cuda}" if torch.cuda else "")
    if is_older(torch.version, LEAST["torch"]):
        return wrong(_SUBJECT, f"{version} is older than 2.1", "install a newer one (docs/install.md)")
    asks = device.partition(":")[0]
    if asks not in ("auto", "cuda"):
        return ok(_SUBJECT, f"{version}; device: {device}", version=torch.version, cuda=torch.cuda)
    if asks == "auto" and not torch.available and not gpus.on_bus and gpus.driver is None:
        found = f"{version}; there is no NVIDIA GPU here, so that device: auto is the CPU"
        return ok(_SUBJECT, found, version=torch.version, cuda=torch.cuda)
    problem = _problem(torch, gpus, device)
    if problem is None:
        names = ", ".join(str(name) for name, *_ in torch.devices)
        on = f", driver up to CUDA {_dotted(gpus.driver)}" if gpus.driver else ""
        return ok(_SUBJECT, f"{version}{on}: {names}", version=torch.version, cuda=torch.cuda, devices=torch.devices)
    found, remedy = problem
    say = wrong if asks == "cuda" else warning  # auto goes on, on the CPU
    slow = "" if asks == "cuda" else ", so that device: auto is the CPU"
    return say(_SUBJECT, f"{version}: {found}{slow}", remedy, version=torch.version, cuda=torch.cuda)


def _problem(torch: Torch, gpus: Gpus, device: str) -> tuple[str, str] | None:
    """Why torch cannot use the GPU, and what to do; None where it can."""
    if torch.hip:
        return None if torch.available else ("it is a build for AMD GPUs and sees none", "install AMD's driver")
    if not torch.cuda:
        newest = _dotted(gpus.driver) if gpus.driver else "your driver's version"
        return "this build knows no CUDA", _INSTALL.format(newest)
    if gpus.driver is None and not torch.available:
        remedy = "install NVIDIA's driver; a container must be started with the GPU"
        return f"no driver answers ({gpus.driver_error})", remedy
    if gpus.driver is not None and gpus.driver[0] < int(torch.cuda.split(".")[0]):
        newest = _dotted(gpus.driver)
        return f"the driver supports CUDA {newest} at most", f"update the driver, or {_INSTALL.format(newest)}"
    if not torch.available:
        if gpus.visible is not None:
            hidden = f"it sees no GPU, and CUDA_VISIBLE_DEVICES is {gpus.visible!r}"
            return hidden, "unset that variable, or name a GPU that there is"
        return "it sees no GPU, though a driver answers", "restart the computer after an update of the driver"
    index = int(device.partition(":")[2] or 0) if re.fullmatch(r"cuda(:\d+)?", device) else 0
    if index >= len(torch.devices):
        return f"there is no GPU {index}, only {len(torch.devices)}", "set device to one that there is"
    name, major, minor = torch.devices[index]
    if not _runs(torch.arches, major, minor):
        have = f"{name} is sm_{major}{minor}, this build has code for {' '.join(torch.arches)}"
        return have, "install a build of torch that has code for it (a newer one for a new GPU)"
    return None


def _runs(arches: list[str], major: int, minor: int) -> bool:
    """Whether code for one of these runs: of the same major and no newer minor, or such as is compiled on the spot."""
    found = [re.fullmatch(r"(sm|compute)_(\d+)(\d)[a-z]?", arch) for arch in arches]
    return not arches or any(
        match[1] == "compute" and (int(match[2]), int(match[3])) <= (major, minor)
        or (int(match[2]) == major and int(match[3]) <= minor)
        for match in found if match
    )  # fmt: skip


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
