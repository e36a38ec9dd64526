"""Loads a model in a thread of its own, so that the executor's goes on: diagnostics and parameters are answered.

It tells how far it is, and can be given up. It knows no lifecycle and no parameters.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from vjepa_ros.errors import VjepaError

ModelT = TypeVar("ModelT")
Tell = Callable[[int, int], None]
"""(bytes read, bytes to read)"""

_SAID_EVERY_S = 5.0
_GB = 1e9


class Cancelled(VjepaError):
    """Nobody wants the model any more."""


class Loading(Generic[ModelT]):
    """A model that is on its way.

    Args:
        load: gives it; what it calls now and then raises :class:`Cancelled` where it is to end.
        say: told in words how far it is, every few seconds.
        ended: called once, in whichever thread: it is there, has failed, or was given up.

    Attributes:
        model: what was loaded; None before that, and where it failed.
        error: why it failed.
        is_cancelled: whether it was given up.
    """

    def __init__(self, load: Callable[[Tell], ModelT], say: Callable[[str], None], ended: Callable[[], None]) -> None:
        self._load = load
        self._say = say
        self._ended = ended
        self._once = threading.Lock()
        self._read = (0, 0)
        self._said_s = time.monotonic()
        self.model: ModelT | None = None
        self.error: Exception | None = None
        self.is_cancelled = False
        self._thread = threading.Thread(target=self._run, name="vjepa_loading", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether its thread is still at it; one that was given up ends at its next tensor, or after its warm-up."""
        return self._thread.is_alive()

    @property
    def text(self) -> str:
        """How far it is, in words."""
        read, total = self._read
        if not total:
            return "loading the model"
        if read >= total:
            return f"loading the model: {total / _GB:.2f} GB are read, it is being made ready"
        return f"loading the model: {100 * read / total:.0f} % of {total / _GB:.2f} GB"

    def cancel(self) -> None:
        """Give it up; whoever waits for it need not wait any longer."""
        self.is_cancelled = True
        self.model = None
        self._end()

    def _run(self) -> None:
        try:
            model = self._load(self._tell)
        except Cancelled:
            pass
        # It is raised again where it is waited for: in the transition, which knows what each kind means.
        except Exception as error:  # noqa: BLE001
            self.error = error
        else:
            self.model = model
        if self.is_cancelled:  # looked at last: nothing that was given up stays in memory
            self.model = None
        self._end()

    def _tell(self, read: int, total: int) -> None:
        if self.is_cancelled:
            raise Cancelled("loading was given up")
        self._read = (read, total)
        if time.monotonic() - self._said_s >= _SAID_EVERY_S:
            self._said_s = time.monotonic()
            self._say(self.text)

    def _end(self) -> None:
        if self._once.acquire(blocking=False):
            self._ended()
