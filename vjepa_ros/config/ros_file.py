"""Reads ROS parameter files without ROS: which values a node of a given name gets from one.

It knows how such files are laid out and which parameters there are, not what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vjepa_ros.config import yaml_text
from vjepa_ros.config.checks import require
from vjepa_ros.config.table import BY_NAME
from vjepa_ros.documents import Unreadable, read_text
from vjepa_ros.errors import ConfigError, brief, listed, named, place

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
    known, others = read_all(path, node_name)
    return known, sorted(others)


def read_all(path: Path, node_name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same, with the values of the names that are not in the table.

    Args:
        path, node_name: as for :func:`read`.

    Raises:
        ConfigError: as :func:`read`.
    """
    try:
        text = read_text(path)
    except Unreadable as error:
        raise ConfigError("params", f"{place(path)} cannot be read: {error}") from error
    try:
        content = yaml_text.load(text, empty=False)
        _require_blocks(content)
    except Unreadable as error:
        raise ConfigError("params", f"{place(path)} {error}") from error
    blocks = list(_blocks(content, ())) if isinstance(content, Mapping) else []
    for _, block in blocks:
        for name, value in _flat(block, ""):
            require(name != "", "params", f"{place(path)} has a parameter without a name")
            _require_one_type(name, value)
    parts = tuple(node_name.strip("/").split("/"))
    fitting = [values for name, values in blocks if _fits(name, parts)]
    if not fitting:
        found = listed(("/".join(name) for name, _ in blocks), show=named) if blocks else "no ros__parameters at all"
        raise ConfigError("params", f"{place(path)} has nothing for {named(node_name)}, only {found}")
    values: dict[str, Any] = {}
    for block in fitting:
        values.update(_flat(block, ""))
    known = {name: value for name, value in values.items() if name in BY_NAME}
    others = {name: value for name, value in values.items() if name not in BY_NAME}
    return {name: typed(name, value) for name, value in known.items()}, others


def others(path: Path, node_name: str) -> list[str]:
    """That a file is for nodes of other names, if it is.

    Nothing is said where some of it is for this node, or where it cannot be read: whoever needs it says that.

    Args:
        path, node_name: as for :func:`read`.
    """
    try:
        content = yaml_text.load(read_text(path))
    except Unreadable:
        return []
    names = [name for name, _ in _blocks(content, ())] if isinstance(content, Mapping) else []
    parts = tuple(node_name.strip("/").split("/"))
    if any(_fits(name, parts) for name in names):
        return []
    found = listed(f"/{'/'.join(name)}" for name in names)
    whose = f"is for nodes of other names ({found})" if names else "has no ros__parameters"
    return [f"{path}: {whose}; this one is {node_name}, and gets nothing of it"]


def _require_blocks(content: Any) -> None:
    """Refuse what ROS's own parser does not read, and with it the whole file, whichever node it is for.

    Raises:
        Unreadable: for a value that stands outside of the parameters of a node, or none in place of parameters.
    """
    for key, value in content.items() if isinstance(content, Mapping) else ():
        if not isinstance(value, Mapping):
            where = "no parameters" if key == _PARAMETERS else f"no {_PARAMETERS}"
            raise Unreadable(f"has {where} under {named(brief(key))}, but {brief(value)}, which ROS does not read")
        if key != _PARAMETERS:
            _require_blocks(value)


def _require_one_type(name: str, value: Any) -> None:
    """Refuse a list that ROS's own parser does not read, and with it the whole file, so that a node ends with it.

    Raises:
        ConfigError: naming the parameter.
    """
    if isinstance(value, list):
        require(
            len(value) < 2 or not any(isinstance(item, list) for item in value), name,
            f"{brief(value)} has lists in a list, which ROS does not read",
        )  # fmt: skip
        # A number by its exponent alone, text to YAML, is one with a point to ROS.
        kinds = {float if isinstance(item, str) and _EXPONENT.fullmatch(item) else type(item) for item in value}
        require(
            len(kinds) <= 1, name,
            f"{brief(value)} has elements of several types, which ROS does not read: write whole numbers with a point, "
            "1.0",
        )  # fmt: skip


def typed(name: str, value: Any) -> Any:
    """A number written as 4 or 1e1 where the parameter is a float, or several of them; everything else as it is."""
    kind = BY_NAME[name].kind if name in BY_NAME else None
    if kind == "float[]" and isinstance(value, list):
        return [_float(element) for element in value]
    return _float(value) if kind == "float" else value


def parsed(name: str, text: str) -> Any:
    """The value that a command line gives to a parameter: YAML.

    Where the parameter is a text, what YAML reads as something else is taken as it stands: so nothing at all is the
    empty text, and ``off`` is a word.

    Raises:
        Unreadable: for what is not YAML, or too much.
    """
    value = yaml_text.load(text)
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
    """Whether a pattern stands for a name; in one pass, whatever a stranger's pattern consists of."""
    reached = [True] + [False] * len(parts)  # which beginnings of the name the pattern so far can stand for
    for word in pattern:
        if word == "**":
            first = reached.index(True)
            reached = [False] * first + [True] * (len(reached) - first)
        else:
            reached = [False, *(before and word in ("*", part) for before, part in zip(reached, parts, strict=False))]
        if True not in reached:
            return False
    return reached[-1]


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Nested names with dots between them."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
