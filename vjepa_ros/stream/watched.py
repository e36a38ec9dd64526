"""Which of the wanted joints have come so far, and what is to be said of those that have not.

It sees messages and what was read of them, and knows no stamps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Any

import numpy as np

from vjepa_ros.config.stream import SignalConfig
from vjepa_ros.errors import listed
from vjepa_ros.geometry import Vector
from vjepa_ros.stream.joint_signal import Part
from vjepa_ros.stream.joints import Read, Values

_MOST_SHOWN = 10  # joints in a sentence
_MOST_OF_A_NAME = 200  # characters that are kept of a name that is only shown


class Watched:
    """Reads joints, and remembers which of the wanted ones no message has had so far.

    Args:
        read: gives the values of a message.
        wanted: the joints.
        named_by: the parameter that names them.

    Attributes:
        wanted: as given.
    """

    def __init__(self, read: Read, wanted: Sequence[str], named_by: str) -> None:
        self.wanted = wanted
        self._read = read
        self._named_by = named_by
        self._waiting = set(range(len(wanted)))
        self._others: dict[str, None] = {}  # names that did come, a few more than are shown

    @classmethod
    def of(cls, decoder: str, config: SignalConfig, named_by: str) -> Watched:
        """What reads the joints of a signal, by the decoder's place: ``module:class``."""
        return cls(resolve_name(decoder)(config), config.joint_names, named_by)

    def __call__(self, message: Any) -> Values:
        """As ``read``."""
        values = self._read(message)
        if self._waiting:
            self._waiting -= self._waiting if isinstance(values, np.ndarray) else set(_joints_of(values))
            names = getattr(message, "joint_names", None) or getattr(message, "name", [])
            for name in names[: _MOST_SHOWN + 1]:
                if len(self._others) <= _MOST_SHOWN:
                    self._others[name[:_MOST_OF_A_NAME]] = None
        return values

    @property
    def complaint(self) -> str:
        """Which joints nobody has sent, in words; empty where each has come, or nothing has."""
        if not self._waiting or not self._others:
            return ""
        names = [self.wanted[joint] for joint in sorted(self._waiting)]
        return (
            f"no message so far has a value of {listed(names)}; those that came are about {listed(self._others)}. "
            f"Without it there is no step: see {self._named_by}"
        )


def _joints_of(values: Part | Vector | None) -> list[int]:
    return values.joints.tolist() if isinstance(values, Part) else []
