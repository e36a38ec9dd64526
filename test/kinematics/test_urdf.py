"""Robot descriptions: the chain that is read, and how others are refused."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import pytest
from support import panda

from vjepa_ros.errors import InputError
from vjepa_ros.kinematics import urdf
from vjepa_ros.kinematics.urdf import MOST_CHARACTERS, Joint, read_chain, root_link


def joint(name: str, parent: str, child: str, kind: str = "revolute", inside: str = "") -> str:
    return f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>{inside}</joint>'


def robot(*parts: str, links: str = "base a b tip") -> str:
    return "<robot>" + "".join(f'<link name="{link}"/>' for link in links.split()) + "".join(parts) + "</robot>"


def refusal(text: str, base: str = "base", tip: str = "tip") -> str:
    """The sentence with which a description is refused."""
    with pytest.raises(InputError) as refused:
        read_chain(text, base, tip)
    assert refused.value.reason == "bad_description"
    assert "\n" not in refused.value.detail and len(refused.value.detail) < 400
    return refused.value.detail


def test_the_chain_of_the_panda() -> None:
    chain = read_chain(panda.URDF, "", "panda_hand")
    assert [j.name for j in chain] == [f"panda_joint{n}" for n in range(1, 9)] + ["panda_hand_joint"]
    assert [j.kind for j in chain] == ["revolute"] * 7 + ["fixed"] * 2
    assert chain[3] == Joint("panda_joint4", "revolute", (0.0825, 0, 0), (math.pi / 2, 0, 0), (0, 0, 1))
    assert read_chain(panda.URDF, "panda_link0", "panda_hand") == chain
    assert read_chain(panda.URDF, "panda_link2", "panda_link8") == chain[2:8]
    assert root_link(panda.URDF, "", "panda_hand") == "panda_link0"
    assert root_link(panda.URDF, "panda_link2", "panda_hand") == "panda_link2"


def test_what_may_be_left_out_has_the_values_of_the_format() -> None:
    text = robot(joint("j", "base", "a", "continuous"), joint("k", "a", "tip", "prismatic", '<axis xyz="0 0 -4"/>'))
    nothing = (0.0, 0.0, 0.0)
    assert read_chain(text, "base", "tip") == (
        Joint("j", "revolute", nothing, nothing, (1, 0, 0)),
        Joint("k", "prismatic", nothing, nothing, (0, 0, -1)),
    )


def test_what_is_not_between_base_and_tip_need_not_make_sense() -> None:
    strange = joint("s", "tip", "finger", "planar", '<mimic joint="j"/><axis xyz="0 0 0"/><origin xyz="a b c"/>')
    assert len(read_chain(robot(joint("j", "base", "tip"), strange), "base", "tip")) == 1


BOMB = (
    '<!DOCTYPE robot [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(9))
    + "]><robot>&j;</robot>"
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        '<?xml version="1.0"?><!DOCTYPE robot SYSTEM "file:///etc/passwd"><robot/>',
        '<!DOCTYPE robot [<!ENTITY x SYSTEM "file:///etc/passwd">]><robot>&x;</robot>',
        "<!doctype robot><robot/>",
        "<! DOCTYPE robot><robot/>",
    ],
    ids=lambda text: repr(text[:40]),
)
def test_entities_are_refused_before_any_parser_sees_them(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def parser(*_: Any) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(urdf, "ParserCreate", parser)
    assert refusal(text) == "it has a DOCTYPE or entities, which a robot description does not need"


def test_what_is_too_large_is_refused_before_any_parser_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urdf, "ParserCreate", None)
    text = robot(joint("j", "base", "tip")).ljust(MOST_CHARACTERS + 1)
    assert refusal(text) == "5,000,001 characters are more than 5,000,000"


GOOD = joint("j", "base", "a") + joint("k", "a", "tip")


OVERFLOWS = '<axis xyz="1.7e308 1.7e308 0"/>'  # each number is finite, their length is not


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "it is not XML: no element found"),
        ("robot", "it is not XML: syntax error"),
        ("<robot>", "it is not XML: no element found"),
        (robot(GOOD)[:-3], "it is not XML: unclosed token"),
        (robot(GOOD, "<link></joint>"), "it is not XML: mismatched tag"),
        (robot(GOOD, "&nbsp;"), "it is not XML: undefined entity"),
        (robot(GOOD, "<xacro:arm/>"), "it has an element 'xacro:arm': it must go through xacro first"),
        (robot(GOOD, "\0"), "it is not XML"),
        (robot(GOOD, "\ud800"), "it is not XML"),
        ("<mujoco/>", "its outermost element is 'mujoco', not 'robot'"),
        ("<robot>" + "<a>" * 60 + "</a>" * 60 + "</robot>", "more than 50 elements lie inside of each other"),
        ("<robot>" + "<a>" * 1_000_000, "more than 50 elements lie inside of each other"),
        (robot(GOOD, links="base a"), "pose.tip_link: there is no link 'tip', only 'a', 'base'"),
        (robot(GOOD, links="a tip"), "pose.base_link: there is no link 'base', only 'a', 'tip'"),
        ("<robot/>", "pose.tip_link: there is no link 'tip', only none"),
        (robot(joint("j", "b", "tip")), "pose.base_link: 'base' does not carry 'tip'; its chain ends at 'b'"),
        (robot(joint("j", "a", "tip"), joint("k", "tip", "a")), "pose.base_link: 'base' does not carry 'tip'"),
        (robot(joint("j", "base", "tip"), joint("k", "a", "tip")), "link 'tip' hangs on two joints, 'j' and 'k'"),
        (robot(joint("j", "base", "tip", "fixed")), "0 joints move 'tip' against 'base', not 1 to 100"),
        (
            robot(joint("j", "base", "tip", "floating")),
            "joint 'j' is 'floating'; between base and tip are only fixed, ",
        ),
        (robot(joint("j", "base", "tip", "")), "joint 'j' is of no type;"),
        (robot(joint("j", "base", "tip", inside='<mimic joint="k"/>')), "joint 'j' mimics another one"),
        (
            robot(joint("j", "base", "tip", inside='<axis xyz="0 0 0"/>')),
            "joint 'j' has an axis of length 0, which gives no direction",
        ),
        (robot(joint("j", "base", "tip", inside=OVERFLOWS)), "joint 'j' has an axis of length inf, which gives no"),
        (robot(joint("j", "base", "tip", inside='<axis xyz="1e-7 0 0"/>')), "joint 'j' has an axis of length 1e-07,"),
        (
            robot(joint("j", "base", "a"), joint("k", "ghost", "tip")),
            "joint 'k' hangs on 'ghost', and there is no such",
        ),
        (robot(joint("k", "ghost", "tip")).replace("ghost", ""), "joint 'k' hangs on '', and there is no such link"),
        (
            robot(joint("j", "base", "tip", inside='<axis xyz="0 1"/>')),
            "joint 'j': its axis '0 1' is not three numbers",
        ),
        (
            robot(joint("j", "base", "tip", inside='<origin xyz="${x} 0 0"/>')),
            "joint 'j': its origin '${x} 0 0' is not",
        ),
        (
            robot(joint("j", "base", "tip", inside='<origin rpy="nan 0 0"/>')),
            "joint 'j': its origin 'nan 0 0' is not fi",
        ),
        (
            robot(joint("j", "base", "tip", inside='<axis xyz="1e999 0 0"/>')),
            "joint 'j': its axis '1e999 0 0' is not fi",
        ),
    ],
    ids=lambda text: repr(text[:40]),
)
def test_what_makes_no_sense_is_refused_in_one_sentence(text: str, detail: str) -> None:
    assert refusal(text).startswith(detail)


def test_a_circle_is_refused_without_a_base_too() -> None:
    text = robot(joint("j", "a", "tip"), joint("k", "b", "a"), joint("l", "tip", "b"))
    assert refusal(text, base="") == "the joints above 'tip' go in a circle"
    assert refusal(robot(), base="") == "0 joints move 'tip' against 'tip', not 1 to 100"


def test_a_chain_without_an_end_is_refused() -> None:
    """Whatever is made of a chain grows with the square of its joints."""
    count = 5_000
    links = " ".join(f"l{n}" for n in range(count + 1))
    text = robot(*(joint(f"j{n}", f"l{n}", f"l{n + 1}") for n in range(count)), links=links)
    assert refusal(text, base="l0", tip=f"l{count}") == f"more than 200 joints carry 'l{count}'"
    assert refusal(text, base="l0", tip="l101") == "101 joints move 'l101' against 'l0', not 1 to 100"
    assert len(read_chain(text, "l0", "l100")) == 100


def test_long_names_do_not_make_long_sentences() -> None:
    text = robot(links=" ".join(f"{'x' * 10_000}{n}" for n in range(30)))
    with pytest.raises(InputError, match="and 20 more$") as refused:
        read_chain(text, "", "tip")
    assert len(refused.value.detail) < 1_000


@pytest.mark.parametrize(
    "name", ["j" * 1_500_000, "j&#10;[FATAL] forged", "j&#127;", "j\u202e"], ids=lambda name: repr(name[:9])
)
def test_names_that_would_fill_or_forge_a_log_are_refused_and_never_shown(name: str) -> None:
    said = refusal(robot(joint(name, "base", "tip")))
    assert said.startswith("the name of a joint, 'j")
    links = f'<link name="{name}"/>'
    said = refusal(robot(links, joint("j", name, "tip"), joint("k", "base", name)))
    assert said.startswith("the name of a link, 'j")
    for what in ('mimic joint="j"', 'axis xyz="0 0 0"', 'origin xyz="a"'):
        refusal(robot(joint(name, "base", "tip", inside=f"<{what}/>")))
    refusal(robot(links, joint("j", "a", "tip")))
    refusal(robot(links), tip="b", base="tip")
    refusal(robot(joint(name, "base", "tip"), joint(name, "base", "tip")))
    refusal(robot(joint("j", "base", name), joint("k", "base", name)))
    refusal(robot(joint("j", "base", "tip", name)))
    refusal(robot(joint("j", "base", "tip", inside=f'<origin xyz="{name}"/>')))


def test_a_name_at_the_limit_is_taken() -> None:
    for length in (200, 201):
        text = robot(joint("é" * length, "base", "tip"))
        if length == 200:
            assert read_chain(text, "base", "tip")[0].name == "é" * length
        else:
            assert "has 201 of at most 200 characters" in refusal(text)


def test_a_tag_cannot_forge_a_line_either() -> None:
    assert refusal('<a:robot xmlns:a="x&#10;[FATAL] forged"/>') == "its outermost element is 'a:robot', not 'robot'"


@pytest.mark.parametrize("count", [200, 201])
def test_joints_that_do_not_move_are_limited_too(count: int) -> None:
    kinds = ["revolute"] + ["fixed"] * (count - 1)
    joints = (joint(f"j{n}", f"l{n}", f"l{n + 1}", kind) for n, kind in enumerate(kinds))
    text = robot(*joints, links=" ".join(f"l{n}" for n in range(count + 1)))
    if count == 200:
        assert len(read_chain(text, "l0", "l200")) == 200
    else:
        assert refusal(text, "l0", "l201") == "more than 200 joints carry 'l201'"


def test_elements_and_attributes_are_limited() -> None:
    """However they come: what a parser does grows with them, and it runs in the node's own thread."""
    there = robot(GOOD).count("=")
    assert refusal(robot(GOOD, "<a/>" * 100_001)) == "it has more than 100,000 elements"
    attributes = " ".join(f'a{n}=""' for n in range(100_001 - there))
    assert refusal(robot(GOOD, f"<a {attributes}/>")) == "100,001 signs = are too many, 100,000 attributes are the most"
    most = robot(GOOD, f"<a {attributes.rsplit(' ', 1)[0]}/>", "<a/>" * 99_000)
    assert len(read_chain(most, "base", "tip")) == 2


def test_a_long_namespace_is_not_copied_for_each_of_its_elements() -> None:
    """With a parser that resolves names it would be, 100,000 times 4 MB, and take minutes."""
    text = robot(GOOD, f'<a xmlns:n="{"x" * 4_000_000}">', "<n:b/>" * 90_000, "</a>")
    assert len(read_chain(text, "base", "tip")) == 2


def test_a_fixed_joint_needs_no_axis() -> None:
    """Exporters write an axis of zeros."""
    fixed = joint("k", "a", "tip", "fixed", '<axis xyz="0 0 0"/>')
    assert read_chain(robot(joint("j", "base", "a"), fixed), "base", "tip")[1].axis == (1, 0, 0)


def test_many_elements_take_little_memory() -> None:
    """What has been read is forgotten: 1 MB of elements would be some 10 MB as a tree."""
    text = robot(GOOD, "<gazebo/>" * 99_000)
    tracemalloc.start()
    try:
        assert len(read_chain(text, "base", "tip")) == 2
        assert tracemalloc.get_traced_memory()[1] < 6e6
    finally:
        tracemalloc.stop()
