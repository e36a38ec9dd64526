"""Episodes of a WidowX arm (BridgeData, as arrays in an .npz) as recordings that the tools read: one bag an episode.

    python examples/bridge_recordings.py bridge_widowx.npz -o recordings
    vjepa_train recordings/* --params examples/bridge.yaml --train-encoder -o widowx.safetensors

The file has ``images`` (E, T, h, w, 3) uint8, ``actions`` (E, T, 7) and ``states`` (E, T, 7): x, y, z in m, three
angles in rad, and the gripper, at 5 Hz. An action is the difference that was commanded at its frame.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from vjepa_ros.recordings.robot_bag import RobotBag

NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
PERIOD_NS = 200_000_000
START_NS = 1_700_000_000_000_000_000  # nobody wrote down when it was
LATER_NS = 1_000_000  # a command comes after the frame that it has the stamp of


def write(file: Path, out: Path) -> int:
    """Write the episodes of a file to ``out/00``, ``out/01`` and so on; how many there are."""
    with np.load(file) as arrays:
        images, actions, states = (arrays[name] for name in ("images", "actions", "states"))
    out.mkdir(parents=True)
    for episode in range(len(images)):
        bag = RobotBag(out / f"{episode:02}")
        for frame in range(images.shape[1]):
            at_ns = START_NS + episode * 3600 * 5 * PERIOD_NS + frame * PERIOD_NS  # an hour apart
            bag.image(images[episode, frame], at_ns)
            bag.joint_states(NAMES, states[episode, frame], at_ns)
            bag.joint_commands(NAMES, actions[episode, frame], at_ns, at_ns + LATER_NS)
        bag.close()
    return len(images)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the .npz")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to make, with a bag for each episode")
    arguments = parser.parse_args()
    print(f"{write(arguments.file, arguments.out)} recordings in {arguments.out}")


if __name__ == "__main__":
    main()
