"""Configurations of forecasters."""

from __future__ import annotations

from vjepa_ros.config.node import NodeConfig, resolve

JOINTS = [f"joint{number}" for number in range(7)]


def config(**values: object) -> NodeConfig:
    return resolve({"joint_names": JOINTS, **{name.replace("__", "."): value for name, value in values.items()}})
