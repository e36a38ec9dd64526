"""Joint values out of every type of message, by themselves and through the intake."""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.builders import MS, NAMES, signal_config, stream_config

from vjepa_ros.errors import InputError
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.stream.intake import Intake
from vjepa_ros.stream.joints import FloatArrays, JointStates, JointTrajectories
from vjepa_ros.stream.watched import Watched
from vjepa_ros.stream.window import Window

S = 1000 * MS
T0_NS = 1_700_000_000 * S
POINT_FIELDS = {"position": "positions", "velocity": "velocities", "effort": "effort"}


def header(stamp_ns: int) -> SimpleNamespace:
    sec, nanosec = divmod(stamp_ns, S)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id="camera")


def joint_state(*, names: tuple[str, ...] = ("joint_b", "other", "joint_a"), **fields: list[float]) -> Any:
    values = {name: array.array("d", fields.get(name, [])) for name in ("position", "velocity", "effort")}
    return SimpleNamespace(name=list(names), **values)


def point(time_ms: float, values: list[float], field: str = "positions") -> Any:
    """A trajectory_msgs/JointTrajectoryPoint."""
    sec, nanosec = divmod(round(time_ms * MS), S)
    lists = {name: array.array("d") for name in ("positions", "velocities", "accelerations", "effort")}
    lists[field] = array.array("d", values)
    return SimpleNamespace(**lists, time_from_start=SimpleNamespace(sec=sec, nanosec=nanosec))


def trajectory(*points: Any, names: tuple[str, ...] = ("joint_b", "joint_a")) -> Any:
    return SimpleNamespace(joint_names=list(names), points=list(points))


def refusal(read: Any, message: Any) -> tuple[str, str]:
    """(reason, detail) that a message is refused with."""
    with pytest.raises(InputError) as refused:
        read(message)
    return refused.value.reason, refused.value.detail


def watched(config: Any) -> Watched:
    return Watched(JointStates(config), config.joint_names, "joint_names")


# -- sensor_msgs/JointState; joints by name and in any order: test_intake.py


@pytest.mark.parametrize("field", ["position", "velocity", "effort"])
def test_a_joint_state_gives_the_field_that_is_asked_for(field: Any) -> None:
    read = JointStates(signal_config(field=field))
    others = {name: [9.0, 9.0, 9.0] for name in ("position", "velocity", "effort") if name != field}
    assert read(joint_state(**{field: [2.0, 7.0, 1.0]}, **others)).tolist() == [1, 2]
    assert read(joint_state(**{field: [2.0, 7.0, 1.0]})).tolist() == [1, 2]  # the others may be empty
    reason, detail = refusal(read, joint_state(**others))
    assert reason == "length_mismatch"
    assert f"3 names but 0 {field}s" in detail


def test_scale_and_offset_are_applied_per_joint_in_the_order_of_joint_names() -> None:
    read = JointStates(signal_config(scale=(2.0, -1.0), offset=(0.5, 10.0)))
    assert read(joint_state(position=[3.0, 7.0, 1.0])).tolist() == [2.5, 7.0]


@pytest.mark.parametrize("names", [("x" * 4_900_000,), ("a\n[FATAL] forged",), tuple(map(str, range(100_000)))])
def test_names_neither_fill_nor_forge_a_log(names: tuple[str, ...]) -> None:
    read = watched(signal_config())
    assert read(joint_state(names=names)) is None
    assert 100 < len(read.complaint) < 400 and "\n" not in read.complaint
    wanted = signal_config(names=tuple(f"{n}{'x' * 200}" for n in range(100)))
    read = watched(wanted)
    assert read(joint_state(names=names)) is None
    assert len(read.complaint) < 2_500 and " and 90 more; those that came are about " in read.complaint
    bad = joint_state(names=wanted.joint_names, position=[np.nan] * 100)
    _, detail = refusal(JointStates(wanted), bad)
    assert len(detail) < 1_500 and detail.startswith("100 of 100 joints: '0xxx")


def test_a_long_trajectory_does_not_make_a_long_sentence() -> None:
    points = [point(10, [1.0, 2.0])] * 1_000
    reason, detail = refusal(JointTrajectories(signal_config()), trajectory(*points))
    assert reason == "bad_times" and detail.endswith("0.01], ... s") and len(detail) < 200


# -- trajectory_msgs/JointTrajectory


@pytest.mark.parametrize("field", ["position", "velocity", "effort"])
def test_a_trajectory_gives_times_and_values(field: Any) -> None:
    read = JointTrajectories(signal_config(field=field, scale=(2.0, 1.0), offset=(0.0, 5.0)))
    theirs = POINT_FIELDS[field]
    rows = read(trajectory(point(0, [2.0, 1.0], theirs), point(1500, [4.0, 3.0], theirs)))
    assert rows.tolist() == [[0, 2, 7], [1500 * MS, 6, 9]]  # times are not scaled
    assert rows.dtype == np.float64
    reordered = trajectory(point(3, [8.0, 1.0, 2.0], theirs), names=("other", "joint_a", "joint_b"))
    assert read(reordered).tolist() == [[3 * MS, 2, 7]]


