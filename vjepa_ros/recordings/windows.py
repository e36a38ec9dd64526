"""A recording as the windows that a node would have made of it: what reads bags in Python, without a model and ROS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from vjepa_ros.config import names, ros_file
from vjepa_ros.config.node import resolve
from vjepa_ros.recordings.feed import Feed, open_source
from vjepa_ros.recordings.reading import Say
from vjepa_ros.stream.window import Window


def read_windows(
    *bags: str | Path,
    params: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    topics: Mapping[str, str] | None = None,
    urdf: str | Path | None = None,
    node_name: str = "/vjepa_predictor",
    say: Say = lambda sentence: None,
) -> Iterator[Window]:
    """The windows of a recording, one after another, as the node would have made them (docs/time.md).

    >>> import vjepa_ros
    >>> windows = vjepa_ros.read_windows("examples/data/panda_pick", params="config/predictor.yaml")
    >>> window = next(windows)
    >>> window.clip.shape, window.actions.values.shape, window.states.values.shape
    ((1, 3, 16, 64, 64), (8, 7), (8, 7))
    >>> 1 + sum(1 for _ in windows)
    113

    Args:
        bags: folders or files that are one recording; or the folder of one LeRobotDataset.
        params: ROS parameter file of the node.
        settings: parameters by name that replace those of the file.
        topics: of the inputs (``image``, ``joint_commands``, ``joint_states``, ...) that are not to be found by name.
        urdf: file with the robot description, where no topic of the recording has it.
        node_name: full name of the node that the file is read for.
        say: is told, once each, of what people should know: topics, dropped messages.

    Yields:
        Windows: ``clip`` (1, 3, N, H, W) float32, ready for :meth:`WorldModel.encode`; ``actions.values`` (T', A) and
        ``states.values`` (T', S) float64 in the units in which they are read; stamps in integer ns.

    Raises:
        BagError: for a recording that cannot be used.
        ConfigError: naming a parameter that makes no sense, or the file that cannot be read.
        OSError: naming a file or folder that one may not read, or where there is no room to decompress one.
    """
    values: dict[str, Any] = {}
    if params is not None:
        values, unknown = ros_file.read(Path(params), node_name)
        for sentence in names.ignored(params, unknown):
            say(sentence)
    config = resolve({**values, **(settings or {})})
    with ExitStack() as stack:
        description = None if urdf is None else Path(urdf)
        source = open_source([Path(bag) for bag in bags], config, topics or {}, description, say, stack)
        feed = Feed(source, None, say)
        for recorded in source.recording.messages(source.chosen.all):
            yield from feed.take(recorded)
        feed.finish()
