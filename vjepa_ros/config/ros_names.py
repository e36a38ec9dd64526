"""Names of nodes and topics by ROS's own rules, without ROS: what a node could not be called is refused offline too.

The rules are those of rmw and rcl: https://design.ros2.org/articles/topic_and_service_names.html. It knows no graph.
"""

from __future__ import annotations

import re

from vjepa_ros.config.checks import require
from vjepa_ros.errors import brief, listed

MOST_NODE_CHARACTERS = 255
MOST_NAMESPACE_CHARACTERS = 245
MOST_TOPIC_CHARACTERS = 247
MOST_CAMERA_CHARACTERS = 50
MOST_CAMERAS = 16  # whose windows one call of the model may take

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_camera_name(name: object) -> bool:
    """Whether a camera can be called so, as a part of the names of topics."""
    return isinstance(name, str) and _WORD.fullmatch(name) is not None and len(name) <= MOST_CAMERA_CHARACTERS


def require_cameras(names: tuple[str, ...]) -> None:
    """Refuse names that cameras cannot have.

    Raises:
        ConfigError: naming ``cameras``.
    """
    require(len(names) <= MOST_CAMERAS, "cameras", f"{len(names)} are more than {MOST_CAMERAS}")
    for name in names:
        require(
            is_camera_name(name),
            "cameras", f"{brief(name)} is part of the names of topics: it must consist of letters, digits and _, "
            f"not begin with a digit, and have at most {MOST_CAMERA_CHARACTERS} characters",
        )  # fmt: skip
    require(len(set(names)) == len(names), "cameras", f"names a camera twice: {listed(names)}")


def full_node_name(name: str, topics: tuple[str, ...] = ()) -> str:
    """A node's full name with its slash in front, which may be left out.

    Args:
        name: such as ``robot1/vjepa_predictor``.
        topics: private names that are used below it, such as ``predicted_latents``.

    Raises:
        ConfigError: naming ``node_name``, for one that ROS would refuse.
    """
    require(isinstance(name, str), "node_name", f"must be a text, not {brief(name)}")
    words = name.removeprefix("/").split("/")
    for word in words:
        require(word != "", "node_name", f"{brief(name)} is empty, or has a slash too many")
        require(
            _WORD.fullmatch(word) is not None,
            "node_name", f"{brief(name)} is refused by ROS: {brief(word)} must consist of letters, digits and _, and "
            "not begin with a digit",
        )  # fmt: skip
    full = "/" + "/".join(words)
    for what, length, most in (
        ("its last word", len(words[-1]), MOST_NODE_CHARACTERS),
        ("its namespace", len(full) - len(words[-1]) - 1, MOST_NAMESPACE_CHARACTERS),
        *((f"the topic {full[:20]}.../{topic}", len(f"{full}/{topic}"), MOST_TOPIC_CHARACTERS) for topic in topics),
    ):
        too_long = f"{brief(name)} is too long: {what} has {length:,} characters, more than {most}"
        require(length <= most, "node_name", too_long)
    return full
