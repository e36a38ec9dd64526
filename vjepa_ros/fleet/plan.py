"""What a fleet is asked for, with the defaults, and how its outputs are called. Nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_ros.config.checks import require
from vjepa_ros.errors import brief, quoted

if TYPE_CHECKING:
    from vjepa_ros.stream.pictures import Decode

TOOL = "vjepa_fleet"
FIND_TOOL = "vjepa_find"
MANIFEST, RECORDINGS, WINDOWS, FAILED, LEROBOT = "manifest.json", "recordings.jsonl", "windows", "failed", "lerobot"
"""Names in the folder of a fleet: what it was made by, a line per recording, tables, what failed, the dataset."""
FORMATS = ("parquet", "lerobot")
MOST_ATTEMPTS = 2
"""So often a recording is begun in one run, where the worker that has it dies."""


@dataclass(frozen=True)
class Plan:
    """Which recordings, read how, computed by whom, and where to.

    Attributes:
        bags: bags, datasets, folders of them, patterns, list files; paths or addresses such as ``s3://bucket/bags``.
        values: the node's parameters, by name.
        out: the folder to make, or to go on in.
        topics: of the inputs (``image``, ``joint_states``, ...) that are not to be found by name and type.
        urdf: file with the robot description, where no topic of the recordings is to be read for it.
        force: replace what lies at ``out``, a fleet's too.
        fallback: decodes raw images of encodings that the package does not know.
        formats: of :data:`FORMATS`; parquet is always among them.
        kept_steps: how many of a window's steps are kept of the context, the newest ones; None for all of them.
        workers: how many hold a model; 0 for this process alone, without Ray.
        address: of a Ray cluster; None for one that is started here, in this machine alone.
        gpus: of a worker; None for one where there is a GPU here, else none.
        task: what the recordings show, in words, for the dataset.
    """

    bags: Sequence[str]
    values: Mapping[str, Any]
    out: Path
    topics: Mapping[str, str] = field(default_factory=dict)
    urdf: Path | None = None
    force: bool = False
    fallback: Decode | None = None
    formats: Sequence[str] = ("parquet",)
    kept_steps: int | None = None
    workers: int = 1
    address: str | None = None
    gpus: float | None = None
    task: str = "recorded"

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ConfigError: naming the field.
        """
        require(bool(self.bags), "bags", "name at least one recording")
        unknown = [name for name in self.formats if name not in FORMATS]
        require(not unknown, "formats", f"are {', '.join(FORMATS)}, not {', '.join(map(quoted, unknown))}")
        for name in ("workers", "kept_steps"):
            value = getattr(self, name)
            require(value is None or value >= 0, name, f"must not be negative, not {brief(value)}")
        require(self.gpus is None or self.gpus >= 0, "gpus", f"must not be negative, not {brief(self.gpus)}")
        require(
            self.address is None or self.workers > 0, "address", "names a cluster, and `workers` is 0: this process"
        )
        require(bool(self.task) and self.task.isprintable(), "task", "must be one line of text")

    @property
    def writes_dataset(self) -> bool:
        """Whether a LeRobotDataset is written too."""
        return "lerobot" in self.formats
