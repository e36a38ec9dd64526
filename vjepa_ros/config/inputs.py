"""What the node reads: one row per topic and one per type of commands, which say all that differs between them.

A row names code and message types by text instead of importing them, so that the launch file, the recordings and the
node read one table, each without what the others need. It knows no ROS, no numpy and no files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vjepa_ros.config.checks import Refusal
    from vjepa_ros.config.stream import StreamConfig

Quality = Literal["camera", "sensor", "reliable", "latched"]
"""A quality of service, by what is sent so; :mod:`vjepa_ros.ros.qos` has the profiles."""

JOINT_STATE = "sensor_msgs/msg/JointState"
DYNAMIC_JOINT_STATE = "control_msgs/msg/DynamicJointState"
CONTROLLER_STATE = "control_msgs/msg/JointTrajectoryControllerState"
POSE = "geometry_msgs/msg/PoseStamped"


@dataclass(frozen=True)
class CommandType:
    """A type of message that commands may come as.

    Attributes:
        name: the value of ``actions.type``.
        ros_type: of the messages.
        decoder: ``module:name`` of what makes, of a :class:`~vjepa_ros.config.stream.SignalConfig`, a function
            message -> (A,) float64; for trajectories -> (points, 1 + A), the time from the start in ns first; a
            :class:`~vjepa_ros.stream.joint_signal.Part` of that where a message has some of the joints, None where it
            has none. That function raises InputError for what it cannot use.
        has_fields: whether a joint has a position, a velocity and an effort in it, rather than one number.
        is_trajectory: whether a message says what is meant at later times too.
    """

    name: str
    ros_type: str
    decoder: str
    has_fields: bool = True
    is_trajectory: bool = False

    def refusals(self, config: StreamConfig) -> Iterator[Refusal]:
        """What makes no sense together with it."""
        yield (
            config.pose.is_made_here and config.action_topic == "joint_commands"
            and (self.is_trajectory or not self.has_fields),
            "actions.type",
            "commanded end-effector poses are made of joints by name, as they are now, such as in JointState messages: "
            "use them, or set pose.actions: measured",
        )  # fmt: skip
        yield (
            not self.has_fields and config.commands.field != "position", "actions.field",
            f"a {self.name} has no fields: leave it at position",
        )  # fmt: skip


COMMAND_TYPES: dict[str, CommandType] = {
    row.name: row
    for row in (
        CommandType("JointState", JOINT_STATE, "vjepa_ros.stream.joints:JointStates"),
        CommandType(
            "JointTrajectory", "trajectory_msgs/msg/JointTrajectory", "vjepa_ros.stream.joints:JointTrajectories",
            is_trajectory=True,
        ),
        CommandType(
            "Float64MultiArray", "std_msgs/msg/Float64MultiArray", "vjepa_ros.stream.joints:FloatArrays",
            has_fields=False,
        ),
        CommandType(
            "JointTrajectoryControllerState", CONTROLLER_STATE, "vjepa_ros.stream.joints:ControllerReferences"
        ),
        CommandType("DynamicJointState", DYNAMIC_JOINT_STATE, "vjepa_ros.stream.joints:DynamicJointStates"),
    )
}  # fmt: skip
"""Every type of commands, by the value of ``actions.type``."""


@dataclass(frozen=True)
class StateType:
    """A type of message that measured joints may come as.

    Attributes:
        name: the value of ``states.type``.
        ros_type: of the messages.
        decoder: as of :class:`CommandType`.
    """

    name: str
    ros_type: str
    decoder: str


STATE_TYPES: dict[str, StateType] = {
    row.name: row
    for row in (
        StateType("JointState", JOINT_STATE, "vjepa_ros.stream.joints:JointStates"),
        StateType("JointTrajectoryControllerState", CONTROLLER_STATE, "vjepa_ros.stream.joints:ControllerFeedback"),
        StateType("DynamicJointState", DYNAMIC_JOINT_STATE, "vjepa_ros.stream.joints:DynamicJointStates"),
    )
}
"""Every type of measured joints, by the value of ``states.type``."""

TYPES: dict[str, Mapping[str, CommandType | StateType]] = {"actions.type": COMMAND_TYPES, "states.type": STATE_TYPES}
"""What an input's type may be, by the parameter that decides it."""


def _always(_config: StreamConfig) -> bool:
    return True


def _by_source(topic: str) -> Callable[[StreamConfig], bool]:
    return lambda config: topic in (config.action_topic, config.state_topic)


