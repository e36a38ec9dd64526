"""What a worker writes of a recording's windows: rows of a table, and pictures beside them. It reads no recordings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.fleet import store
from vjepa_ros.fleet.frames import FrameWriter
from vjepa_ros.fleet.plan import Plan
from vjepa_ros.fleet.store import TABLE, VIDEO
from vjepa_ros.fleet.table import Table, Writer
from vjepa_ros.replay.written import Written


class Rows:
    """What is written of a recording's windows: the table, and frames for a dataset where one is wanted.

    Args:
        plan: what is wanted.
        folder: where to write.
        config: by which the windows are made.
        stack: closes what is opened here.

    Raises:
        OSError: by every method, where the disk is full or fails; it names the file.
    """

    def __init__(self, plan: Plan, folder: Path, config: NodeConfig, stack: ExitStack) -> None:
        self._plan, self._folder, self._config, self._stack = plan, folder, config, stack
        self._writer: Writer | None = None
        self._frames: FrameWriter | None = None

    def begin(self, recording: str, bag_hash: str, info: Mapping[str, Any]) -> None:
        """Say what the rows are of: before the first window."""
        about = {"recording": recording, "bag_hash": bag_hash, "latent_info": info}
        self._writer = Writer(self._folder / TABLE, about, bag_hash, info["info_id"], self._plan.kept_steps)
        self._stack.callback(self._writer.abort)
        if self._plan.writes_dataset:
            self._frames = FrameWriter(self._folder / VIDEO, self._config)
            self._stack.callback(self._frames.abort)

    def open(self) -> None:
        """The model decides what the table is: see :meth:`begin`."""

    def add(self, written: Written) -> None:
        """Take in a window."""
        assert self._writer is not None and written.outcome is not None, "a model computes"
        self._writer.add(written.outcome, written.error)
        if self._frames is not None:
            self._frames.add(written.window)

    def close(self) -> None:
        """Write what is left."""
        assert self._writer is not None
        self._writer.close()
        if self._frames is not None:
            self._frames.close()
            store.write_episodes(self._folder, self._frames.frame_px, self._frames.episodes)

    @property
    def count(self) -> int:
        """Rows of the table."""
        return 0 if self._writer is None else self._writer.rows


def windows(table: Path) -> set[tuple[int, int]]:
    """Epoch and number of each row of a table.

    Raises:
        BagError: for a table that is damaged.
    """
    with closing(Table(table)) as found:
        parts = found.columns(("epoch", "window"))
        return {pair for part in parts for pair in zip(part["epoch"].tolist(), part["window"].tolist(), strict=True)}
