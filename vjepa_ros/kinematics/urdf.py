"""The chain of joints between two links, out of a robot description (URDF) that nobody vouches for.

Text in, numbers out: no file is opened, no mesh loaded, no entity expanded. It knows no kinematics.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from xml.parsers.expat import ExpatError, ParserCreate

from vjepa_ros.errors import InputError, listed, quoted

MOST_CHARACTERS = 5_000_000
MOST_ELEMENTS = 100_000  # a humanoid has some thousand
MOST_ATTRIBUTES = 100_000
MOST_JOINTS = 200  # between two links
MOST_MOVING_JOINTS = 100  # of these; each message costs a product of matrices for each
MOST_NAME_CHARACTERS = 200
_DEEPEST = 50  # elements inside of each other; URDF needs 6
_SHORTEST_AXIS = 1e-6
_QUATERNION_ROUNDED = 1e-3  # as far from 1 as a few digits of its numbers leave its norm
_LEFT_OUT = {"axis": "1 0 0", "origin": "0 0 0"}  # what stands for an attribute that is not there
_VERSIONS = ((1, 0), (1, 1), (1, 2))  # those that urdfdom 6.0 reads
_WITH_QUATERNIONS = (1, 1)
_DOCTYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)  # the only way to declare entities

JointKind = Literal["fixed", "revolute", "prismatic"]
KINDS: dict[str, JointKind] = {
    "fixed": "fixed", "revolute": "revolute", "continuous": "revolute", "prismatic": "prismatic",
}  # fmt: skip
"""What joints between two links may be, as URDF calls them, and what they are here."""


@dataclass(frozen=True)
class Joint:
    """How a link is attached to the one before it.

    Attributes:
        name: the joint's.
        kind: ``fixed``, ``revolute`` (with or without limits) or ``prismatic``.
        xyz, rpy: its origin in the link before it, in m and, extrinsic xyz Euler angles, in rad.
        axis: unit vector that it turns about or moves along, in its own frame; of no meaning where it is fixed.
        quat_xyzw: its origin's rotation in place of ``rpy``, of norm 1, where it is given so (since URDF 1.1).
    """

    name: str
    kind: JointKind
    xyz: tuple[float, float, float]
    rpy: tuple[float, float, float]
    axis: tuple[float, float, float]
    quat_xyzw: tuple[float, float, float, float] | None = None


@dataclass
class RawJoint:
    """A joint as it stands there; only those of the chain have to make sense.

    Attributes:
        name, kind: its own attributes.
        inside: the attributes of the first element of each name in it, such as ``parent``.
    """

    name: str
    kind: str
    inside: dict[str, Mapping[str, str]]

    def get(self, element: str, attribute: str, default: str = "") -> str:
        """An attribute of an element in it."""
        return self.inside.get(element, {}).get(attribute, default)


def read_chain(text: str, base_link: str, tip_link: str) -> tuple[Joint, ...]:
    """The joints from one link to another, in this order.

    Args:
        text: the robot description.
        base_link: where the chain begins; empty for the root.
        tip_link: where it ends.

    Raises:
        InputError: ``bad_description``, with what is wrong in one sentence.
    """
    return _chain(_read(text), base_link, tip_link)[0]


def ignored_rotations(text: str, base_link: str, tip_link: str) -> str:
    """What is said of joints between two links whose ``quat_xyzw`` is not read; empty where there is none.

    As in urdfdom (its pull request 235), and so in robot_state_publisher: in a description of version 1.0, or of no
    version, that attribute does not exist; ``rpy``, or no rotation, holds.

    Raises:
        InputError: as :func:`read_chain` does.
    """
    reader = _read(text)
    if reader.version >= _WITH_QUATERNIONS:
        return ""
    chain = {joint.name for joint in _chain(reader, base_link, tip_link)[0]}
    names = [raw.name for raw in reader.joints if raw.name in chain and "quat_xyzw" in raw.inside.get("origin", {})]
    if not names:
        return ""
    return f'quat_xyzw of joint {listed(names)} is ignored: it needs <robot version="1.1">, and this is 1.0'


def root_link(text: str, base_link: str, tip_link: str) -> str:
    """The link that :func:`read_chain` begins at: the base, or where there is none given the root.

    Raises:
        InputError: as there.
    """
    return _chain(_read(text), base_link, tip_link)[1]


def raw_joints(text: str) -> Mapping[str, RawJoint]:
    """All joints of a description by name, as they stand there.

    Raises:
        InputError: ``bad_description`` where it cannot be read at all.
    """
    return {raw.name: raw for raw in _read(text).joints}


def _read(text: str) -> _Reader:
    if len(text) > MOST_CHARACTERS:
        raise _refusal(f"{len(text):,} characters are more than {MOST_CHARACTERS:,}")
    if _DOCTYPE.search(text):
        raise _refusal("it has a DOCTYPE or entities, which a robot description does not need")
    if text.count("=") > MOST_ATTRIBUTES:  # beforehand: the parser reads all attributes of an element at once
        raise _refusal(f"{text.count('='):,} signs = are too many, {MOST_ATTRIBUTES:,} attributes are the most")
    reader = _Reader()
    try:
        reader.read(text)
    except (ExpatError, UnicodeError) as error:
        raise _refusal(f"it is not XML: {error}") from error
    return reader


def _chain(reader: _Reader, base_link: str, tip_link: str) -> tuple[tuple[Joint, ...], str]:
    """The joints from one link to another, and the link that they begin at."""
    links, joints = reader.links, reader.by_child()
    for link, parameter in ((tip_link, "pose.tip_link"), (base_link, "pose.base_link")):
        if link and link not in links:
            raise _refusal(f"{parameter}: there is no link {quoted(link)}, only {listed(sorted(links))}")
    found: list[Joint] = []
    link = tip_link
    for _ in joints:  # at most as many steps as there are joints: more would be a circle
        if link == base_link or link not in joints:
            break
        if len(found) == MOST_JOINTS:
            raise _refusal(f"more than {MOST_JOINTS} joints carry {quoted(tip_link)}")
        raw = joints[link]
        found.append(_joint(raw, reader.version >= _WITH_QUATERNIONS))
        link = raw.get("parent", "link")
        _require_name("a link", link)
        if link not in links:
            raise _refusal(f"joint {quoted(raw.name)} hangs on {quoted(link)}, and there is no such link")
    if base_link and link != base_link:
        raise _refusal(
            f"pose.base_link: {quoted(base_link)} does not carry {quoted(tip_link)}; its chain ends at {quoted(link)}"
        )
    if not base_link and link in joints:
        raise _refusal(f"the joints above {quoted(tip_link)} go in a circle")
    moving = [joint for joint in found if joint.kind != "fixed"]
    if not 1 <= len(moving) <= MOST_MOVING_JOINTS:
        raise _refusal(
            f"{len(moving)} joints move {quoted(tip_link)} against {quoted(link)}, not 1 to {MOST_MOVING_JOINTS}"
        )
    return tuple(reversed(found)), link


class _Reader:
    """Links and joints right below <robot>, element by element: nothing else is kept, and what is too much ends it.

    Attributes:
        links: their names.
        joints: in the order in which they stand there.
        version: of the format, (1, 0) where none is given.
    """

    def __init__(self) -> None:
        self.links: set[str] = set()
        self.joints: list[RawJoint] = []
        self.version = _VERSIONS[0]
        self._depth = 0
        self._elements = 0
        self._joint: RawJoint | None = None  # that is being read

    def read(self, text: str) -> None:
        """Read a description, once."""
        # Without namespaces: a long one would be copied for each of its elements.
        parser = ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.Parse(text, True)

    def by_child(self) -> dict[str, RawJoint]:
        """Joints by the name of the link that they carry."""
        found: dict[str, RawJoint] = {}
        for raw in self.joints:
            child = raw.get("child", "link")
            if child in found:
                both = f"{quoted(found[child].name)} and {quoted(raw.name)}"
                raise _refusal(f"link {quoted(child)} hangs on two joints, {both}")
            found[child] = raw
        return found

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth == 1 and tag != "robot":
            raise _refusal(f"its outermost element is {quoted(tag, 40)}, not 'robot'")
        if self._depth == 1 and "version" in attributes:
            self.version = _version(attributes["version"])
        if tag.startswith("xacro:"):
            raise _refusal(f"it has an element {quoted(tag, 40)}: it must go through xacro first")
        if self._depth > _DEEPEST:
            raise _refusal(f"more than {_DEEPEST} elements lie inside of each other")
        if self._elements > MOST_ELEMENTS:
            raise _refusal(f"it has more than {MOST_ELEMENTS:,} elements")
        if self._depth == 2 and tag == "link":
            self.links.add(attributes.get("name", ""))
        elif self._depth == 2 and tag == "joint":
            self._joint = RawJoint(attributes.get("name", ""), attributes.get("type", ""), {})
            self.joints.append(self._joint)
        elif self._depth == 3 and self._joint is not None:
            self._joint.inside.setdefault(tag, attributes)

    def _end(self, _tag: str) -> None:
        if self._depth == 2:
            self._joint = None
        self._depth -= 1


def _version(text: str) -> tuple[int, int]:
    """The version of the format. Others than urdfdom knows are refused, as there: what they mean is not known."""
    found = re.fullmatch(r"\s*([0-9]{1,9})\.([0-9]{1,9})", text)
    version = (int(found[1]), int(found[2])) if found else None
    if version not in _VERSIONS:
        known = ", ".join(f"{major}.{minor}" for major, minor in _VERSIONS)
        raise _refusal(f"its version is {quoted(text, 40)}; those that are read are {known}")
    return version


def _require_name(what: str, name: str) -> None:
    if len(name) > MOST_NAME_CHARACTERS:
        raise _refusal(f"the name of {what}, {quoted(name)}, has {len(name):,} of at most {MOST_NAME_CHARACTERS}"
                       " characters")  # fmt: skip
    if any(unicodedata.category(character)[0] == "C" for character in name):
        raise _refusal(f"the name of {what}, {quoted(name)}, has control characters")


def _joint(raw: RawJoint, has_quaternions: bool) -> Joint:
    _require_name("a joint", raw.name)
    name = quoted(raw.name)
    if raw.kind not in KINDS:
        wanted, kind_there = ", ".join(KINDS), quoted(raw.kind, 40) if raw.kind else "of no type"
        raise _refusal(f"joint {name} is {kind_there}; between base and tip are only {wanted}")
    if "mimic" in raw.inside:
        raise _refusal(f"joint {name} mimics another one; between base and tip each joint must stand for itself")
    kind = KINDS[raw.kind]
    axis = _three(raw, "axis", "xyz")
    if kind == "fixed":
        axis = (1.0, 0.0, 0.0)  # exporters write 0 0 0
    length = math.hypot(*axis)
    if not _SHORTEST_AXIS <= length < math.inf:
        raise _refusal(f"joint {name} has an axis of length {length:g}, which gives no direction")
    x, y, z = (number / length for number in axis)
    xyz, rpy = _three(raw, "origin", "xyz"), _three(raw, "origin", "rpy")
    return Joint(raw.name, kind, xyz, rpy, (x, y, z), _quaternion(raw) if has_quaternions else None)


def _quaternion(raw: RawJoint) -> tuple[float, float, float, float] | None:
    """The rotation of an origin as URDF may have it since 1.1; angles beside it would say it twice."""
    origin = raw.inside.get("origin", {})
    if "quat_xyzw" not in origin:
        return None
    if "rpy" in origin:
        raise _refusal(f"joint {quoted(raw.name)}: its origin has both rpy and quat_xyzw, and must have one")
    x, y, z, w = _numbers(raw, "origin", "quat_xyzw", "four", 4)
    norm = math.hypot(x, y, z, w)
    if abs(norm - 1) > _QUATERNION_ROUNDED:
        raise _refusal(f"joint {quoted(raw.name)}: its quat_xyzw has the norm {norm:g}, and must have 1")
    return x / norm, y / norm, z / norm, w / norm


def _three(raw: RawJoint, element: str, attribute: str) -> tuple[float, float, float]:
    x, y, z = _numbers(raw, element, attribute, "three", 3)
    return x, y, z


def _numbers(raw: RawJoint, element: str, attribute: str, wanted: str, count: int) -> list[float]:
    text = raw.get(element, attribute, _LEFT_OUT.get(element, "0 0 0"))
    where = f"joint {quoted(raw.name)}: its {element} {quoted(text, 40)}"
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise _refusal(f"{where} is not {wanted} numbers")
    if not all(map(math.isfinite, numbers)):
        raise _refusal(f"{where} is not finite")
    return numbers


def _refusal(detail: str) -> InputError:
    return InputError("bad_description", detail)
