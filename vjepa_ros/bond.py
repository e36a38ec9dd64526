"""One side of a bond: two programs that tell each other by heartbeats that they are alive, and when they leave.

This is the protocol of the ROS package ``bond`` (its messages' fields, and what bondcpp makes of them), by which the
lifecycle manager of Nav2 watches its nodes. Messages in and out are plain values; it knows no ROS, no threads, and no
clock but for the times that it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["waiting", "alive", "leaving", "dead"]
CONNECT_TIMEOUT_S, DISCONNECT_TIMEOUT_S = 10.0, 2.0
"""For how long the other side may take to appear, and to answer a farewell: bondcpp's."""


@dataclass(frozen=True)
class Status:
    """A heartbeat, or a farewell.

    Attributes:
        id: of the bond, the same on both sides.
        instance_id: of one side.
        active: whether that side is alive; else it leaves.
        heartbeat_timeout, heartbeat_period: its settings, in s.
    """

    id: str
    instance_id: str
    active: bool
    heartbeat_timeout: float
    heartbeat_period: float


class Bond:
    """One side of a bond, from when it is made.

    Args:
        id_: of the bond; the lifecycle manager takes a node's name.
        instance_id: of this side, like no other's.
        period_s: between two heartbeats.
        timeout_s: without a heartbeat of the other side for so long, the bond is broken.
        now_s: the time now, by a monotonic clock.

    Attributes:
        state: ``waiting`` for the other side, ``alive``, ``leaving`` until the other side has heard, or ``dead``.
        reason: why it is dead, in words; empty where it is not, or was ended here.
        strangers: messages of a third side, which a bond has no place for.
    """

    def __init__(self, id_: str, instance_id: str, *, period_s: float, timeout_s: float, now_s: float) -> None:
        self._id, self._instance_id = id_, instance_id
        self._period_s, self._timeout_s = period_s, timeout_s
        self.state: State = "waiting"
        self.reason = ""
        self.strangers = 0
        self._sister = ""
        self._until_s = now_s + CONNECT_TIMEOUT_S  # then something must have come

    def heard(self, status: Status, now_s: float) -> Status | None:
        """Take in a message of the topic, whoever's it is; what is to be answered at once."""
        if status.id != self._id or status.instance_id == self._instance_id or self.state == "dead":
            return None
        self._sister = self._sister or status.instance_id
        if status.instance_id != self._sister:
            self.strangers += 1
            return None
        if status.active:
            if self.state != "leaving":
                self.state, self._until_s = "alive", now_s + self._timeout_s
            return None
        was_leaving = self.state == "leaving"
        self._die("" if was_leaving else "the other side has ended it")
        return None if was_leaving else self._status(active=False)

    def tick(self, now_s: float) -> Status | None:
        """What is to be sent now: called once each period."""
        if self.state != "dead" and now_s >= self._until_s:
            why = {
                "waiting": f"nobody has taken it up for {CONNECT_TIMEOUT_S:g} s",
                "alive": f"no heartbeat has come for {self._timeout_s:g} s",
                "leaving": "",
            }
            self._die(why[self.state])
        return None if self.state == "dead" else self._status(active=self.state != "leaving")

    def leave(self, now_s: float) -> Status | None:
        """End it here; the farewell. Where there was another side, that is repeated until it has heard."""
        if self.state in ("leaving", "dead"):
            return None
        if self.state == "waiting":
            self._die("")
        else:
            self.state, self._until_s = "leaving", now_s + DISCONNECT_TIMEOUT_S
        return self._status(active=False)

    def _die(self, reason: str) -> None:
        self.state, self.reason = "dead", reason

    def _status(self, *, active: bool) -> Status:
        return Status(self._id, self._instance_id, active, self._timeout_s, self._period_s)
