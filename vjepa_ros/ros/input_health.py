"""Whether the node's inputs come as they are expected: which is late, which has stopped, and the numbers.

What is expected stands in the parameters: of a camera ``frame_rate`` and ``window.max_gap_s``, of commands and states
their ``timeout_s``. It reads rates, and knows no messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from vjepa_ros.config.inputs import Input
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.config.stream import StreamConfig
from vjepa_ros.ros.inputs import rows_of
from vjepa_ros.ros.rates import Rate, Rates

State = Literal["well", "awaited", "missing", "late", "stopped"]

_DISCOVERY_S = 4.0  # what a sender that is there, or is just being started, may take to be heard
_LATE = 0.5  # of the time after which it has stopped
_DIGITS = 4


@dataclass(frozen=True)
class Judged:
    """An input as it is now.

    Attributes:
        topic: its name, resolved.
        state: whether it has not come yet, has not come though it should have, is late, or has stopped.
        is_needed: whether nothing is published without it; else an older value, or zero, stands in for it.
        text: what is wrong, in words that stay the same while it lasts; empty where nothing is.
        values: the numbers.
    """

    topic: str
    state: State
    is_needed: bool
    text: str
    values: dict[str, Any]

    @property
    def keeps_from_publishing(self) -> bool:
        """Whether nothing is published for want of it."""
        return self.is_needed and self.state in ("missing", "stopped")


def judged(
    config: NodeConfig, rates: Rates, resolved: Callable[[str], str], now_s: float, *, held_up: bool = False
) -> Iterator[Judged]:
    """Every input that should come all the time.

    Args:
        config: the node's.
        rates: of what has come since the node was activated.
        resolved: gives a topic's name after what is renamed.
        now_s: the time now, by the clock of the rates.
        held_up: whether the node itself reads nothing just now: then nobody is late.
    """
    stream = config.stream
    for row, _ in rows_of(stream, config.camera.transport, config.camera.each):
        if row.quality == "latched":
            continue
        topic = resolved(row.topic)
        rate = rates.of(topic, now_s)
        is_camera = row.quality == "camera"
        wanted_hz = stream.frame_rate_hz if is_camera and stream.frame_rate_hz else None
        limit_s, name, is_needed = (
            (stream.max_gap_s, "window.max_gap_s", True) if is_camera else _of_joints(row, stream)
        )
        state, text = _state(rate, limit_s, name, wanted_hz)
        if held_up:
            state, text = "well", ""
        yield Judged(topic, state, is_needed, text, _values(topic, rate, wanted_hz, limit_s))


def _of_joints(row: Input, stream: StreamConfig) -> tuple[float, str, bool]:
    """After how long it has stopped, the parameter that says so, and whether windows are skipped then."""
    signals = [
        signal
        for signal, topic in ((stream.commands, stream.action_topic), (stream.states, stream.state_topic))
        if topic == row.topic
    ]
    strictest = min(signals or [stream.states], key=lambda signal: signal.timeout_s)
    needed = any(signal.on_missing == "skip" for signal in signals)
    return strictest.timeout_s, f"{strictest.prefix}.timeout_s", needed


def _state(rate: Rate, limit_s: float, name: str, wanted_hz: float | None) -> tuple[State, str]:
    if rate.silence_s is None:
        if rate.awaited_s is not None and rate.awaited_s > limit_s + _DISCOVERY_S:
            return "missing", f"nothing has come yet, for longer than {name} ({limit_s:g} s)"
        return "awaited", "nothing has come yet"
    if rate.silence_s > limit_s:
        return "stopped", f"nothing comes any more, for longer than {name} ({limit_s:g} s)"
    if rate.silence_s > _LATE * limit_s:
        return "late", f"it is late: the last message is older than half of {name} ({limit_s:g} s)"
    if rate.is_below(wanted_hz):
        return "late", f"it is slower than frame_rate ({wanted_hz:g} Hz): frames serve more than once"
    return "well", ""


def _values(topic: str, rate: Rate, wanted_hz: float | None, limit_s: float) -> dict[str, Any]:
    numbers = {
        "messages": rate.count, "rate_hz": rate.hz, "expected_hz": wanted_hz, "jitter_s": rate.jitter_s,
        "age_s": rate.age_s, "silence_s": rate.silence_s, "stopped_after_s": limit_s,
    }  # fmt: skip
    return {
        f"{name} {topic}": round(number, _DIGITS) if isinstance(number, float) else number
        for name, number in numbers.items()
        if number is not None
    }
