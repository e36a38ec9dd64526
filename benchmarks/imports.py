"""What a node imports besides torch, rclpy and an idle node, and what that takes: made active here, with tiny_random.

Prints one line of JSON: memory of its own in MB and CPU time in ms, by part. Each import counts once, for the part that
it belongs to: what is imported within it counts for its own. The allocator takes memory in pieces of 128 KiB, so that
parts below that say little.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import numpy as np
import rclpy
import torch  # noqa: F401  # both are there before anything is measured
from numpy.typing import NDArray

from benchmarks.memory import MB

PARAMETERS = {"preset": "tiny_random", "device": "cpu"}
JOINTS = [f"panda_joint{number}" for number in range(1, 8)]
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / MB
_STATM = os.open("/proc/self/statm", os.O_RDONLY)


class Watch(MetaPathFinder):
    """Measures every import from its place in ``sys.meta_path``; built-in and frozen modules it leaves out.

    Attributes:
        own: (MB, ms) of each part, without what is imported within.
        modules: how many modules were imported.
    """

    def __init__(self) -> None:
        self.own: defaultdict[str, NDArray[Any]] = defaultdict(lambda: np.zeros(2))
        self.modules = 0
        self._within: NDArray[Any] = np.zeros(2)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As Python's own finder of files, with a loader that is measured."""
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            self.modules += 1
            for name in ("create_module", "exec_module"):
                setattr(spec.loader, name, partial(self.measured, part_of(fullname), getattr(spec.loader, name)))
        return spec

    def measured(self, part: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """What the work gives; what it takes, less what is measured within, counts for this part."""
        began_s, before_mb, outside = time.thread_time(), own_mb(), self._within
        self._within = np.zeros(2)
        started_s = time.thread_time()
        try:
            return work(*arguments)
        finally:
            ended_s, took_mb = time.thread_time(), own_mb() - before_mb
            self.own[part] += np.array([took_mb, (ended_s - started_s) * 1e3]) - self._within
            # The time that the measuring takes is nobody's.
            self._within = outside + [took_mb, (time.thread_time() - began_s) * 1e3]


def part_of(module: str) -> str:
    """The package that a module belongs to; of this package its room."""
    words = module.split(".")
    return ".".join(words[: 1 + (words[0] == "vjepa_ros")])


def own_mb() -> float:
    """Memory of its own of this process, in MB; it is asked often, and /proc/self/status takes longer."""
    resident, shared = map(int, os.pread(_STATM, 100, 0).split()[1:3])
    return (resident - shared) * PAGE_MB


def main() -> None:
    """Watch a node come up."""
    arguments = [part for name, value in (PARAMETERS | {"joint_names": JOINTS}).items()
                 for part in ("-p", f"{name}:={value}")]  # fmt: skip
    rclpy.init(args=["--ros-args", "-r", f"__ns:=/bench_{os.getpid()}", *arguments])
    bare = rclpy.create_node("bare")
    watch = Watch()
    sys.meta_path.insert(0, watch)
    from vjepa_ros.ros.node import PredictorNode

    node = PredictorNode()
    try:
        node.trigger_configure()
        node.trigger_activate()
        if node.state_label != "active":
            sys.exit("the node could not be configured and activated")
    finally:
        node.close()
        node.destroy_node()
        bare.destroy_node()
        rclpy.try_shutdown()
    print(json.dumps({"own": {part: list(own) for part, own in watch.own.items()}, "modules": watch.modules}))


if __name__ == "__main__":
    main()
