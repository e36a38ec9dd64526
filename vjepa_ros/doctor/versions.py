"""Python, NumPy, OpenCV and the compiled modules of ROS: whether they are there and made for each other.

Each is imported in a process of its own. It knows no graph and no parameters.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence

from vjepa_ros.doctor.line import Line, ok, warning, wrong
from vjepa_ros.doctor.programs import Answer, asked

LEAST_PYTHON = (3, 10)
LEAST = {"numpy": (1, 26), "opencv": (4, 6), "torch": (2, 1)}
"""The oldest versions that were tried."""

# What a module says that was compiled against another NumPy, when it says anything before it crashes.
_OTHER_NUMPY = re.compile(
    r"compiled using NumPy 1\.|_ARRAY_API not found|numpy\.core\.multiarray failed to import"
    r"|numpy\.dtype size changed|module compiled against (API|ABI) version"
)
_NUMPY = "import numpy\nfound |= {'version': numpy.__version__, 'place': numpy.__file__}"
_OPENCV = """
import cv2, numpy
found['version'] = cv2.__version__
fine, data = cv2.imencode('.jpg', numpy.full((16, 16, 3), 128, numpy.uint8))
pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
assert fine and pixels.shape == (16, 16, 3) and abs(int(pixels[8, 8, 0]) - 128) < 9, 'a JPEG of it comes back wrong'
"""
# Messages with arrays of a fixed length go through NumPy in compiled code; JointState's come out of lists.
_MESSAGES = """
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo
sent = CameraInfo()
sent.k[:] = range(9)
assert list(deserialize_message(serialize_message(sent), CameraInfo).k) == list(range(9)), 'an array comes back wrong'
"""
_BRIDGE = """
import importlib.util
found['there'] = importlib.util.find_spec('cv_bridge') is not None
if found['there']:
    from cv_bridge.boost import cv_bridge_boost
"""
_RCLPY = "import rclpy.node"


def python_line(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Line:
    """The interpreter itself."""
    text = ".".join(map(str, version[:3]))
    least = ".".join(map(str, LEAST_PYTHON))
    if tuple(version[:2]) < LEAST_PYTHON:
        return wrong("python", f"Python {text} is older than {least}", f"start it with Python {least} or newer")
    return ok("python", f"{text}, {sys.executable}", version=text)


def numpy_line(answer: Answer | None = None) -> Line:
    """NumPy by itself."""
    found = answer or asked(_NUMPY)
    if found.error:
        return wrong("numpy", f"it cannot be imported: {found.error}", "install it: python -m pip install numpy")
    version = str(found.found["version"])
    if is_older(version, LEAST["numpy"]):
        return wrong("numpy", f"{version} is older than {_dotted(LEAST['numpy'])}", "install a newer one")
    return ok("numpy", f"{version}, {found.found['place']}", version=version)


def opencv_line(answer: Answer | None = None) -> Line:
    """OpenCV, and whether it encodes and decodes."""
    found = answer or asked(_OPENCV)
    install = "install it: python -m pip install 'opencv-python-headless>=4.6,<5', or apt's python3-opencv"
    if _is_of_other_numpy(found):
        return wrong("opencv", "it was compiled for another NumPy than the one that is imported here", _same_numpy())
    if found.error:
        return wrong("opencv", f"it does not work: {found.error}", install)
    version = str(found.found["version"])
    if is_older(version, LEAST["opencv"]):
        return wrong("opencv", f"{version} is older than {_dotted(LEAST['opencv'])}", install)
    return ok("opencv", version, version=version)


def ros_lines(
    environment: dict[str, str] | None = None,
    rclpy: Answer | None = None,
    messages: Answer | None = None,
    bridge: Answer | None = None,
) -> Iterator[Line]:
    """The sourced ROS: whether there is one, is of this Python, and its compiled modules are of this NumPy.

    Args:
        environment: variables; this process's without any.
        rclpy, messages, bridge: what came of the attempts, where they have been made.
    """
    variables = os.environ if environment is None else environment
    found = rclpy or asked(_RCLPY)
    distribution = variables.get("ROS_DISTRO", "")
    if found.error:
        yield _no_rclpy(found, distribution, sourced=bool(variables.get("AMENT_PREFIX_PATH")))
        return
    yield ok("ros", distribution or "rclpy is there, ROS_DISTRO is not set", distribution=distribution)
    of_messages = messages or asked(_MESSAGES)
    if _is_of_other_numpy(of_messages):
        yield wrong("numpy of ros", "the messages of ROS were compiled for another NumPy", _same_numpy())
    elif of_messages.error:
        yield wrong("numpy of ros", f"a message of ROS does not work: {of_messages.error}", _same_numpy())
    else:
        yield ok("numpy of ros", "arrays of messages come back as they were sent")
    of_bridge = bridge or asked(_BRIDGE)
    if of_bridge.error:
        why = "it was compiled for another NumPy" if _is_of_other_numpy(of_bridge) else of_bridge.error
        remedy = f"only images of unusual encodings need it; to have them too, {_same_numpy()}"
        yield warning("cv_bridge", f"it does not work: {why}", remedy)
    elif of_bridge.found["there"]:
        yield ok("cv_bridge", "it works")
    else:
        yield ok("cv_bridge", "it is not installed; only images of unusual encodings need it")


def is_older(version: str, least: Sequence[int]) -> bool:
    """Whether a version such as ``2.13.0+cpu`` is older; one that has no numbers counts as 0."""
    numbers = [int(part) for part in re.findall(r"\d+", version.split("+")[0])[: len(least)]]
    return tuple(numbers) < tuple(least)


def _no_rclpy(found: Answer, distribution: str, *, sourced: bool) -> Line:
    if not sourced:
        remedy = "source it (source /opt/ros/<distribution>/setup.bash), or leave the graph out with `no_graph`"
        return wrong("ros", f"no ROS is sourced, and rclpy cannot be imported: {found.error}", remedy)
    own = ".".join(map(str, sys.version_info[:2]))
    if "_rclpy_pybind11" in found.said or "_rclpy" in found.error:
        built = f"rclpy of ROS {distribution} is not built for Python {own}: {found.error}"
        return wrong("ros", built, "start with the Python that this ROS was built for (Jazzy on Ubuntu 24.04: 3.12)")
    remedy = "install rclpy of this distribution, and see that PYTHONPATH has what its setup.bash puts there"
    return wrong("ros", f"ROS {distribution} is sourced, but rclpy cannot be imported: {found.error}", remedy)


def _is_of_other_numpy(answer: Answer) -> bool:
    return bool(_OTHER_NUMPY.search(f"{answer.said}\n{answer.error}"))


def _same_numpy() -> str:
    return "install the NumPy that they were compiled for beside them: python -m pip install 'numpy<2'"


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