@pytest.mark.parametrize(
    ("message", "reason", "said"),
    [
        (trajectory(), "empty_trajectory", "no points"),
        (trajectory(point(0, [1.0])), "length_mismatch", "2 names but 1 positions"),
        (trajectory(point(0, [1.0, 2.0]), point(10, [])), "length_mismatch", "2 names but 0 positions"),
        (trajectory(point(10, [1.0, 2.0]), point(10, [1.0, 2.0])), "bad_times", "[0.01, 0.01] s"),
        (trajectory(point(20, [1.0, 2.0]), point(10, [1.0, 2.0])), "bad_times", "[0.02, 0.01] s"),
        (trajectory(point(-10, [1.0, 2.0])), "bad_times", "[-0.01] s"),
        (trajectory(point(0, [1.0, 2.0]), point(10, [1.0, np.nan])), "not_finite", "1 of 2 joints: 'joint_a': nan"),
        (trajectory(point(0, [np.inf, 2.0])), "not_finite", "1 of 2 joints: 'joint_b': inf"),
        (trajectory(point(0, [np.inf]), names=("joint_b",)), "not_finite", "1 of 1 joints: 'joint_b': inf"),
        (trajectory(names=("joint_a",)), "empty_trajectory", "no points"),
        (
            trajectory(point(0, [1.0, 2.0], "velocities")),
            "length_mismatch",
            "2 names but 0 positions; it has velocity: actions.field takes position",
        ),
    ],
)
def test_trajectories_that_are_refused(message: Any, reason: str, said: str) -> None:
    got, detail = refusal(JointTrajectories(signal_config()), message)
    assert got == reason
    assert said in detail


# -- std_msgs/Float64MultiArray


def test_an_array_has_one_number_per_joint_in_order() -> None:
    read = FloatArrays(signal_config(scale=(1.0, 10.0), offset=(1.0, 0.0)))
    assert read(SimpleNamespace(data=array.array("d", [1.0, 2.0]))).tolist() == [2, 20]
    for data in ([], [1.0], [1.0, 2.0, 3.0]):
        reason, detail = refusal(read, SimpleNamespace(data=data))
        assert (reason, detail) == ("length_mismatch", f"{len(data)} numbers for 2 joints")
    assert refusal(read, SimpleNamespace(data=[1.0, np.nan]))[0] == "not_finite"


# -- through the intake


class Recorder:
    """An intake for one type of commands, with what it reported and gave out."""

    def __init__(self, command_type: str, **changes: Any) -> None:
        self.reports: list[tuple[str, str]] = []
        self.windows: list[Window] = []
        config = stream_config(command_type=command_type, num_frames=4, hop=4, **changes)
        self.intake = Intake(config, Preprocess("square", (4, 4)), lambda topic, why, _: self.tell(topic, why))

    def tell(self, topic: str, reason: str) -> None:
        self.reports.append((topic, reason))

    def frame(self, stamp_ns: int) -> None:
        message = SimpleNamespace(
            header=header(stamp_ns), encoding="mono8", height=4, width=4, step=4, is_bigendian=0, data=bytes(16)
        )
        self.windows += self.intake.image("/image", message, stamp_ns)

    def command(self, message: Any, received_ns: int = 0) -> None:
        self.windows += self.intake.joint_command("/commands", message, received_ns)

    def state(self, stamp_ns: int, a: float, b: float) -> None:
        message = joint_state(names=NAMES, position=[a, b])
        message.header = header(stamp_ns)
        self.windows += self.intake.joint_state("/states", message, stamp_ns)


def frames_and_states(recorder: Recorder) -> None:
    """Four frames 100 ms apart and the states at them: 1, 2, 3, 4 and their negatives."""
    for index in range(4):
        recorder.state(T0_NS + index * 100 * MS, index + 1.0, -index - 1.0)
        recorder.frame(T0_NS + index * 100 * MS)


def test_trajectories_through_the_intake() -> None:
    """Steps are at 0 and 200 ms; the trajectory starts at 0 and has its first point at 150 ms."""
    recorder = Recorder("JointTrajectory", alignment="linear", max_wait_s=0.1)
    message = trajectory(point(150, [20.0, 10.0]), point(250, [40.0, 20.0]))
    message.header = header(T0_NS)
    recorder.command(message)
    frames_and_states(recorder)
    (window,) = recorder.windows
    assert window.actions.values.tolist() == [[1, -1], [15, 30]]  # measured; then half of the way
    assert window.states.values.tolist() == [[1, -1], [3, -3]]
    assert window.actions.stamps_ns == (T0_NS, T0_NS)
    assert recorder.reports == []


