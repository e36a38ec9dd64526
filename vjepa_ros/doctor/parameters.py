"""The parameters: the file that has them, and whether they make sense together, by the package's own rules.

It reads files and resolves values; it loads no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjepa_ros.config import names, ros_file
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.config.presets import config_folder
from vjepa_ros.doctor.line import Line, ok, warning, wrong
from vjepa_ros.errors import ConfigError, place

_PAGE = "docs/parameters.md says what each one may be"


@dataclass(frozen=True)
class Parameters:
    """What was found.

    Attributes:
        lines: what is to be said.
        config: what the parameters say; None where they make no sense.
        of_ros: values of the file that are ROS's own, such as ``use_sim_time``.
    """

    lines: list[Line] = field(default_factory=list)
    config: NodeConfig | None = None
    of_ros: Mapping[str, Any] = field(default_factory=dict)


def examine_parameters(file: Path | None, settings: Mapping[str, Any], node_name: str) -> Parameters:
    """Read and resolve.

    Args:
        file: a ROS parameter file; None for that of the launch file.
        settings: values that replace those of the file.
        node_name: full name of the node.
    """
    lines: list[Line] = []
    try:
        path = config_folder() / "predictor.yaml" if file is None else file
        values, others = ros_file.read_all(path, node_name)
        remarks = names.unknown_parameters(others)
        lines += [warning("parameters", sentence, f"mend it in {place(path)}") for sentence in remarks]
        config = resolve({**values, **settings})
    except ConfigError as error:
        name = "the file" if error.parameter == "params" else error.parameter
        return Parameters([*lines, wrong("parameters", str(error), f"see {name}; {_PAGE}")])
    overridden = [f"override_convention: {text}" for text in config.convention_warnings]
    lines += [warning("parameters", text, "leave it at the convention of the weights") for text in overridden]
    chosen = f"{place(path)}, preset {config.parameters['preset']}"
    lines.append(ok("parameters", f"{chosen}: they fit together", file=str(path), preset=config.parameters["preset"]))
    return Parameters(lines, config, {name: value for name, value in others.items() if names.of_ros(name)})
