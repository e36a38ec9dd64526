"""Runs a piece of Python in a child process: a module that was compiled for something else may take its process down.

It knows no module.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from vjepa_ros.errors import brief

_TIMEOUT_S = 120.0  # a first import of torch from a slow disk
_MARK = "vjepa_doctor found: "  # before the answer: modules print what they like when they are imported
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
found = {{}}
{body}
print({mark!r} + json.dumps(found))
"""


@dataclass(frozen=True)
class Answer:
    """What came of it.

    Attributes:
        found: what the piece of Python put into ``found``; empty where it did not come to its end.
        error: why it did not, in one line; empty where it did.
        said: all that it wrote to stderr.
    """

    found: dict[str, Any]
    error: str = ""
    said: str = ""


def asked(body: str, python: str = sys.executable) -> Answer:
    """Run a piece of Python that puts what is asked for into ``found``, from where this process imports.

    Args:
        body: its text.
        python: the interpreter.
    """
    program = _PROGRAM.format(body=body, mark=_MARK)
    try:
        done = subprocess.run(
            [python, "-c", program, json.dumps(sys.path)],
            capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Answer({}, f"it did not end within {_TIMEOUT_S:g} s")
    except OSError as error:
        return Answer({}, f"{python} cannot be started: {error.strerror or error}")
    for line in done.stdout.splitlines():
        if line.startswith(_MARK):
            return Answer(json.loads(line.removeprefix(_MARK)), said=done.stderr)
    if done.returncode < 0:
        return Answer({}, f"its process was killed by {_signal(-done.returncode)}", done.stderr)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return Answer({}, brief(lines[-1], 300).strip("'\"") if lines else f"it ended with {done.returncode}", done.stderr)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
