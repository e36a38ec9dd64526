"""How often something is said in the log that lasts, or that happens again and again.

It knows what is said, not what it means.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable

from rclpy.impl.rcutils_logger import RcutilsLogger

from vjepa_ros.ros.graph import Finding
from vjepa_ros.stream.intake import Intake
from vjepa_ros.stream.window import EpochCause

WARN_PERIOD_S = 5.0
_AGAIN_S = 60.0  # what lasts is said again after so long
_RESETS, _RESETS_S, _SELDOM_S = 20, 60.0, 5.0  # so many in so long are said one by one, then one in so long


class Warnings:
    """Warns about each (topic, reason) at most every few seconds, and then says how many there were.

    rclpy's own throttling goes by the calling line, which is one for all topics and reasons.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._last_s: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def __call__(self, topic: str, reason: str, detail: str) -> None:
        """Report one dropped message, or whatever else must not be silent."""
        key = (topic, reason)
        now_s = time.monotonic()
        if now_s - self._last_s.get(key, float("-inf")) < WARN_PERIOD_S:
            self._unsaid[key] = self._unsaid.get(key, 0) + 1
            return
        self._last_s[key] = now_s
        more = self._unsaid.pop(key, 0)
        self._logger.warning(
            f"{topic}: {reason}: {detail}" + (f" ({more} more since the last warning)" if more else "")
        )


class Lasting:
    """Says what lasts when it begins, when it changes, and once a minute.

    What changes all the time is said as it is then every few seconds; what it was when it ended changing too.

    Args:
        logger: of the node.
        again_s: what stays as it is is said again after so long.
    """

    def __init__(self, logger: RcutilsLogger, again_s: float = _AGAIN_S) -> None:
        self._logger = logger
        self._again_s = again_s
        self._said: dict[tuple[str, str], tuple[str, float]] = {}

    def __call__(self, findings: Iterable[Finding]) -> None:
        """Say what of this is new; what is not among it any more is over."""
        now_s, said = time.monotonic(), {}
        for found in findings:
            key = (found.topic, found.reason)
            detail, at_s = self._said.get(key, ("", -math.inf))
            if now_s - at_s >= (self._again_s if detail == found.detail else _SELDOM_S):
                self._logger.warning(f"{found.topic}: {found.reason}: {found.detail}")
                detail, at_s = found.detail, now_s
            said[key] = detail, at_s
        self._said = said


class Resets:
    """Says why everything was reset.

    Jumps back in the stamps are warned about, as other things are that happen to messages. The others are said one by
    one; where they come without end, seldom, with how many there were.

    Args:
        logger: of the node.
        warn: called with (topic, reason, detail), and throttles.
    """

    def __init__(self, logger: RcutilsLogger, warn: Callable[[str, str, str], None]) -> None:
        self._logger = logger
        self._warn = warn
        self._at_s: deque[float] = deque(maxlen=_RESETS)
        self._unsaid = 0

    def __call__(self, intake: Intake, camera: str = "") -> None:
        """An epoch has begun, of a camera where it is one of several."""
        cause = intake.stream.epoch_cause
        of = f" of {camera}" if camera else ""
        text = f"reset ({cause.value}): epoch {intake.stream.epoch}{of}"
        topic, jump = intake.watch.last_jump
        if cause is EpochCause.STAMPS:
            self._warn(topic, "time_jumped_back", f"{text}: {jump}")
            return
        now_s = time.monotonic()
        if len(self._at_s) == _RESETS and now_s - self._at_s[0] < _RESETS_S and now_s - self._at_s[-1] < _SELDOM_S:
            self._unsaid += 1
            return
        self._at_s.append(now_s)
        more, self._unsaid = f" ({self._unsaid} more before it)" if self._unsaid else "", 0
        self._logger.info(text + (f": {topic} {jump}" if cause is EpochCause.CLOCK else "") + more)
