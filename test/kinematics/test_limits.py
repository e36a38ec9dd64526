"""How far and how fast a description lets joints move; what limits nothing is no limit."""

from __future__ import annotations

import math

import pytest
from support import panda

from vjepa_ros.errors import InputError
from vjepa_ros.kinematics.limits import Limits, read_limits


def robot(kind: str, inside: str) -> str:
    joint = f'<joint name="j" type="{kind}"><parent link="base"/><child link="tip"/>{inside}</joint>'
    return f'<robot name="r"><link name="base"/><link name="tip"/>{joint}</robot>'


def test_limits_of_joints_wherever_they_are() -> None:
    wanted = ["panda_finger_joint1", "panda_joint4"]
    assert read_limits(panda.URDF, wanted) == (Limits(0.0, 0.04, 0.2), Limits(-2.9, 2.9, 2.2))
    turning = robot("continuous", '<limit effort="1" velocity="3"/>')
    assert read_limits(turning, ["j"]) == (Limits(-math.inf, math.inf, 3.0),)
    half = robot("revolute", '<limit upper="1.5" effort="1" velocity="3"/>')
    assert read_limits(half, ["j"]) == (Limits(0.0, 1.5, 3.0),), "0 is the default of the format"


@pytest.mark.parametrize(
    ("kind", "limit", "said"),
    [
        ("revolute", "", "has no velocity limit"),
        ("revolute", '<limit lower="-1" upper="1"/>', "has no velocity limit"),
        ("revolute", '<limit lower="x" upper="1" velocity="1"/>', "has no lower limit, but 'x'"),
        ("revolute", '<limit velocity="1"/>', "limits nothing"),
        ("revolute", '<limit lower="1" upper="-1" velocity="1"/>', "from 1 to -1"),
        ("revolute", '<limit lower="-inf" upper="inf" velocity="1"/>', "limits nothing"),
        ("prismatic", '<limit lower="0" upper="nan" velocity="1"/>', "limits nothing"),
        ("prismatic", '<limit lower="0" upper="1" velocity="0"/>', "limits nothing"),
        ("prismatic", '<limit lower="0" upper="1" velocity="inf"/>', "limits nothing"),
        ("fixed", '<limit lower="0" upper="1" velocity="1"/>', "limits nothing"),
        ("planar", '<limit lower="0" upper="1" velocity="1"/>', "limits nothing"),
    ],
)
def test_what_limits_nothing_is_no_limit(kind: str, limit: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        read_limits(robot(kind, limit), ["j"])
    assert refused.value.reason == "no_limits"


def test_limits_of_a_joint_that_is_not_there() -> None:
    with pytest.raises(InputError, match="there is no joint 'elbow', only 'panda_joint1'"):
        read_limits(panda.URDF, ["panda_joint1", "elbow"])
