"""YAML of strangers: parameter files, presets and values of command lines, all by one loader with bounds.

Aliases are refused: a few lines of them stand for more values than any memory holds, and ROS reads none either. It
knows no files and nothing of what the values mean.
"""

from __future__ import annotations

from typing import Any

import yaml

from vjepa_ros.documents import MOST_DEPTH, MOST_DIGITS, Unreadable, require_bounded
from vjepa_ros.errors import quoted

MOST_CHARACTERS = 250_000  # PyYAML reads as many in a second or two
MOST_NODES = 20_000  # values and names
_MOST_SAID = 300  # characters of what PyYAML says


class _Loader(yaml.SafeLoader):
    """PyYAML's own, which ends where a text has more in it than a configuration needs."""

    empty = True
    """Whether there may be nothing where a value should be."""

    _depth = 0
    _nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A value with all that is in it."""
        if self.check_event(yaml.AliasEvent):
            anchor = self.peek_event().anchor  # type: ignore[no-untyped-call]
            raise Unreadable(f"has an alias, {quoted('*' + anchor)}: write out what it stands for")
        self._nodes += 1
        self._depth += 1
        if self._nodes > MOST_NODES:
            raise Unreadable(f"has more than {MOST_NODES:,} values")
        if self._depth > MOST_DEPTH:
            raise Unreadable(f"has more than {MOST_DEPTH} values inside of each other")
        node = super().compose_node(parent, index)
        if not self.empty and isinstance(node, yaml.ScalarNode) and node.value == "" and node.style is None:
            raise Unreadable(f"has nothing where a value should be, in line {node.start_mark.line + 1}")
        self._depth -= 1
        return node

    def construct_yaml_int(self, node: Any) -> int:
        """A whole number; of a long one the value, not only the reading, would take for ever."""
        if isinstance(node, yaml.ScalarNode) and len(node.value) > MOST_DIGITS:
            raise Unreadable(f"has a whole number of {len(node.value):,} characters, more than {MOST_DIGITS}")
        return int(super().construct_yaml_int(node))

    def construct_yaml_float(self, node: Any) -> float:
        """A number; the sexagesimal ones have parts, of which each is read."""
        if isinstance(node, yaml.ScalarNode) and ":" in node.value and len(node.value) > MOST_DIGITS:
            raise Unreadable(f"has a number of {len(node.value):,} characters, more than {MOST_DIGITS}")
        return float(super().construct_yaml_float(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)


class _StrictLoader(_Loader):
    """The same without values that are not there: ROS reads none."""

    empty = False


def load(text: str, *, empty: bool = True) -> Any:
    """The value of a YAML text.

    Args:
        text: of one document.
        empty: whether there may be nothing where a value should be.

    Raises:
        Unreadable: where it is not YAML, has a value that is none, or is beyond the bounds.
    """
    if len(text) > MOST_CHARACTERS:
        raise Unreadable(f"has {len(text):,} characters, more than {MOST_CHARACTERS:,}")
    try:
        value = yaml.load(text, Loader=_Loader if empty else _StrictLoader)  # SafeLoaders
    except Unreadable:
        raise
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise Unreadable(f"is not YAML: {said[:_MOST_SAID]}") from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # PyYAML's readers of dates, numbers and texts fail in all of these ways where there is none.
        said = " ".join(str(error).split())
        raise Unreadable(f"has a value that cannot be read ({quoted(said, _MOST_SAID)})") from None
    require_bounded(value)
    return value