def test_measured_joints_have_the_commands_scale_and_the_states_their_own() -> None:
    commands, states = signal_config("actions", scale=(10.0, 10.0)), signal_config("states", offset=(0.5, 0.5))
    recorder = Recorder("JointTrajectory", commands=commands, states=states, max_wait_s=0.1)
    message = trajectory(point(10_000, [20.0, 10.0]))
    message.header = header(T0_NS)
    recorder.command(message)
    frames_and_states(recorder)
    (window,) = recorder.windows
    assert window.actions.values.tolist() == [[10, -10], [30, -30]]
    assert window.states.values.tolist() == [[1.5, -0.5], [3.5, -2.5]]


def test_a_trajectory_without_a_stamp_starts_when_it_is_received() -> None:
    recorder = Recorder("JointTrajectory", max_wait_s=0.1)
    message = trajectory(point(0, [20.0, 10.0]), point(200, [40.0, 20.0]))
    message.header = header(0)
    recorder.command(message, T0_NS)
    frames_and_states(recorder)
    (window,) = recorder.windows
    assert window.actions.values.tolist() == [[10, 20], [20, 40]]
    assert recorder.reports == [("/commands", "zero_stamp")]


def test_bad_trajectories_are_counted_and_change_nothing() -> None:
    recorder = Recorder("JointTrajectory", state_source="none", on_missing="zero", max_wait_s=0.1)
    message = trajectory(point(20, [1.0, 2.0]), point(10, [1.0, 2.0]))
    message.header = header(T0_NS)
    recorder.command(message)
    assert recorder.reports == [("/commands", "bad_times")]
    assert dict(recorder.intake.counters.rejected) == {("/commands", "bad_times"): 1}
    frames_and_states(recorder)
    (window,) = recorder.windows
    assert window.actions.missing == 2


def test_arrays_take_the_time_of_receipt_and_say_so_once() -> None:
    recorder = Recorder("Float64MultiArray")
    for index in range(4):
        recorder.command(SimpleNamespace(data=[float(index), 10.0 * index]), T0_NS + index * 100 * MS)
    frames_and_states(recorder)
    (window,) = recorder.windows
    assert window.actions.values.tolist() == [[0, 0], [2, 20]]
    assert window.actions.stamps_ns == (T0_NS, T0_NS + 200 * MS)
    assert recorder.reports == [("/commands", "zero_stamp")]
    assert recorder.intake.counters.zero_stamps == 4


@pytest.mark.parametrize("field", ["velocity", "effort"])
def test_commands_of_another_field_beside_states_of_positions(field: Any) -> None:
    recorder = Recorder("JointState", commands=signal_config("actions", field=field))
    for index in range(4):
        message = joint_state(names=NAMES, **{field: [index + 10.0, 0.0]})
        message.header = header(T0_NS + index * 100 * MS)
        recorder.command(message)
    frames_and_states(recorder)
    (window,) = recorder.windows
    assert window.actions.values[:, 0].tolist() == [10, 12]
    assert window.states.values[:, 0].tolist() == [1, 3]


def test_of_arrays_within_one_tick_of_a_slow_clock_none_is_lost() -> None:
    """Under simulated time /clock may tick more slowly than the deltas come: equal ones are not repetitions."""
    recorder = Recorder(command_type="Float64MultiArray", reduction="sum", state_source="none")
    for tick_ns in (10**9, 10**9 + 100 * MS):
        for _ in range(10):
            recorder.intake.joint_command("/commands", SimpleNamespace(data=[0.01, 0.02]), tick_ns)
    assert recorder.intake.counters.duplicates == 0
    assert len(recorder.intake.stream._commands.groups[0].signal.between(0, 10**18)) == 20


# -- numbers that are finite only as they come


@pytest.mark.parametrize(("scale", "offset", "value"), [
    (1e300, 0.0, 1e10), (1e300, 0.0, -1e10), (1.0, 1e308, 1.7e308), (1.0, 0.0, 1e25), (1.0, 0.0, 1.7e308), (1e20, 1e20,
    1e5),
    (1e-3, 1e25, 0.0),
])  # fmt: skip
def test_what_is_too_large_once_it_is_scaled_is_refused(scale: float, offset: float, value: float) -> None:
    config = signal_config(scale=(scale, 1.0), offset=(offset, 0.0))
    first = ("not_finite", f"1 of 2 joints, too large once scaled by {config.prefix}.scale: 'joint_a': {value!r}")
    plain = ("not_finite", f"1 of 2 joints: 'joint_a': {value!r}")
    expected = plain if (scale, offset) == (1.0, 0.0) else first
    assert refusal(JointStates(config), joint_state(position=[2.0, 7.0, value])) == expected
    assert refusal(FloatArrays(config), SimpleNamespace(data=array.array("d", [value, 2.0]))) == expected
    points = point(0, [2.0, 0.0]), point(10, [2.0, value])
    if (scale, offset) in ((1e300, 0.0), (1.0, 0.0)):
        assert refusal(JointTrajectories(config), trajectory(*points)) == expected


def test_large_values_that_robots_may_have_are_read() -> None:
    assert JointStates(signal_config())(joint_state(position=[1e9, 7.0, -1e9])).tolist() == [-1e9, 1e9]
