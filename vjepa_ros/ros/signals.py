"""What signals do to the process: each of SIGINT, SIGTERM and SIGHUP ends it cleanly, however often it comes.

rclpy ends the spinning at SIGINT and SIGTERM by handlers of its own, in C, and calls the ones that stand here after it.
It wakes the executor before it ends the context: one that looks in between waits on, for ever where nothing else comes
(of 360 nodes without traffic on two busy cores, 3). So it is woken here until all is closed. It knows no node.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rclpy.exceptions import InvalidHandle

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A second SIGINT within this time belongs to the first: of a terminal and of `ros2 launch`, or of an impatient hand.
TOGETHER_S = 1.0
_WAKING_S = 0.05  # from one wake to the next


class Signals:
    """The handlers, from :meth:`install` on.

    Attributes:
        came: whether one of the signals has come.
        wake: wakes who spins, from any thread; called again and again from the first signal until :meth:`close`.
    """

    def __init__(self) -> None:
        self.came = False
        self.wake: Callable[[], None] = lambda: None
        self._first_s = 0.0
        self._is_closing = False

    @contextmanager
    def installed(self) -> Iterator[Signals]:
        """Handle the signals for as long as this lasts; after it they are ignored: the process is at its end."""
        was_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # by nohup, which means it
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in _ENDING:
            if number != signal.SIGHUP or not was_ignored:
                signal.signal(number, self._on_signal)
        thread = threading.Thread(target=self._watch, args=(reading,), name="signals", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.close()
            for number in _ENDING:
                signal.signal(number, signal.SIG_IGN)  # Python would put back the default while it ends, which kills
            signal.set_wakeup_fd(-1)
            os.close(writing)
            thread.join()
            os.close(reading)

    def close(self) -> None:
        """From now on no signal raises anything: the node is being closed."""
        self._is_closing = True

    def _on_signal(self, number: int, _frame: object) -> None:
        """Python's own handler would raise wherever the main thread is, in the middle of converting a message too: of
        114 nodes interrupted while messages came, 7 ended with status 1. One SIGINT a good while after the first is
        Python's again, for those who do not want to wait for a model that is being loaded.
        """
        now_s = time.monotonic()
        if not self.came:
            self.came, self._first_s = True, now_s
        elif number == signal.SIGINT and not self._is_closing and now_s - self._first_s > TOGETHER_S:
            self._is_closing = True
            raise KeyboardInterrupt

    def _watch(self, reading: int) -> None:
        """Turn SIGHUP, which rclpy does not know, into SIGTERM; in a thread, since the main one may wait in C."""
        while numbers := os.read(reading, 64):
            if signal.SIGHUP in numbers:
                os.kill(os.getpid(), signal.SIGTERM)
            elif set(numbers) & {*_ENDING}:
                while not self._is_closing:
                    with suppress(InvalidHandle, AttributeError):  # of an executor that has just been closed
                        self.wake()
                    time.sleep(_WAKING_S)
