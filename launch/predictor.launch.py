"""Start the lifecycle node ``vjepa_predictor``, configure and activate it.

An argument overrides the parameter file only where it is given; ``docs/launch.md`` describes each. The file knows the
node's name, topics and some of its parameters, and nothing of what the node does.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import launch.logging
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.events.process import ProcessStarted
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.ros_adapters import get_ros_node
from launch_ros.substitutions import FindPackageShare
from launch_ros.utilities import make_namespace_absolute, prefix_namespace
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState

from vjepa_ros.config import inputs, names

POLL_S = 0.1  # how often a pending answer is looked at
ANSWER_S = 1.0  # a get_state request that has no answer after this long is sent again
FASTDDS_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # of Fast DDS 2 and 3

STRING_PARAMETERS = {  # arguments that are parameters of the node
    "preset": "preset",
    "checkpoint": "checkpoint",
    "device": "device",
    "image_transport": "image_transport",
    "pose_source": "pose.source",
    "tip_link": "pose.tip_link",
    "base_link": "pose.base_link",
    "planner_goals": "planner.goals",
}
BOOLEAN_PARAMETERS = {"use_sim_time": "use_sim_time", "planner": "planner.enabled"}


def generate_launch_description() -> LaunchDescription:
    """The arguments, and the node that they describe."""
    keep = "Empty: as the parameter file says."
    default_params_file = PathJoinSubstitution([FindPackageShare("vjepa_ros"), "config", "predictor.yaml"])
    return LaunchDescription(
        [
            _argument("params_file", default_params_file, "Parameter file (YAML) of the node."),
            _argument("preset", "", f"Name of the model preset. {keep}"),
            _argument("checkpoint", "", f"Path of the weights file. {keep}"),
            _argument("device", "", f"Where the model runs: auto, cpu, cuda or cuda:<index>. {keep}"),
            *(_argument(name, default, text) for name, (default, text) in inputs.launch_arguments().items()),
            _argument(
                "image_transport",
                "",
                "raw subscribes to <image_topic>, compressed to <image_topic>/compressed, "
                "ffmpeg to <image_topic>/ffmpeg. "
                f"{keep}",
                choices=["", *inputs.CAMERAS],
            ),
            _argument(
                "pose_source",
                "",
                f"Where end-effector poses come from, for models that need them. {keep}",
                choices=["", "names", "pose_topic", "forward_kinematics"],
            ),
            _argument("tip_link", "", f"Link whose pose forward kinematics compute. {keep}"),
            _argument("base_link", "", f"Link that poses are relative to. {keep}"),
            _argument("planner", "", f"true adds a planner to the node; true or false. {keep}"),
            _argument("planner_goals", "", f"Folder of goal images that it plans towards. {keep}"),
            _argument("namespace", "", "Namespace of the node."),
            _argument("node_name", "vjepa_predictor", "Name of the node."),
            _argument("use_sim_time", "", f"true takes the time from /clock; true or false. {keep}"),
            _argument(
                "log_level",
                "info",
                "Least severe messages that the node logs; other loggers of its process keep theirs.",
                choices=["debug", "info", "warn", "error", "fatal"],
            ),
            _argument(
                "fastdds_profile",
                "",
                "Fast DDS profile (XML) of the node's process: a path, or true for the package's with 64 MB of shared "
                "memory. Empty: as the environment says.",
            ),
            _argument("autostart", "true", "Configure and activate the node whenever its process starts."),
            _argument("respawn", "false", "Start the node's process again when it ends."),
            _argument("respawn_delay", "2.0", "Pause before a respawn, in seconds."),
            OpaqueFunction(function=_node),
        ]
    )


def _argument(name: str, default: Any, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]


def _read(context: LaunchContext, name: str, kind: Callable[[str], Any]) -> Any:
    """The argument ``name`` as ``kind`` reads it; a RuntimeError that names it where that fails."""
    text = context.launch_configurations[name]
    try:
        return kind(text)
    except (KeyError, ValueError):
        raise RuntimeError(f"{name}: {text!r} is not a {kind.__name__.strip('_')}") from None


def _environment(context: LaunchContext) -> dict[str, str]:
    """What the node's process gets in its environment besides launch's own.

    Raises:
        RuntimeError: where ``fastdds_profile`` is not a file (Fast DDS would go on without it).
    """
    given = context.launch_configurations["fastdds_profile"].strip()
    if given.lower() in ("", "false"):
        return {}
    if given.lower() == "true":
        given = PathJoinSubstitution([FindPackageShare("vjepa_ros"), "config", "fastdds.xml"]).perform(context)
    path = Path(given).expanduser().resolve()
    if not path.is_file():
        raise RuntimeError(f"fastdds_profile: {path} is not a file")
    return dict.fromkeys(FASTDDS_VARIABLES, str(path))


def _node(context: LaunchContext) -> list[Any]:
    """The node action; before it, where ``autostart`` is true, the handler of its start.

    Raises:
        RuntimeError: where an argument cannot be read or ``params_file`` is not a file (launch itself would only warn
            and run without it).
    """
    given = context.launch_configurations
    params_file = Path(given["params_file"]).expanduser()
    if not params_file.is_file():
        raise RuntimeError(f"params_file: {params_file} is not a file")
    declared = [argument.name for argument in generate_launch_description().get_launch_arguments()]
    for sentence in names.unknown_arguments(given, declared):  # launch itself says nothing of them
        launch.logging.get_logger("predictor.launch.py").warning(sentence)
    # Typed, or YAML would turn a preset or a path that looks like a number into one.
    overrides: dict[str, Any] = {
        parameter: ParameterValue(given[name], value_type=str)
        for name, parameter in STRING_PARAMETERS.items()
        if given[name]
    }
    for name, parameter in BOOLEAN_PARAMETERS.items():
        if given[name]:
            overrides[parameter] = _read(context, name, _boolean)
    namespace = make_namespace_absolute(prefix_namespace(given.get("ros_namespace"), given["namespace"]))
    logger = prefix_namespace(namespace, given["node_name"]).strip("/").replace("/", ".")  # as rcl names it
    autostart, respawn = _read(context, "autostart", _boolean), _read(context, "respawn", _boolean)
    # A respawned process is not started by launch_ros's own.
    own = {"autostart": True} if autostart and not respawn and _has_autostart() else {}
    node = LifecycleNode(
        package="vjepa_ros",
        executable="predictor_node",
        name=given["node_name"],
        namespace=given["namespace"],
        # launch_ros writes a dictionary under the node's full name, which beats the wildcards of a file before it.
        parameters=[str(params_file), *([overrides] if overrides else [])],
        remappings=inputs.remappings(given),
        ros_arguments=["--log-level", f"{logger}:={given['log_level']}"],
        additional_env=_environment(context),
        output="screen",
        respawn=respawn,
        respawn_delay=_read(context, "respawn_delay", float),
        **own,
    )
    if not autostart:
        return [node]
    if own:
        return [RegisterEventHandler(OnStateTransition(target_lifecycle_node=node, entities=[_Told(node)])), node]

    def on_start(event: ProcessStarted, context: LaunchContext) -> None:
        task = context.asyncio_loop.create_task(_configure_and_activate(context, node, event.pid))
        context.add_completion_future(task)  # so that launch reports what it raises

    return [RegisterEventHandler(OnProcessStart(target_action=node, on_start=on_start)), node]


def _has_autostart() -> bool:
    """Whether launch_ros brings lifecycle nodes to active by itself: 0.26.7 of Jazzy, and those of Kilted and later."""
    return "autostart" in inspect.signature(LifecycleNode.__init__).parameters


def _tell_failure(node: LifecycleNode, label: str, state: str) -> None:
    """Log that a transition was not made, and what to do."""
    launch.logging.get_logger("predictor.launch.py").error(
        f"{node.node_name} failed to {label} and is now {state}; it logged the reason. "
        f"To try again: ros2 lifecycle set {node.node_name} {label}"
    )


class _Told(OpaqueFunction):
    """Logs a transition of a node, where launch_ros's own autostart says less."""

    FAILED = {("configuring", "unconfigured"): "configure", ("activating", "inactive"): "activate"}
    MADE = {("configuring", "inactive"), ("activating", "active")}

    def __init__(self, node: LifecycleNode) -> None:
        super().__init__(function=self._tell)
        self._node = node

    def _tell(self, context: LaunchContext) -> None:
        event = context.locals.event
        states = (event.start_state, event.goal_state)
        if states in self.FAILED:
            _tell_failure(self._node, self.FAILED[states], event.goal_state)
        elif states in self.MADE:
            launch.logging.get_logger("predictor.launch.py").info(f"{self._node.node_name} is {event.goal_state}")


