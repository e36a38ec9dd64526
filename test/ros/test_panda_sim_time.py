"""Whose time the simulated robot takes: that of /clock, or its own, which others follow, as the predictor does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from lifecycle_msgs.msg import Transition
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger
from support.harness import Predictor, Robot
from support.messages import MS, S, stamp_ns
from support.panda_sims import Operator, PandaSim, pixels_of

from vjepa_ros.images.compressed import decode_compressed
from vjepa_ros.simulation import panda
from vjepa_ros.simulation.episodes import FRAME_NS, START_NS, simulate
from vjepa_ros.simulation.plan import World


@contextmanager
def simulated(log: Path, namespace: str, files: bool = False, **parameters: Any) -> Iterator[tuple[PandaSim, Operator]]:
    """A simulated robot in a namespace, and who looks at it; double underscores stand for dots."""
    values = {name.replace("__", "."): value for name, value in parameters.items()}
    sim = PandaSim(log, values, ("-r", f"__ns:=/{namespace}") if namespace else ())
    operator = Operator(namespace, files=files)
    try:
        yield sim, operator
    finally:
        operator.close()
        assert sim.stop() == 0, sim.log
    assert "Traceback" not in sim.log


def test_it_follows_a_clock(log_path: Path) -> None:
    with simulated(log_path, "timed", use_sim_time=True, size=32) as (sim, operator):
        clock = operator.create_publisher(Clock, "/clock", 10)
        client = operator.create_client(Trigger, "panda_sim/draw_goal")
        operator.need(client.service_is_ready, "no service")
        operator.need(lambda: clock.get_subscription_count() == 2, "nobody hears the clock")
        operator.settle(0.2)
        answer = operator.ask(client, Trigger.Request())
        assert (answer.success, answer.message) == (False, "there is no time yet: nothing has come on /clock")
        assert not operator.states

        def comes_to(time_ns: int) -> list[int]:
            """Stamps of the joints until that time, from now on."""
            operator.clear()
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(time_ns, S)
            clock.publish(message)
            operator.need(lambda: bool(operator.states) and stamp_ns(operator.states[-1]) == time_ns, sim.log)
            operator.settle(0.1)
            return [stamp_ns(message) for message in operator.states]

        assert comes_to(1000 * S) == [1000 * S]
        assert comes_to(1000 * S + 150 * MS) == [1000 * S + tick * 10 * MS for tick in range(1, 16)]
        assert [stamp_ns(message) for message in operator.pictures] == [1000 * S + FRAME_NS]
        assert comes_to(2000 * S)[-1] == 2000 * S, "what is long past is left out"
        assert len(operator.states) < 50 and "too_slow: 99" in sim.log
        assert comes_to(1500 * S) == [1500 * S]
        assert "time_jumped_back" in sim.log
        operator.call("reset")
        operator.call("draw_goal")
        operator.need(lambda: bool(operator.goals), "no goal")
        assert stamp_ns(operator.goals[0]) == 1500 * S, "the episode begins later, and the goal is of now"
        operator.send(1500 * S, panda.JOINTS, np.zeros(7))
        said = "out_of_order: stamped 2.000 s before the first frame of this episode"
        operator.need(lambda: said in sim.log, f"it does not say why it stays: {sim.log}")
        assert comes_to(1502 * S) == [1502 * S]


def test_it_does_not_wait_longer_than_it_is_told_and_sends_jpegs(log_path: Path) -> None:
    options: dict[str, Any] = {"clock__drive": True, "clock__wait_s": 0.4, "clock__rate": 10.0}
    with simulated(log_path, "hasty", files=True, **options) as (_, operator):
        operator.need(lambda: len(operator.files) >= 2 and len(operator.pictures) >= 2, "no frames")
        # None of the time that begins here waits to be read.
        operator.need(lambda: operator.time_ns >= stamp_ns(operator.pictures[-1]), "its clock is not heard")
        first_ns, began_s = operator.time_ns, time.monotonic()
        operator.need(lambda: operator.time_ns >= first_ns + 4 * FRAME_NS, "its time stands still")
        assert time.monotonic() - began_s > 3 * 0.4, "it waits at each frame"
        files = {stamp_ns(message): message for message in operator.files}
        both = [(message, files[stamp_ns(message)]) for message in operator.pictures if stamp_ns(message) in files]
        assert len(both) >= 2
        for message, file in both:
            assert file.format == "rgb8; jpeg compressed bgr8" and len(file.data) < len(message.data) / 5
            seen = decode_compressed(file.format, file.data).astype(int)
            assert 0 < np.abs(seen - pixels_of(message)).mean() < 3


def test_the_predictor_sees_the_steps_of_an_episode(log_path: Path, tmp_path: Path) -> None:
    """On the simulated robot's time: frames, commands and joints of every step, none late."""
    parameters = {
        "use_sim_time": True, "encoding": "tubelet", "hop": 2, "num_frames": 4, "frame_rate": 10.0,
        "actions.phase": "last", "actions.reduction": "difference", "states.source": "joint_states",
    }  # fmt: skip
    (episode,) = simulate(World(seed=3, frames=12, size=16, drawn=16), [0])
    predictor = Predictor(tmp_path / "predictor.txt", parameters)
    robot = Robot()
    try:
        with simulated(log_path, "", seed=3, clock__drive=True, clock__wait_s=600.0) as (_, operator):
            assert robot.change_state(Transition.TRANSITION_CONFIGURE)
            assert robot.change_state(Transition.TRANSITION_ACTIVATE)
            operator.connect(listeners=2)
            for topic in ("image", "joint_states"):
                operator.need(lambda topic=topic: operator.count_subscribers(topic) == 2, f"not two hear {topic}")
            operator.settle(0.5)
            operator.clear()
            operator.call("reset")
            for frame in range(12):
                operator.need(lambda frame=frame: len(operator.pictures) > frame, f"no frame {frame}")
                at_ns = stamp_ns(operator.pictures[frame])
                if frame == 0:
                    operator.send(at_ns - FRAME_NS, panda.JOINTS, episode.commands[0])
                elif frame % 2:
                    operator.send(at_ns, panda.JOINTS, episode.commands[(frame + 1) // 2])
            first_ns = stamp_ns(operator.pictures[0])
            assert first_ns > START_NS
            robot.need(lambda: len(robot.windows) >= 5, "too few windows")
        for number, window in enumerate(robot.windows[:5]):
            assert window["late"] == 0
            commands, ticks = episode.commands[number : number + 3], (np.arange(2) + number) * 4 + 2
            np.testing.assert_allclose(window["actions"], np.diff(commands, axis=0), rtol=0, atol=1e-6)
            np.testing.assert_allclose(window["states"], episode.joints[ticks], rtol=0, atol=1e-6)
    finally:
        robot.close()
        assert predictor.stop() == 0, predictor.log
