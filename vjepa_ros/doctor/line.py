"""One thing that was looked at: what was found, and what to do where that is not as it should be.

It knows nothing that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warning", "wrong", "skipped"]
"""``warning`` works, but not as one would expect; ``wrong`` does not work; ``skipped`` was not looked at."""


@dataclass(frozen=True)
class Line:
    """What was found of one thing.

    Attributes:
        subject: a short stable word for the thing; a topic's line begins with ``topic``.
        status: how it is.
        found: what was found, in one sentence.
        remedy: what to do about it; empty where there is nothing to do.
        values: the numbers in it, for machines.
    """

    subject: str
    status: Status
    found: str
    remedy: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """For people: one line, and a second one with what to do."""
        first = f"{self.status.upper():8} {self.subject}: {self.found}"
        return f"{first}\n{'':8}   -> {self.remedy}" if self.remedy else first


def ok(subject: str, found: str, **values: Any) -> Line:
    """As it should be."""
    return Line(subject, "ok", found, values=values)


def warning(subject: str, found: str, remedy: str, **values: Any) -> Line:
    """It works, but not as one would expect."""
    return Line(subject, "warning", found, remedy, values)


def wrong(subject: str, found: str, remedy: str, **values: Any) -> Line:
    """It does not work."""
    return Line(subject, "wrong", found, remedy, values)


def skipped(subject: str, why: str) -> Line:
    """It was not looked at."""
    return Line(subject, "skipped", why)


def is_well(lines: Iterable[Line]) -> bool:
    """Whether nothing is wrong; warnings are not."""
    return all(line.status != "wrong" for line in lines)
