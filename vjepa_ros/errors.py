"""The exceptions of the package, drawn as one tree.

::

    VjepaError
    ├── ConfigError      a parameter, preset or combination of them makes no sense  (also a ValueError)
    ├── CheckpointError  a weights file is missing, broken or belongs to another model
    ├── ShapeError       an array or tensor does not fit the grid it is meant for   (also a ValueError)
    ├── BagError         a recording cannot be read
    ├── OutputError      a result must not be written where it should be
    ├── InputError       one message cannot be used: it is dropped and counted
    └── EngineError      the model or its device failed while it ran

It does not know who raises what; it imports nothing of the package. What strangers wrote goes into a message by
:func:`quoted`, :func:`listed`, :func:`named`, :func:`place` and :func:`brief`: a name of any length, or of several
lines, must neither fill a log nor forge a line.

A message speaks of what its caller gave by the names of arguments and fields, in backquotes, or as the parameter of a
:class:`ConfigError`; whoever has other names for them (a command line: options) puts those in their place.
"""

import os
import reprlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_MOST_OF_A_PATH = 1000  # characters
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 4, 80, 80
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = 16


def quoted(text: str, most: int = 80) -> str:
    """A text in quotes, what cannot be printed escaped, cut to about ``most`` characters."""
    shown = repr(text[: most + 1])
    return shown if len(shown) <= most + 2 else shown[: most - 1] + "..."


def named(text: str, most: int = 80) -> str:
    """A name as it stands; in quotes, as :func:`quoted` has it, where it is long, empty or cannot be printed."""
    return text if 0 < len(text) <= most and text.isprintable() else quoted(text, most)


def listed(names: Iterable[str], most: int = 10, show: Callable[[str], str] = quoted) -> str:
    """The first of some names, quoted or as ``show`` has them, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return (", ".join(map(show, every[:most])) or "none") + more


def place(path: str | os.PathLike[str]) -> str:
    """A path for a message, cut only where no file could have it."""
    return named(os.fspath(path), _MOST_OF_A_PATH)


def brief(value: Any, most: int = 200) -> str:
    """Any value as Python writes it, cut to about so many characters: what strangers set in place of a number."""
    try:
        shown = " ".join(_REPR.repr(value).split())
    except (ValueError, RecursionError):  # a number of thousands of digits, for one
        return f"a {type(value).__name__} that is too long to be shown"
    return shown if len(shown) <= most else shown[:most] + "..."


class VjepaError(Exception):
    """The root of everything that this package raises on purpose.

    >>> import vjepa_ros
    >>> try:
    ...     vjepa_ros.load("tinny")
    ... except vjepa_ros.VjepaError as error:
    ...     print(type(error).__name__, error.parameter)
    ConfigError preset
    """


class ConfigError(VjepaError, ValueError):
    """A parameter, or a combination of parameters, that makes no sense.

    >>> import vjepa_ros
    >>> vjepa_ros.load("tiny_random", encoder_heads=3)
    Traceback (most recent call last):
        ...
    vjepa_ros.errors.ConfigError: encoder_heads: 3 heads do not divide encoder_dim 128

    Args:
        parameter: name of the parameter at fault, as it stands in the parameter table; or of an argument or a field.
        reason: what is wrong with it, in one sentence.
    """

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"{parameter}: {reason}")
        self.parameter = parameter
        self.reason = reason


class CheckpointError(VjepaError):
    """A weights file that is missing, broken, or made for another model.

    >>> import vjepa_ros
    >>> vjepa_ros.load("tiny_random", checkpoint="nowhere.pt")
    Traceback (most recent call last):
        ...
    vjepa_ros.errors.CheckpointError: nowhere.pt: there is no such file

    Attributes:
        parameter: the one that names the file, as it stands in the parameter table; see :func:`blaming`.
    """

    parameter = ""


@contextmanager
def blaming(parameter: str) -> Iterator[None]:
    """Have the :class:`CheckpointError` of a file that a parameter names say which one, where it does not yet."""
    try:
        yield
    except CheckpointError as error:
        error.parameter = error.parameter or parameter
        raise


class ShapeError(VjepaError, ValueError):
    """An array or tensor that does not fit the grid it is meant for; the message has both shapes.

    >>> import numpy as np, vjepa_ros
    >>> vjepa_ros.load("tiny_random").encode(np.zeros((1, 3, 15, 64, 64), np.float32))
    Traceback (most recent call last):
        ...
    vjepa_ros.errors.ShapeError: a clip of shape (1, 3, 15, 64, 64) does not fit (B, 3, N, 64, 64) with N a multiple ...
    """


class BagError(VjepaError):
    """A recording that cannot be read, or the export of one.

    >>> import vjepa_ros
    >>> next(vjepa_ros.read_windows("nowhere", params="config/predictor.yaml"))
    Traceback (most recent call last):
        ...
    vjepa_ros.errors.BagError: nowhere: there is no such bag
    """


class OutputError(VjepaError):
    """A place where a result must not be written: taken, in use, or not there.

    >>> from pathlib import Path
    >>> from vjepa_ros import files
    >>> files.require_free(Path("nowhere/out"), force=False)
    Traceback (most recent call last):
        ...
    vjepa_ros.errors.OutputError: nowhere/out: there is no folder nowhere
    """


class InputError(VjepaError):
    """One message that cannot be used; it is dropped, counted and warned about.

    >>> from types import SimpleNamespace
    >>> from vjepa_ros import latents
    >>> latents.read(SimpleNamespace(encoding="rgb8"), (4, 4))
    Traceback (most recent call last):
        ...
    vjepa_ros.errors.InputError: unknown_encoding: 'rgb8'; latents are 32FC1 or 16FC1

    Args:
        reason: a short stable key under which it is counted, for example ``unknown_encoding``.
        detail: what was found, for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class EngineError(VjepaError):
    """The model or its device failed while it ran, or gave values that are not finite.

    >>> from vjepa_ros.devices import failures
    >>> with failures("encoding"):
    ...     raise RuntimeError("CUDA out of memory")
    Traceback (most recent call last):
        ...
    vjepa_ros.errors.EngineError: encoding failed: CUDA out of memory
    """
