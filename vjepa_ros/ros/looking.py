"""A look at the graph before the node runs: whether the middleware starts, and whether what the node reads is there.

Its messages go for a few seconds through the node's own intake, whose windows nobody wants. It subscribes as the node
would, publishes nothing, and changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible

from vjepa_ros.config.inputs import CAMERAS, Input, of_camera
from vjepa_ros.config.names import QOS
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.doctor.line import Line, is_well, ok, warning, wrong
from vjepa_ros.errors import ConfigError
from vjepa_ros.images import bridge
from vjepa_ros.ros import bonding, graph, qos
from vjepa_ros.ros.connections import describe
from vjepa_ros.ros.inputs import message_class, renamed_in_vain, require_messages, rows_of
from vjepa_ros.ros.messages import message_stamp_ns
from vjepa_ros.ros.rates import Rates
from vjepa_ros.stream.intake import build_intake
from vjepa_ros.units import S_TO_NS

NAME = "vjepa_doctor"
_TURN_S = 0.05
_LEAST_S = 2.5  # a stamp stands still once it has for a second
_ENOUGH = (64, 1)  # messages of a topic that is judged by them, and of a latched one; clocks are judged by 31
_SEE = "see docs/topics.md and docs/time.md"
_MILD = ("damaged_image", "rotation_ignored", "zero_stamp")  # said of messages that are used all the same


@dataclass(frozen=True)
class Looking:
    """How is looked.

    Attributes:
        node_name: full name of the node that it is about; relative topics are those of its namespace.
        wait_s: how long messages are listened to at most; less where enough of each have come.
        arguments: of ROS, for renaming and whatever else.
    """

    node_name: str
    wait_s: float = 5.0
    arguments: Sequence[str] = ()

    def __call__(self, config: NodeConfig, of_ros: Mapping[str, Any]) -> Iterator[Line]:
        """What is to be said of the middleware, the clock and every topic that is read.

        Args:
            config: what the parameters say.
            of_ros: parameters of ROS itself: ``use_sim_time`` and qualities of service.
        """
        try:
            require_messages(config.stream, config.camera.transport, bonding.needed(config.bond))
        except ConfigError as error:
            yield wrong("messages", str(error), "install that package, or set the parameter to another type")
            return
        context = rclpy.Context()
        try:
            rclpy.init(args=list(self.arguments), context=context)
            node = self._node(context, of_ros)
        # Whatever the middleware raises: RCLError is a RuntimeError, a wrong name a ValueError of rclpy's own.
        except Exception as error:  # noqa: BLE001
            said = " ".join(str(error).split())[:300]
            remedy = "see RMW_IMPLEMENTATION, the arguments of ROS, and that its middleware is installed"
            yield wrong("middleware", f"no node can be started: {said}", remedy)
            context.try_shutdown()
            return
        try:
            yield ok("middleware", rclpy.get_rmw_implementation_identifier())
            yield from _Visit(node, config, context).lines(self.wait_s)
        finally:
            node.destroy_node()
            context.try_shutdown()

    def _node(self, context: rclpy.Context, of_ros: Mapping[str, Any]) -> Node:
        """A node in the namespace of the other, with its clock and its qualities of service."""
        namespace = self.node_name.rpartition("/")[0]
        given = [
            Parameter(name, value=value)
            for name, value in of_ros.items()
            if name == "use_sim_time" or name.startswith(QOS)
        ]
        return Node(
            NAME, namespace=namespace or None, context=context, parameter_overrides=given,
            start_parameter_services=False,
        )  # fmt: skip


class _Visit:
    """What one look sees."""

    def __init__(self, node: Node, config: NodeConfig, context: rclpy.Context) -> None:
        self._node = node
        self._config = config
        self._context = context
        self._graph = graph.Graph(node)
        self._reports: dict[tuple[str, str], str] = {}
        self._rates = Rates()
        self._intakes = [build_intake(config, self._report, bridge.decode) for _ in config.camera.each]
        for intake in self._intakes:
            intake.watch.setting = partial(graph.setting_of, node)
        self._intake = self._intakes[0]  # what is said of commands and states is the same for all cameras

    def _report(self, topic: str, reason: str, detail: str) -> None:
        self._reports.setdefault((topic, reason), detail)

    def lines(self, wait_s: float) -> Iterator[Line]:
        """Listen, then say what there is."""
        executor = SingleThreadedExecutor(context=self._context)
        executor.add_node(self._node)
        rows = rows_of(self._config.stream, self._config.camera.transport, self._config.camera.each)
        for row, ros_type in rows:
            topic = self._node.resolve_topic_name(row.topic)
            self._node.create_subscription(
                message_class(ros_type), topic, partial(self._take, row, topic), qos.OF_INPUTS[row.quality](),
                qos_overriding_options=qos.overridable(),
            )  # fmt: skip
        enough = {self._node.resolve_topic_name(row.topic): _ENOUGH[row.quality == "latched"] for row, _ in rows}
        began_s = time.monotonic()
        while (listened_s := time.monotonic() - began_s) < wait_s and self._context.ok():
            there = all(self._rates.of(topic).count >= least for topic, least in enough.items())
            if there and listened_s >= _LEAST_S:
                break
            executor.spin_once(timeout_sec=_TURN_S)
        executor.shutdown()
        yield from self._clock()
        found, remedy = renamed_in_vain(self._node, self._config.camera)
        if found:
            yield warning("cameras", found, remedy)
        for row, ros_type in rows:
            yield from self._topic(row, ros_type, wait_s)

    def _take(self, row: Input, topic: str, message: Any) -> None:
        stamp_ns = message_stamp_ns(message)
        now_ns = self._node.get_clock().now().nanoseconds
        self._rates.add(topic, time.monotonic(), None if stamp_ns is None else now_ns - stamp_ns)
        for intake, camera in zip(self._intakes, self._config.camera.each, strict=True):
            if row.quality != "camera" or row.topic == of_camera(CAMERAS[self._config.camera.transport].topic, camera):
                intake.taker(row)(topic, message, now_ns)

    def _clock(self) -> Iterator[Line]:
        if not self._node.get_parameter("use_sim_time").value:
            return
        senders = self._node.get_publishers_info_by_topic(graph.CLOCK)
        time_s = self._node.get_clock().now().nanoseconds / S_TO_NS
        if not (senders and time_s > 0):
            yield _line("topic /clock", graph.Graph.clock_stands(senders, time_s))
        else:
            yield ok("topic /clock", f"use_sim_time is true, and it is {time_s:.3f} s")

    def _topic(self, row: Input, ros_type: str, wait_s: float) -> Iterator[Line]:
        """All that is wrong with a topic, or that it is as it should be."""
        topic = self._node.resolve_topic_name(row.topic)
        subject = f"topic {topic}"
        found = [*self._of_senders(subject, topic, row, ros_type)]
        found += self._of_messages(subject, topic, row, wait_s if is_well(found) else None)
        yield from found
        if not found:
            rate = self._rates.of(topic)
            hz = f", {rate.hz:.1f} Hz" if rate.hz else ""
            age = "" if rate.age_s is None else f", stamps {rate.age_s * 1e3:.1f} ms before they arrive"
            values = {"type": ros_type, "hz": rate.hz, "age_s": rate.age_s, "messages": rate.count}
            yield ok(subject, f"{ros_type}{hz}{age}", **values)

    def _of_senders(self, subject: str, topic: str, row: Input, ros_type: str) -> Iterator[Line]:
        senders = [s for s in self._node.get_publishers_info_by_topic(topic) if s.node_name != NAME]
        if not senders:
            yield _line(subject, self._graph.nobody(topic, row, ros_type))
        ours = [sender for sender in senders if sender.topic_type == ros_type]
        for finding in graph.other_types(topic, row, ros_type, [s for s in senders if s not in ours]):
            yield _line(subject, finding)
        if len(ours) > 1 and not self._intake.watch.complete_each_other(topic):
            yield _line(subject, graph.several(topic, row, ours), say=warning)
        own = self._node.get_subscriptions_info_by_topic(topic)
        mine = next((end.qos_profile for end in own if end.node_name == NAME), None)
        for sender in ours if mine is not None else []:
            compatible, reason = qos_check_compatible(sender.qos_profile, mine)
            if compatible == QoSCompatibility.ERROR:
                theirs = sender.qos_profile
                found = f"{sender.node_name} publishes {describe(theirs)}, the node asks for {describe(mine)}"
                yield wrong(subject, f"{found}: {reason.rstrip(';')}", _asking_less(topic, theirs, mine))

    def _of_messages(self, subject: str, topic: str, row: Input, wait_s: float | None) -> Iterator[Line]:
        """What came; why nothing came, in so many seconds, where the senders do not say it already (None)."""
        rate = self._rates.of(topic)
        if rate.count == 0:
            if wait_s is not None:
                remedy = "see that the sender runs, and that its host and its ROS_DOMAIN_ID are this one's"
                yield wrong(subject, f"nothing has come for {wait_s:g} s, though somebody publishes it", remedy)
            return
        for (of, reason), detail in self._reports.items():
            if of == topic and reason != "missing_joints":
                say = warning if reason in _MILD else wrong
                yield say(subject, f"{reason}: {detail}", _SEE, reason=reason)
        for complaint in self._intake.complaints:
            if complaint.startswith(f"{topic}: "):
                found, _, remedy = complaint.removeprefix(f"{topic}: ").partition(". ")
                yield wrong(subject, found, remedy, reason="missing_joints")
        problems = {key: text for intake in reversed(self._intakes) for key, text in intake.watch.problems.items()}
        for key, text in problems.items():
            reason = key.partition(" ")[0]
            if text.startswith(f"{topic}: ") and (topic, reason) not in self._reports:
                yield wrong(subject, f"{reason}: {text.removeprefix(f'{topic}: ')}", _SEE, reason=reason)
        yield from self._of_rate(subject, row, topic)

    def _of_rate(self, subject: str, row: Input, topic: str) -> Iterator[Line]:
        rate, stream = self._rates.of(topic), self._config.stream
        if rate.hz is None or rate.longest_s is None:
            return
        if row.quality == "camera":
            wanted_hz = stream.frame_rate_hz
            if rate.is_below(wanted_hz):
                found = f"{rate.hz:.1f} frames a second come, frame_rate is {wanted_hz:g} Hz: frames serve twice"
                yield warning(subject, found, "let the camera be faster, or lower frame_rate", hz=rate.hz)
            if rate.longest_s > stream.max_gap_s:
                found = (
                    f"{rate.longest_s:.3f} s between two frames restart the window (more than {stream.max_gap_s:g} s)"
                )
                yield warning(subject, found, "mend the camera or its way, or raise window.max_gap_s", hz=rate.hz)
        for signal, read in ((stream.commands, stream.action_topic), (stream.states, stream.state_topic)):
            if row.topic == read and rate.longest_s > signal.timeout_s:
                found = (
                    f"{rate.longest_s:.3f} s between two messages: older than {signal.timeout_s:g} s they are missing"
                )
                remedy = f"send more often, raise {signal.prefix}.timeout_s, or set {signal.prefix}.on_missing: hold"
                yield warning(subject, found, remedy, hz=rate.hz)


def _line(subject: str, finding: graph.Finding, say: Any = wrong) -> Line:
    """What the node would say, its remedy apart."""
    line: Line = say(subject, finding.found, finding.remedy)
    return line


def _asking_less(topic: str, theirs: QoSProfile, mine: QoSProfile) -> str:
    """What lets messages through where a reader asks for more than a sender offers."""
    more = (
        ("reliability", ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT),
        ("durability", DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE),
    )
    settings = [
        f"qos_overrides.{topic}.subscription.{policy}: {offered.name.lower()}"
        for policy, asked, offered in more
        if getattr(mine, policy) == asked and getattr(theirs, policy) == offered
    ]
    return f"change the sender, or set {' and '.join(settings)}" if settings else "change the sender"
