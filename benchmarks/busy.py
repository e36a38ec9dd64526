"""Another process that keeps one core busy, as other nodes of a robot do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def busy_core() -> Iterator[subprocess.Popen[bytes]]:
    """A process that computes for as long as this lasts; which core it is on is the system's choice."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()
