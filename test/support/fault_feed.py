"""A robot's messages, in the order sent, and what the oracle says must come of them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from support import oracle
from support.harness import Predictor, Robot
from support.messages import JOINTS, MS, T0_NS, image_message, joint_message, pixels, stamped

PERIOD_NS = 50 * MS
MAX_WAIT_S = 10.0
STREAM, MODEL, TOPICS = (f"/vjepa_predictor: {part}" for part in ("stream", "model", "topics"))


class Feed:
    """Sends through a robot and remembers what the node must have taken in.

    Args:
        robot: whose publishers are used.
        options: of the oracle, where they differ from the node's defaults.
    """

    def __init__(self, robot: Robot, **options: Any) -> None:
        self.robot = robot
        self.frames: list[tuple[int]] = []
        self.commands: list[tuple[int, np.ndarray]] = []
        self.states: list[tuple[int, np.ndarray]] = []
        self._options = {
            "num_frames": 16, "stride": 2, "phase": 0, "hop": 2, "frame_rate": 0.0, "max_gap_ns": 10**9,
            "jump_back_ns": 10**9, "max_wait_ns": int(MAX_WAIT_S * 1e9), "timeout_ns": 10**9, "on_missing": "skip",
            **options,
        }  # fmt: skip

    def joints(self, stamp_ns: int, number: float, *, command: bool = True) -> None:
        """A command and a state; the state is the negative of the command."""
        values = number + 0.01 * np.arange(7)
        if command:
            self.robot.commands.publish(joint_message(stamp_ns, JOINTS, list(values)))
            self.commands.append((stamp_ns, values))
        self.robot.states.publish(joint_message(stamp_ns, JOINTS, list(-values)))
        self.states.append((stamp_ns, -values))

    def frame(self, stamp_ns: int, number: int, message: Any = None) -> None:
        """A frame that the node should take."""
        self.frames.append((stamp_ns,))
        self.robot.images.publish(image_message(stamp_ns, number) if message is None else message)
        self.robot.executor_.spin_once(timeout_sec=0.0)

    def both(self, first: int, count: int) -> None:
        """Frames ``first`` to ``first + count - 1`` at 20 Hz, joints at each."""
        for number in range(first, first + count):
            self.joints(at(number), float(number))
            self.frame(at(number), number)

    def paced(self, first: int, count: int) -> None:
        """The same, no faster than windows come out, and at 10 Hz before the first: for a node that keeps 5 frames."""
        for number in range(first, first + count):
            self.both(number, 1)
            due = (len(self.frames) - 14) // 2  # one at 16 frames, then one every second frame
            if due <= 0:
                self.robot.settle(0.1)
            assert self.robot.spin(lambda due=due: len(self.robot.windows) >= due), f"not {due} windows"

    def expected(self) -> list[dict[str, Any]]:
        """The oracle's windows."""
        return oracle.windows(self.frames, self.commands, self.states, **self._options)

    def check(self, after_ns: int = 0, only: Collection[int] | None = None, *, with_latents: bool = True) -> int:
        """Wait for the oracle's windows and compare; how many there were.

        Args:
            after_ns: compare only windows whose frames were all stamped after this.
            only: which of the oracle's windows should have come out, by their numbers; None: all.
            with_latents: whether latents of each should have come too.
        """
        numbered = enumerate(self.expected())
        want = [
            window
            for number, window in numbered
            if window["frame_stamps"][0] > after_ns and (only is None or number in only)
        ]
        assert want, "the fault left nothing to compare"
        assert self.robot.spin(lambda: len(self._got(after_ns)) >= len(want)), f"{len(self.robot.windows)} windows"
        self.robot.settle(0.2)
        got = self._got(after_ns)
        assert [window["frame_stamps"] for window in got] == [window["frame_stamps"] for window in want]
        for window, oracles in zip(got, want, strict=True):
            assert window["step_stamps"] == oracles["step_stamps"]
            np.testing.assert_array_equal(window["actions"], oracles["actions"])
            np.testing.assert_array_equal(window["states"], oracles["states"])
        assert not with_latents or self.robot.spin(lambda: len(self.robot.predicted) == len(self.robot.windows))
        return len(got)

    def _got(self, after_ns: int) -> list[dict[str, Any]]:
        return [window for window in self.robot.windows if window["frame_stamps"][0] > after_ns]

    def counted(self, status: str = STREAM, **counts: int) -> None:
        """Wait until the diagnostics say so."""
        names = {name.replace("__", " "): str(count) for name, count in counts.items()}

        def agree() -> bool:
            values = self.robot.diagnostics.get(status, {})
            return all(values.get(name) == count for name, count in names.items())

        assert self.robot.spin(agree), (names, self.robot.diagnostics.get(status))


def at(number: int) -> int:
    """The stamp of frame ``number`` at 20 Hz."""
    return T0_NS + number * PERIOD_NS


def jpeg(number: int) -> bytes:
    """Frame ``number`` as a file."""
    return bytes(cv2.imencode(".jpg", pixels(number))[1].tobytes())


def compressed(number: int, data: bytes) -> CompressedImage:
    """A file, stamped as frame ``number``."""
    message: CompressedImage = stamped(CompressedImage(format="rgb8; jpeg compressed bgr8", data=data), at(number))
    return message


def peak_memory_kb(predictor: Predictor) -> int:
    """The most memory that the node's process has had."""
    status = Path(f"/proc/{predictor.process.pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0])