@dataclass(frozen=True)
class Input:
    """A topic that the node reads.

    Attributes:
        topic: its name for the node, which can be remapped.
        ros_type: of its messages; empty where a parameter decides.
        quality: its quality of service.
        take: ``module:function`` of what takes in a message: (intake, topic, message, time of receipt in ns) ->
            windows.
        argument: the launch file's argument for another name, empty where it has none; a topic of a recording is named
            by the option of the row's own name instead.
        description: of that argument.
        suffix: what is added to that argument's value.
        is_read: whether a configuration reads it at all.
        typed_by: the parameter that decides, where one does, see :data:`TYPES`.
        camera: whose it is, where there are several; empty else.
    """

    topic: str
    ros_type: str
    quality: Quality
    take: str
    argument: str
    description: str
    suffix: str = ""
    is_read: Callable[[StreamConfig], bool] = _always
    typed_by: str = ""
    camera: str = ""

    def renamed(self, to: str = "") -> str:
        """How it is renamed, in words; ``to`` is the other name."""
        where = f":={to.removesuffix(self.suffix)}" if to else ""
        launch = f" (launch: {self.argument}{where})" if self.argument else ""
        return f"remap {self.topic}{f':={to}' if to else ''}{launch}"


_INTAKE = "vjepa_ros.stream.intake:Intake"
_CAMERA = "Camera topic, without a trailing /compressed. It does nothing where there are several cameras."

CAMERAS: dict[str, Input] = {
    "raw": Input("image", "sensor_msgs/msg/Image", "camera", f"{_INTAKE}.image", "image_topic", _CAMERA),
    "compressed": Input(
        "image/compressed", "sensor_msgs/msg/CompressedImage", "camera", f"{_INTAKE}.compressed_image",
        "image_topic", _CAMERA, suffix="/compressed",
    ),
    "ffmpeg": Input(
        "image/ffmpeg", "ffmpeg_image_transport_msgs/msg/FFMPEGPacket", "camera", f"{_INTAKE}.video_packet",
        "image_topic", _CAMERA, suffix="/ffmpeg",
    ),
}  # fmt: skip
"""The ways that frames come in, by the value of ``image_transport``: one of them is read."""

INPUTS: dict[str, Input] = {
    row.topic: row
    for row in (
        Input(
            "robot_description", "std_msgs/msg/String", "latched", f"{_INTAKE}.robot_description",
            "robot_description_topic", "Topic of the robot description (URDF).",
            is_read=lambda config: config.pose.source == "forward_kinematics",
        ),
        Input(
            "joint_states", "", "sensor", f"{_INTAKE}.joint_state",
            "joint_states_topic", "Topic of the measured joint states.", typed_by="states.type",
            is_read=lambda config: (
                "joint_states" in (config.action_topic, config.state_topic)
                or config.reads_measured_commands
                or config.pose.has_gripper
            ),
        ),
        Input(
            "joint_commands", "", "reliable", f"{_INTAKE}.joint_command",
            "joint_commands_topic", "Topic of the joint commands.", typed_by="actions.type",
            is_read=_by_source("joint_commands"),
        ),
        Input(
            "end_effector_pose", POSE, "sensor", f"{_INTAKE}.end_effector_pose",
            "pose_topic", "Topic of the measured end-effector poses.",
            is_read=_by_source("end_effector_pose"),
        ),
        Input(
            "commanded_pose", POSE, "reliable", f"{_INTAKE}.commanded_pose",
            "commanded_pose_topic", "Topic of the commanded end-effector poses.",
            is_read=_by_source("commanded_pose"),
        ),
    )
}  # fmt: skip
"""The topics besides the camera's, by the names that the node has for them; recordings are searched in this order."""


def of_camera(topic: str, camera: str) -> str:
    """The name of a topic, of one camera of several; of the only one, which has no name, it is as it stands.

    >>> of_camera("image", "left"), of_camera("~/latent_info", "left"), of_camera("image", "")
    ('left/image', '~/left/latent_info', 'image')
    """
    own = "~/" if topic.startswith("~/") else ""
    return f"{own}{camera}/{topic.removeprefix('~/')}" if camera else topic


def input_of_camera(row: Input, camera: str) -> Input:
    """The row of one camera of several; the launch file has no argument that renames it."""
    return replace(row, topic=of_camera(row.topic, camera), argument="", camera=camera) if camera else row


def launch_arguments() -> dict[str, tuple[str, str]]:
    """The launch file's arguments for topics: (default, description) by name."""
    rows = (*CAMERAS.values(), *INPUTS.values())
    return {row.argument: (row.topic.removesuffix(row.suffix), row.description) for row in rows}


def remappings(given: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the launch arguments' values rename: (the node's name of a topic, the new one), one rule per name.

    A rule of ROS matches whole names only, so that each way of the camera has one of its own.
    """
    rows = (*CAMERAS.values(), *INPUTS.values())
    return [(row.topic, given[row.argument] + row.suffix) for row in rows]
