"""Files and texts that nobody vouches for: opened without waiting, read within bounds, and JSON both ways.

What is refused is refused by :class:`Unreadable` with what is wrong, and whoever asked makes an error of its own of it,
which names the file. It knows nothing of what the texts mean.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

MOST_BYTES = 1_000_000  # of a text; the longest parameter file or sidecar that was seen has some 10,000
MOST_DEPTH = 32  # values inside of each other
MOST_VALUES = 100_000
MOST_DIGITS = 40  # of a whole number; 64 bits have 19


class Unreadable(ValueError):
    """What is wrong with a file or a text, to be said after its name."""


def open_regular(path: str | Path) -> BinaryIO:
    """A file that is one, for reading: a pipe would wait for somebody who writes, and a device may do anything.

    Raises:
        Unreadable: where it is not there, is something else, or must not be read.
    """
    try:
        _require_regular(os.stat(path).st_mode)  # a device must not even be opened
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _require_regular(os.fstat(descriptor).st_mode)  # nor may another have come in its place
        except BaseException:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "rb")
    except (FileNotFoundError, NotADirectoryError):
        raise Unreadable("there is no such file") from None
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror or error})") from error
    except Unreadable:
        raise
    except ValueError:  # a zero byte or half of a character in the name
        raise Unreadable("is no name of a file") from None


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise Unreadable(f"is {what}, not a file")


def read_text(path: str | Path, most_bytes: int = MOST_BYTES) -> str:
    """What is in a file, as UTF-8.

    Raises:
        Unreadable: where it cannot be read, is too long, or something else.
    """
    with open_regular(path) as file:
        try:
            content = file.read(most_bytes + 1)
        except OSError as error:
            raise Unreadable(f"cannot be read ({error.strerror or error})") from error
    if len(content) > most_bytes:
        raise Unreadable(f"has more than the {most_bytes:,} bytes that are read")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8 ({error.reason} at byte {error.start})") from None


def from_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        Unreadable: where it is not JSON, or is beyond the bounds.
    """
    try:
        value = json.loads(text, parse_int=_whole_number)
    except RecursionError:
        raise Unreadable(f"has more than {MOST_DEPTH} values inside of each other") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON: {error}") from None
    require_bounded(value)
    return value


def _whole_number(text: str) -> int:
    """A whole number of a length that somebody may have meant.

    Raises:
        Unreadable: for a longer one: reading and writing it takes the square of its length.
    """
    if len(text) > MOST_DIGITS:
        raise Unreadable(f"has a whole number of {len(text):,} characters, more than {MOST_DIGITS}")
    return int(text)


def require_bounded(value: Any) -> None:
    """Refuse a value of a text that has too much in it, or texts that nobody can write down again.

    Raises:
        Unreadable: saying which.
    """
    waiting, seen = [(value, 1)], 0
    while waiting:
        item, depth = waiting.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise Unreadable(f"has more than {MOST_VALUES:,} values")
        if depth > MOST_DEPTH:
            raise Unreadable(f"has more than {MOST_DEPTH} values inside of each other")
        if isinstance(item, str) and not item.isascii():
            try:
                item.encode("utf-8")
            except UnicodeEncodeError:
                raise Unreadable("has a text with half of a character (a lone surrogate)") from None
        elif isinstance(item, Mapping):
            waiting += [(inner, depth + 1) for pair in item.items() for inner in pair]
        elif isinstance(item, (list, tuple, set)):
            waiting += [(inner, depth + 1) for inner in item]


def to_json(value: Any, **how: Any) -> str:
    """JSON that every reader takes: a number that is not finite, for which JSON has no word, is null.

    Args:
        value: of dictionaries, lists, texts, numbers.
        how: ``indent`` and others of :func:`json.dumps`.
    """
    try:
        return json.dumps(value, allow_nan=False, **how)
    except ValueError:
        return json.dumps(_with_null(value), allow_nan=False, **how)


def _with_null(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _with_null(inner) for key, inner in value.items()}
    return [_with_null(inner) for inner in value] if isinstance(value, (list, tuple)) else value