async def _configure_and_activate(context: LaunchContext, node: LifecycleNode, pid: int) -> None:
    """Bring the process ``pid`` of ``node`` to active, or log why it is not; give up silently when it has ended.

    For a launch_ros without an autostart of its own, and for processes that are respawned. launch_ros has ChangeState
    events for this. They send their request as soon as the service is known, and wait for the answer without an end.
    The services of a process that was killed stay known for the middleware's lease (20 s with Fast DDS), so the request
    of its respawned successor would go to the dead one. Here nothing is requested before the living process has
    answered.
    """
    log = launch.logging.get_logger("predictor.launch.py")
    ros = get_ros_node(context)
    # In the order of the node's services, so that where get_state answers change_state has been matched too.
    change_state = ros.create_client(ChangeState, f"{node.node_name}/change_state")
    get_state = ros.create_client(GetState, f"{node.node_name}/get_state")

    def ended() -> bool:
        return context.is_shutdown or node.return_code is not None or node.process_details["pid"] != pid

    async def answer_to(client: Any, request: Any, timeout_s: float = float("inf")) -> Any:
        """The answer; None when ``timeout_s`` passed or the process ended before it."""
        if ended():  # at a shutdown the clients are gone too
            return None
        future = client.call_async(request)
        while not future.done() and timeout_s > 0 and not ended():
            await asyncio.sleep(POLL_S)
            timeout_s -= POLL_S
        return future.result() if future.done() else None

    try:
        state = None
        while state is None and not ended():
            state = await answer_to(get_state, GetState.Request(), ANSWER_S)
        for transition_id, label, start_id in (
            (Transition.TRANSITION_CONFIGURE, "configure", State.PRIMARY_STATE_UNCONFIGURED),
            (Transition.TRANSITION_ACTIVATE, "activate", State.PRIMARY_STATE_INACTIVE),
        ):
            if state is None or state.current_state.id != start_id:
                continue  # it ended, or somebody else was faster
            answer = await answer_to(change_state, ChangeState.Request(transition=Transition(id=transition_id)))
            state = await answer_to(get_state, GetState.Request())
            if answer is None or state is None:
                return
            if not answer.success:
                _tell_failure(node, label, state.current_state.label)
                return
            log.info(f"{node.node_name} is {state.current_state.label}")
    finally:
        if not context.is_shutdown:  # at a shutdown launch destroys its ROS node, and these with it
            ros.destroy_client(get_state)
            ros.destroy_client(change_state)
