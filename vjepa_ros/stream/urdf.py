"""The chain of joints between two links, out of a robot description (URDF) that nobody vouches for.

Text in, numbers out: no file is opened, no mesh loaded, no entity expanded. It knows no kinematics.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from vjepa_ros.errors import InputError

MOST_CHARACTERS = 5_000_000
MOST_MOVING_JOINTS = 100  # between two links; what is made of them grows with the square
_DEEPEST = 50  # elements inside of each other; URDF needs 6
_CHUNK = 1 << 16  # characters parsed at once: what is too deep is found before all of it is in memory
_DOCTYPE = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)  # the only way to declare entities

JointKind = Literal["fixed", "revolute", "prismatic"]
_KINDS: dict[str, JointKind] = {
    "fixed": "fixed", "revolute": "revolute", "continuous": "revolute", "prismatic": "prismatic",
}  # fmt: skip


@dataclass(frozen=True)
class Joint:
    """How a link is attached to the one before it.

    Attributes:
        name: the joint's.
        kind: ``fixed``, ``revolute`` (with or without limits) or ``prismatic``.
        xyz, rpy: its origin in the link before it, in m and, extrinsic xyz Euler angles, in rad.
        axis: unit vector that it turns about or moves along, in its own frame.
    """

    name: str
    kind: JointKind
    xyz: tuple[float, float, float]
    rpy: tuple[float, float, float]
    axis: tuple[float, float, float]


@dataclass(frozen=True)
class _Raw:
    """A joint as it stands there; only those of the chain have to make sense."""

    name: str
    kind: str
    parent: str
    origin: Mapping[str, str]
    axis: Mapping[str, str]
    mimics: bool


def read_chain(text: str, base_link: str, tip_link: str) -> tuple[Joint, ...]:
    """The joints from one link to another, in this order.

    Args:
        text: the robot description.
        base_link: where the chain begins; empty for the root.
        tip_link: where it ends.

    Raises:
        InputError: ``bad_description``, with what is wrong in one sentence.
    """
    if len(text) > MOST_CHARACTERS:
        raise _refusal(f"{len(text):,} characters are more than {MOST_CHARACTERS:,}")
    if _DOCTYPE.search(text):
        raise _refusal("it has a DOCTYPE or entities, which a robot description does not need")
    try:
        links, joints = _read(text)
    except (ParseError, UnicodeError) as error:
        raise _refusal(f"it is not XML: {error}") from error
    for link, parameter in ((tip_link, "pose.tip_link"), (base_link, "pose.base_link")):
        if link and link not in links:
            raise _refusal(f"{parameter}: there is no link {link}, only {_some(sorted(links))}")
    found: list[Joint] = []
    link = tip_link
    for _ in joints:  # at most as many steps as there are joints: more would be a circle
        if link == base_link or link not in joints:
            break
        raw = joints[link]
        found.append(_joint(raw))
        link = raw.parent
    if base_link and link != base_link:
        raise _refusal(f"pose.base_link: {base_link} does not carry {tip_link}; its chain ends at {link}")
    if not base_link and link in joints:
        raise _refusal(f"the joints above {tip_link} go in a circle")
    moving = [joint for joint in found if joint.kind != "fixed"]
    if not 1 <= len(moving) <= MOST_MOVING_JOINTS:
        raise _refusal(f"{len(moving)} joints move {tip_link} against {link}, not 1 to {MOST_MOVING_JOINTS}")
    return tuple(reversed(found))


def _read(text: str) -> tuple[set[str], dict[str, _Raw]]:
    """(names of links, joints by the name of the link that they carry)."""
    links: set[str] = set()
    joints: dict[str, _Raw] = {}
    for element in _top_level(text):
        if element.tag == "link":
            links.add(element.get("name", ""))
        elif element.tag == "joint":
            child = _attributes(element, "child").get("link", "")
            name = element.get("name", "")
            if child in joints:
                raise _refusal(f"link {child} hangs on two joints, {joints[child].name} and {name}")
            joints[child] = _Raw(
                name, element.get("type", ""), _attributes(element, "parent").get("link", ""),
                _attributes(element, "origin"), _attributes(element, "axis"), element.find("mimic") is not None,
            )  # fmt: skip
    return links, joints


def _top_level(text: str) -> Iterator[Element]:
    """The elements right below <robot>, one by one; each is forgotten when the next is asked for."""
    parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
    depth, root = 0, None
    for first in range(0, len(text), _CHUNK):
        parser.feed(text[first : first + _CHUNK])
        for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
            if event == "start":
                root = element if root is None else root
                depth += 1
                if root.tag != "robot":
                    raise _refusal(f"its outermost element is <{root.tag[:40]}>, not <robot>")
                if depth > _DEEPEST:
                    raise _refusal(f"more than {_DEEPEST} elements lie inside of each other")
            else:
                if depth == 2 and root is not None:
                    yield element
                    root.clear()
                depth -= 1
    parser.close()


def _attributes(element: Element, tag: str) -> Mapping[str, str]:
    found = element.find(tag)
    return {} if found is None else found.attrib


def _joint(raw: _Raw) -> Joint:
    if raw.kind not in _KINDS:
        wanted = ", ".join(_KINDS)
        raise _refusal(f"joint {raw.name} is {raw.kind[:40] or 'of no type'}; between base and tip are only {wanted}")
    if raw.mimics:
        raise _refusal(f"joint {raw.name} mimics another one; between base and tip each joint must stand for itself")
    kind = _KINDS[raw.kind]
    axis = _three(raw, "axis", raw.axis.get("xyz", "1 0 0"))
    length = math.hypot(*axis)
    if kind != "fixed" and length < 1e-6:
        raise _refusal(f"joint {raw.name} has an axis without a direction")
    x, y, z = (number / (length or 1.0) for number in axis)
    xyz, rpy = (_three(raw, "origin", raw.origin.get(name, "0 0 0")) for name in ("xyz", "rpy"))
    return Joint(raw.name, kind, xyz, rpy, (x, y, z))


def _three(raw: _Raw, what: str, text: str) -> tuple[float, float, float]:
    try:
        x, y, z = map(float, text.split())
    except ValueError:
        raise _refusal(f"joint {raw.name}: its {what} {text[:40]!r} is not three numbers") from None
    if not all(map(math.isfinite, (x, y, z))):
        raise _refusal(f"joint {raw.name}: its {what} {text[:40]!r} is not finite")
    return x, y, z


def _some(names: list[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(name[:80] for name in names[:most]) or "none") + more


def _refusal(detail: str) -> InputError:
    return InputError("bad_description", detail)
