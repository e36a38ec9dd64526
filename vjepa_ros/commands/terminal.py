"""What every command says, and how it ends: sentences and progress on stderr, an exit status.

The library speaks of fields: ``dims: ...`` or "`force` replaces it". People read what they would write for them. It
knows no command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from vjepa_ros.errors import ConfigError, VjepaError, place

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, TaskID
    from rich.table import Table

DONE = 0
FAILED = 1
"""Refused or failed, with one sentence; a parameter that makes no sense too, wherever it was set."""
WRONG_ARGUMENTS = 2
"""An option that there is not, an argument that is missing, a value that is not of the option's form: argparse's."""
INCOMPLETE = 3
"""Done, but not all of what was announced could be read."""
INTERRUPTED = 130

EXIT_STATUS = (
    f"Exit status: {DONE} done, {FAILED} refused or failed with one sentence, {WRONG_ARGUMENTS} wrong arguments, "
    f"{INCOMPLETE} done, but not all of what was announced could be read, {INTERRUPTED} interrupted. Nothing is left "
    "or replaced unless it is done."
)

Result = TypeVar("Result")


class Bars(Protocol):
    """Bars, one for each thing that is counted."""

    def __call__(self, things: str, done: int, total: int, note: str = "") -> None:
        """So many of the things are done, of all that there are; a note stands behind."""


class Terminal:
    """Where a command says what happens.

    Args:
        tool: the command's name, which every sentence begins with.
        options: what people write for a field of the library, by its name: ``{"dims": "--dims"}``.
    """

    def __init__(self, tool: str, options: Mapping[str, str]) -> None:
        from rich.console import Console

        self._tool = tool
        self._options = options
        self._console = Console(stderr=True, soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Say a sentence of the library's."""
        self._console.print(f"{self._tool}: {self.translated(sentence)}", markup=False, highlight=False)

    def show(self, table: Table) -> None:
        """Show a table."""
        self._console.print(table, soft_wrap=False)

    def translated(self, sentence: str) -> str:
        """A sentence of the library's with options in place of the fields that stand in backquotes."""
        return re.sub(r"`([\w.]+)`", lambda found: self._options.get(found[1], found[0]), sentence)

    @property
    def is_seen(self) -> bool:
        """Whether somebody sees the bars: a log has none."""
        return self._console.is_terminal

    @contextmanager
    def progress(self, *, in_bytes: bool = False) -> Iterator[Bars]:
        """Bars, one for each thing that is counted."""
        from rich import progress as rich

        amount: ProgressColumn = rich.DownloadColumn() if in_bytes else rich.MofNCompleteColumn()
        what = rich.TextColumn("{task.description}")
        times = (rich.TimeElapsedColumn(), rich.TimeRemainingColumn())
        columns = (what, rich.BarColumn(), amount, *times, rich.TextColumn("{task.fields[note]}"))
        # A log has no use for them: there they would be lines, and an empty one before a refusal.
        with rich.Progress(*columns, console=self._console, disable=not self._console.is_terminal) as bars:
            tasks: dict[str, TaskID] = {}

            def progress(things: str, done: int, total: int, note: str = "") -> None:
                if things not in tasks:
                    tasks[things] = bars.add_task(things, total=total, note=note)
                bars.update(tasks[things], completed=done, total=total, note=note)

            yield progress

    def completeness(self, missing: int, *, allowed: bool) -> int:
        """The exit status of work that was done, where some of what was announced could not be read.

        Args:
            missing: how many differences there were; each was said before.
            allowed: whether that is taken for done.
        """
        if missing and not allowed:
            self.say(
                f"done, but not all of what was announced could be read: exit status {INCOMPLETE}, {DONE} with "
                "`allow_incomplete`; the report lists it under incomplete"
            )
            return INCOMPLETE
        return DONE

    def attempt(self, work: Callable[[], Result], kept: str = "nothing was written") -> tuple[int, Result | None]:
        """Do a command's work; what stops it is said in one sentence.

        Args:
            work: it.
            kept: what is left of work that was interrupted.

        Returns:
            The exit status, and what the work gave, if it came to an end.
        """
        try:
            return DONE, work()
        except KeyboardInterrupt:
            # Python, run with -m, kills itself at its end where an interrupt has passed through exec() of a text, as
            # of rosbags and dataclasses: it takes it for one that nobody caught, until the next text.
            exec("")
            self.say(f"interrupted; {kept}")
            return INTERRUPTED, None
        except OSError as error:
            where = f"{place(str(error.filename))}: " if error.filename else ""
            self.say(f"{where}{error.strerror or error}; {kept}")
        except ConfigError as error:
            self.say(f"{self._options.get(error.parameter, error.parameter)}: {error.reason}")
        except VjepaError as error:
            self.say(str(error))
        return FAILED, None
