"""The middleware's shared memory: room in /dev/shm, and a profile whose segments hold the largest messages.

It reads variables and files; it starts no middleware. Fast DDS alone is known here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from vjepa_ros.doctor.line import Line, ok, skipped, warning, wrong
from vjepa_ros.documents import Unreadable, read_text
from vjepa_ros.errors import named, place

FAST_DDS = "rmw_fastrtps_cpp"
PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""The variables that name a profile, of Fast DDS 2 and 3; the package's launch file sets both."""
DEFAULT_SEGMENT = 512 * 1024
"""Bytes of a segment where no profile says."""
_TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"
_WITH_MEMORY = ("", "DEFAULT", "DEFAULTV6", "SHM", "LARGE_DATA", "LARGE_DATAV6")
_PROFILE = "launch the node with fastdds_profile:=true, and start the camera driver with the same file (docs/launch.md)"


def memory_lines(
    environment: Mapping[str, str], largest: Mapping[str, int], folder: Path = Path("/dev/shm")
) -> Iterator[Line]:
    """What is to be said.

    Args:
        environment: variables of the process.
        largest: bytes of the largest messages, by what they are.
        folder: where shared memory is.
    """
    middleware = environment.get("RMW_IMPLEMENTATION") or FAST_DDS
    if not middleware.startswith("rmw_fastrtps"):
        yield skipped("shared memory", f"{named(middleware)} has settings of its own, which are not known here")
        return
    transports = environment.get(_TRANSPORTS, "")
    if transports.partition("?")[0] not in _WITH_MEMORY:
        found = f"{_TRANSPORTS} is {named(transports)}: messages take the network, on this computer too"
        yield warning("shared memory", found, "unset it, unless that is meant")
        return
    segment, line = _segment(environment)
    yield line
    if segment is None:
        return
    yield _room(folder, segment)
    what, size = max(largest.items(), key=lambda entry: entry[1], default=("", 0))
    if size > segment:
        found = f"{what} have up to {size / 1e6:.1f} MB, a segment has {segment / 1e6:.1f} MB: they take slower ways"
        found += ", and get lost where they are sent with best effort"
        yield warning("large messages", found, _PROFILE, bytes=size, segment=segment)
    elif size:
        found = f"{what} have up to {size / 1e6:.1f} MB and fit a segment"
        yield ok("large messages", found, bytes=size, segment=segment)


def _segment(environment: Mapping[str, str]) -> tuple[int | None, Line]:
    """Bytes of a segment, None where there is none, with the line of the profile."""
    variable = next((name for name in PROFILES if environment.get(name)), None)
    if variable is None:
        text = f"no profile is set; segments have {DEFAULT_SEGMENT / 1e6:.1f} MB"
        return DEFAULT_SEGMENT, ok("profile", text, segment=DEFAULT_SEGMENT)
    path = Path(environment[variable])
    shown = place(path)
    try:
        root = ElementTree.fromstring(read_text(path))
    except Unreadable as error:
        found = f"{shown}, which {variable} names, cannot be read: {error}; Fast DDS goes on without it"
        return None, wrong("profile", found, "name a file that is there, by its full path")
    except ElementTree.ParseError as error:
        return None, wrong(
            "profile", f"{shown} is no XML: {error}", "mend it, or name the package's config/fastdds.xml"
        )
    sizes = []
    for transport in root.iter():
        if _bare(transport.tag) == "transport_descriptor":
            values = {_bare(child.tag): (child.text or "").strip() for child in transport}
            if values.get("type") == "SHM":
                sizes.append(
                    int(values["segment_size"]) if values.get("segment_size", "").isdigit() else DEFAULT_SEGMENT
                )
    if not sizes:
        return None, warning("profile", f"{shown} has no transport of type SHM", f"add one, or {_PROFILE}")
    return max(sizes), ok("profile", f"{shown}: segments of {max(sizes) / 1e6:.1f} MB", segment=max(sizes))


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


def _room(folder: Path, segment: int) -> Line:
    """Whether a segment has room; it takes memory only as far as messages need it, but must fit."""
    try:
        stat = os.statvfs(folder)
    except OSError as error:
        found = f"{folder} is not there ({error.strerror})"
        return wrong("shared memory", found, "mount a tmpfs there; messages take the network without")
    if not os.access(folder, os.W_OK):
        return wrong("shared memory", f"{folder} cannot be written to", "give this user the right to")
    free = stat.f_bavail * stat.f_frsize
    if free < segment:
        remedy = "remove what dead processes left (fastdds shm clean); give a container more (shm-size)"
        found = f"{folder} has {free / 1e6:.1f} MB free, less than one segment of {segment / 1e6:.1f} MB"
        return wrong("shared memory", found, remedy, free=free)
    return ok("shared memory", f"{folder} has {free / 1e6:.0f} MB free", free=free)
