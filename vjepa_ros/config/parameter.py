"""What a row of the table of parameters is. It knows none of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["bool", "int", "float", "str", "int[]", "float[]", "str[]"]


# What a default of the preset's looks like in a type that has no "unset".
UNSET: dict[Kind, Any] = {"int": 0, "float": -1.0, "str": "", "int[]": [], "float[]": [], "str[]": []}


@dataclass(frozen=True)
class Parameter:
    """One row of the table.

    Attributes:
        name: as in parameter files.
        kind: its type.
        default: its value where nobody sets it; None for the preset's.
        description: one sentence.
        unit: unit of the value, empty where it has none.
        choices: the values allowed, empty for any.
        minimum, maximum: the range of a number, None where it is open.
        fallback: the value where the default is the preset's and the preset does not say; None where it must.
        live: whether it can be changed while the node is configured.
    """

    name: str
    kind: Kind
    default: Any
    description: str
    unit: str = ""
    choices: Collection[str | int] = ()
    minimum: float | None = None
    maximum: float | None = None
    fallback: Any = None
    live: bool = False

    @property
    def from_preset(self) -> bool:
        """Whether the preset has the default."""
        return self.default is None

    @property
    def declared_default(self) -> Any:
        """The default in its own type: what "the preset's" looks like there, if it is that."""
        return UNSET[self.kind] if self.from_preset else self.default

    def is_set(self, value: Any) -> bool:
        """Whether a value says something, rather than "the preset's"."""
        return not (self.from_preset and (value is None or plain(value) == UNSET[self.kind]))


def plain(value: Any) -> Any:
    """A value in the types of YAML: lists for whatever holds several."""
    if isinstance(value, (tuple, list)):
        return list(value)
    return value.tolist() if type(value).__module__ in ("numpy", "array") else value
