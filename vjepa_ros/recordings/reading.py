"""What a tool that reads recordings is asked for: which bags, with which parameters, and where to.

It says so before anything heavy is imported: it opens nothing, and knows neither bags nor the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vjepa_ros.stream.pictures import Decode

PROGRESS_MESSAGES = 50
"""Whoever reads a recording says how far it has come after each so many messages."""
Say = Callable[[str], None]
"""Is told, once each, of what people should know."""
Progress = Callable[[str, int, int], None]
"""Called with (what is counted, such as messages, how many are done, how many there are)."""


@dataclass(frozen=True)
class Reading:
    """What a tool reads, and where it writes.

    Attributes:
        bags: together one recording; or one dataset.
        values: the node's parameters, by name.
        out: what it writes.
        topics: of the inputs (``image``, ``joint_states``, ...) that are not to be found by name and type.
        urdf: file with the robot description, where no topic of the recording is to be read for it.
        force: replace outputs that are there already.
        fallback: decodes raw images of encodings that the package does not know.
    """

    bags: Sequence[Path]
    values: Mapping[str, Any]
    out: Path
    topics: Mapping[str, str] = field(default_factory=dict)
    urdf: Path | None = None
    force: bool = False
    fallback: Decode | None = None

    @property
    def inputs(self) -> list[Path]:
        """The files and folders that are read."""
        return [*self.bags, *([] if self.urdf is None else [self.urdf])]
