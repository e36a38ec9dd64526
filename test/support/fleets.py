"""Plans of small fleets, what a replay says of the same recordings, and recordings that kill whoever reads them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from support import bags, recorded, trainings
from vjepa_ros.fleet import running
from vjepa_ros.fleet.plan import Plan
from vjepa_ros.fleet.table import Table
from vjepa_ros.replay import plan as replay_plan
from vjepa_ros.replay import replaying

VALUES: dict[str, Any] = {**trainings.VALUES, **trainings.SMALL, "threads": 1, "device": "cpu"}
FINE, KILLS, KILLS_ONCE = "fine8", "kills8", "kills_once8:"


def plan(out: Path, *given: str | Path, values: dict[str, Any] | None = None, **options: Any) -> Plan:
    """The plan of a small model, in this process unless `workers` says otherwise."""
    return Plan([str(one) for one in given], {**VALUES, **(values or {})}, out, **{"workers": 0, **options})


def recordings(folder: Path) -> list[Path]:
    """Two, of 2.5 s and 2 s, in a folder of their own; the first one with a gap of the camera."""
    return trainings.write(folder, trainings.without(1.2, 2.3, trainings.cut(0, 3.6)), trainings.cut(4, 6))


def replayed(bag: Path, out: Path, values: dict[str, Any] | None = None) -> dict[str, Any]:
    """The report of vjepa_replay, with an export."""
    asked = replay_plan.Plan([bag], {**VALUES, **(values or {})}, out, export=out / "export")
    return replaying.replay(asked)


def tables(out: Path) -> list[Table]:
    """Those of a fleet, by name."""
    return [Table(path) for path in sorted(out.glob("windows/recording=*/*.parquet"))]


def decode(message: Any) -> np.ndarray:
    """The pixels of an image of no encoding that anybody knows; some encodings are deadly to read."""
    if message.encoding == KILLS:
        os.kill(os.getpid(), signal.SIGKILL)
    if message.encoding.startswith(KILLS_ONCE):
        marker = Path(message.encoding.removeprefix(KILLS_ONCE))
        if not marker.exists():
            marker.write_text("killed")
            os.kill(os.getpid(), signal.SIGKILL)
    return np.asarray(message.data, np.uint8).reshape(message.height, message.width, 3)


def strange(folder: Path, encoding: str) -> Path:
    """A bag of 2 s whose raw images are of an encoding that only :func:`decode` reads."""
    types = bags.TYPES.types
    messages, number = [], 0
    for message in trainings.cut(4, 6):
        if message.topic == recorded.CAMERA:
            number += 1
            pixels = np.full((32, 32, 3), 4 * number % 256, np.uint8).reshape(-1)
            kind = "sensor_msgs/msg/Image"
            image = types[kind](message.data.header, 32, 32, encoding, 0, 96, pixels)
            messages.append(message._replace(topic="/image", kind=kind, data=image))
        else:
            messages.append(message)
    return bags.write(folder, messages)


def tables_of(folder: Path, out: Path) -> list[Table]:
    """Those of a fleet that is made for them."""
    running.run(plan(out, folder))
    return tables(out)
