"""Reads ROS parameter files without ROS: which values a node of a given name gets from one.

It knows how such files are laid out and which parameters there are, not what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from vjepa_ros.config.checks import require
from vjepa_ros.config.table import BY_NAME
from vjepa_ros.errors import ConfigError

_PARAMETERS = "ros__parameters"
# A number to ROS and to everybody else; YAML 1.1, which PyYAML reads, wants a point and a sign in it.
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def read(path: Path, node_name: str) -> tuple[dict[str, Any], list[str]]:
    """The parameters of a file that are meant for a node; of several blocks that fit, the later one wins.

    Args:
        path: a YAML file of node name -> ``ros__parameters`` -> values; ``*`` stands for one part of a name, ``**`` for
            any number of them.
        node_name: full name of the node, such as ``/robot1/vjepa_predictor``.

    Returns:
        Values by name, and the names that are not in the table of parameters (``use_sim_time``, ``qos_overrides`` and
        slips of the pen alike: the node ignores them too).

    Raises:
        ConfigError: for a file that cannot be read, or that has nothing for this node.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("params", f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError("params", f"{path} is not YAML: {' '.join(str(error).split())}") from error
    blocks = list(_blocks(content, ())) if isinstance(content, Mapping) else []
    parts = tuple(node_name.strip("/").split("/"))
    fitting = [values for name, values in blocks if _fits(name, parts)]
    if not fitting:
        found = ", ".join("/".join(name) for name, _ in blocks) or "no ros__parameters at all"
        raise ConfigError("params", f"{path} has nothing for {node_name}, only {found}")
    values: dict[str, Any] = {}
    for block in fitting:
        values.update(_flat(block, ""))
    known = {name: value for name, value in values.items() if name in BY_NAME}
    for name, value in known.items():
        _require_one_type(name, value)
    return {name: typed(name, value) for name, value in known.items()}, sorted(values.keys() - known.keys())


def _require_one_type(name: str, value: Any) -> None:
    """Refuse a list that ROS's own parser does not read, and with it the whole file, so that a node ends with it.

    Raises:
        ConfigError: naming the parameter.
    """
    if isinstance(value, list):
        # A number by its exponent alone, text to YAML, is one with a point to ROS.
        kinds = {float if isinstance(item, str) and _EXPONENT.fullmatch(item) else type(item) for item in value}
        require(
            len(kinds) <= 1, name,
            f"{value} has elements of several types, which ROS does not read: write whole numbers with a point, 1.0",
        )  # fmt: skip


def typed(name: str, value: Any) -> Any:
    """A number written as 4 or 1e1 where the parameter is a float, or several of them; everything else as it is."""
    kind = BY_NAME[name].kind if name in BY_NAME else None
    if kind == "float[]" and isinstance(value, list):
        return [_float(element) for element in value]
    return _float(value) if kind == "float" else value


def parsed(name: str, text: str) -> Any:
    """The value that a command line gives to a parameter: YAML, but what is not text there is taken as it stands where
    the parameter is one, so that nothing at all is the empty text, and ``off`` a word.

    Raises:
        yaml.YAMLError: for what is not YAML.
    """
    value = yaml.safe_load(text)
    if name in BY_NAME and BY_NAME[name].kind == "str":
        return value if isinstance(value, str) else text
    return typed(name, value)


def _float(value: Any) -> Any:
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _blocks(content: Mapping[Any, Any], inside: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """(parts of the node's name, its parameters) of every block."""
    for key, value in content.items():
        if not isinstance(value, Mapping):
            continue
        if key == _PARAMETERS:
            yield inside, value
        else:
            yield from _blocks(value, (*inside, *str(key).strip("/").split("/")))


def _fits(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(pattern[1:], parts[skipped:]) for skipped in range(len(parts) + 1))
    return bool(parts) and pattern[0] in ("*", parts[0]) and _fits(pattern[1:], parts[1:])


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Nested names with dots between them."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
