"""What the doctor says of Python, NumPy, OpenCV and ROS: each failure provoked by modules that have it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vjepa_ros.doctor import versions
from vjepa_ros.doctor.line import Line
from vjepa_ros.doctor.programs import asked

CRASH = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
OTHER_NUMPY = "import sys\nsys.stderr.write('A module that was compiled using NumPy 1.x cannot be run in\\n')\n" + CRASH
SOURCED = {"AMENT_PREFIX_PATH": "/opt/ros/jazzy", "ROS_DISTRO": "jazzy"}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a module before all others: (dotted name, its text)."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, text: str) -> None:
        place = tmp_path.joinpath(*name.split("."))
        for folder in [place, *place.parents][: len(name.split("."))]:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "__init__.py").touch()
        (place / "__init__.py").write_text(text)

    return put


def assert_line(line: Line, status: str, *words: str) -> None:
    assert line.status == status, line
    text = line.text
    assert all(word in text for word in words), text
    assert bool(line.remedy) == (status in ("wrong", "warning"))


def test_what_is_here_is_well() -> None:
    for line in (versions.python_line(), versions.numpy_line(), versions.opencv_line()):
        assert_line(line, "ok")
        assert line.values["version"]
    lines = list(versions.ros_lines())
    assert [line.subject for line in lines] == ["ros", "numpy of ros", "cv_bridge"]
    assert lines[0].status == lines[1].status == "ok"


def test_an_old_python() -> None:
    assert_line(versions.python_line((3, 9, 18)), "wrong", "Python 3.9.18 is older than 3.10")


def test_numpy_that_is_missing_or_old(module) -> None:
    module("numpy", "raise ImportError('no numpy for you')")
    assert_line(versions.numpy_line(), "wrong", "cannot be imported: ImportError: no numpy for you", "pip install")
    module("numpy", "__version__ = '1.25.2'")
    assert_line(versions.numpy_line(), "wrong", "1.25.2 is older than 1.26")


def test_opencv_that_is_missing_old_or_broken(module) -> None:
    module("cv2", "raise ImportError('libGL.so.1: cannot open shared object file')")
    assert_line(versions.opencv_line(), "wrong", "libGL.so.1", "opencv-python-headless")
    module("cv2", CRASH)
    assert_line(versions.opencv_line(), "wrong", "killed by SIGSEGV")
    module("cv2", OTHER_NUMPY)
    assert_line(versions.opencv_line(), "wrong", "compiled for another NumPy", "numpy<2")
    fake = "import numpy\nIMREAD_COLOR = 1\n__version__ = '{}'\ndef imencode(*_): return True, b''\n"
    fake += "def imdecode(*_): return numpy.full((16, 16, 3), {}, numpy.uint8)\n"
    module("cv2", fake.format("4.5.4", 128))
    assert_line(versions.opencv_line(), "wrong", "4.5.4 is older than 4.6")
    module("cv2", fake.format("4.9.0", 7))
    assert_line(versions.opencv_line(), "wrong", "a JPEG of it comes back wrong")


def test_no_ros_or_one_of_another_python(module) -> None:
    module("rclpy", "raise ImportError(\"No module named 'rclpy._rclpy_pybind11'\")")
    (line,) = versions.ros_lines({})
    assert_line(line, "wrong", "no ROS is sourced", "setup.bash")
    (line,) = versions.ros_lines(SOURCED)
    own = ".".join(map(str, sys.version_info[:2]))
    assert_line(line, "wrong", f"rclpy of ROS jazzy is not built for Python {own}")
    module("rclpy", "raise ImportError('librcl.so: cannot open shared object file')")
    (line,) = versions.ros_lines(SOURCED)
    assert_line(line, "wrong", "ROS jazzy is sourced, but rclpy cannot be imported", "librcl.so", "PYTHONPATH")


def test_messages_of_ros_that_were_compiled_for_another_numpy(module) -> None:
    module("sensor_msgs.msg", OTHER_NUMPY)
    lines = {line.subject: line for line in versions.ros_lines(SOURCED)}
    assert_line(lines["ros"], "ok", "jazzy")
    assert_line(lines["numpy of ros"], "wrong", "compiled for another NumPy", "numpy<2")
    module("sensor_msgs.msg", CRASH)
    lines = {line.subject: line for line in versions.ros_lines(SOURCED)}
    assert_line(lines["numpy of ros"], "wrong", "killed by SIGSEGV")


def test_cv_bridge(module) -> None:
    module("cv_bridge.boost.cv_bridge_boost", OTHER_NUMPY)
    assert_line(list(versions.ros_lines())[-1], "warning", "cv_bridge", "compiled for another NumPy")
    module("cv_bridge.boost.cv_bridge_boost", "raise ImportError('no such symbol')")
    assert_line(list(versions.ros_lines())[-1], "warning", "no such symbol")
    module("cv_bridge.boost.cv_bridge_boost", "")
    assert_line(list(versions.ros_lines())[-1], "ok", "it works")


def test_an_interpreter_that_is_not_there_is_said() -> None:
    answer = asked("found['x'] = 1", python="/nowhere/python")
    assert answer.found == {} and answer.error == "/nowhere/python cannot be started: No such file or directory"
    assert asked("found['x'] = 1").found == {"x": 1}
    assert "ZeroDivisionError" in asked("1 / 0").error
