"""The node with mistakes in its callbacks: ``mistaken_node.py FILE``, then ROS arguments; the file says which one.

It is read whenever one of them could be made. ``image``, ``joints``, ``reset``, ``parameter``, ``timer``, ``jump`` and
``event`` raise what no caller expects; ``none`` is no mistake.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vjepa_ros.ros import active, connections, diagnostics, node
from vjepa_ros.ros.main import main
from vjepa_ros.stream import joints, pictures, window_stream

MISTAKE = Path(sys.argv.pop(1))


def mistaken(name: str, right: Callable[..., Any]) -> Callable[..., Any]:
    """What is right, but for the time of the mistake."""

    def call(*arguments: Any, **options: Any) -> Any:
        if MISTAKE.read_text(encoding="utf-8") == name:
            raise IndexError(f"a mistake of {name}")
        return right(*arguments, **options)

    return call


class MistakenCounter(Counter[str]):
    """Counts, but for the time of the mistake."""

    __setitem__ = mistaken("event", Counter.__setitem__)


def make_connections(whose: Any) -> connections.Connections:
    """With a counter that makes mistakes."""
    made = right_connections(whose)
    made.mismatches = MistakenCounter()
    return made


right_connections = connections.Connections
pictures.decode_raw = mistaken("image", pictures.decode_raw)
joints.JointStates.__call__ = mistaken("joints", joints.JointStates.__call__)  # type: ignore[method-assign]
active.Active.reset = mistaken("reset", active.Active.reset)  # type: ignore[method-assign]
node.check = mistaken("parameter", node.check)
diagnostics.Health.report = mistaken("timer", diagnostics.Health.report)  # type: ignore[method-assign]
window_stream.WindowStream.has_overtaken = mistaken(  # type: ignore[method-assign]
    "jump", window_stream.WindowStream.has_overtaken
)
node.Endpoints.__init__.__globals__["Connections"] = make_connections
main()
