"""Names of nodes by ROS's rules: pure, and compared with rclpy's own where there is one."""

from __future__ import annotations

import random

import pytest

from vjepa_ros.config.ros_names import full_node_name
from vjepa_ros.errors import ConfigError


@pytest.mark.parametrize(("name", "full"), [
    ("node", "/node"), ("/node", "/node"), ("robot1/arm/node", "/robot1/arm/node"), ("_x/_1", "/_x/_1"),
    ("n" * 255, "/" + "n" * 255), ("n" * 244 + "/n", "/" + "n" * 244 + "/n"), ("a__b", "/a__b"),
])  # fmt: skip
def test_names_that_ros_takes(name: str, full: str) -> None:
    assert full_node_name(name) == full


@pytest.mark.parametrize("name", [
    "", "/", "//", "1node", "a/1b", "a//b", "//a", "a/", "/a/", "a-b", "a b", "a.b", "~", "~/a", "{node}", "a\nb",
    "a\0b", "\u00e9", "\u0661a",
    "a\u0661", "n" * 256, "n" * 245 + "/n", "/".join("a" * 100_000), 5, None,
])  # fmt: skip
def test_names_that_ros_refuses(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        full_node_name(name)
    assert caught.value.parameter == "node_name" and len(str(caught.value)) < 500 and "\n" not in str(caught.value)


def test_topics_below_the_name_must_fit_too() -> None:
    assert full_node_name("n" * 228, ("predicted_latents",))
    with pytest.raises(ConfigError, match="more than 247"):
        full_node_name("n" * 229, ("predicted_latents",))


def test_the_rules_are_those_of_rclpy() -> None:
    """Thousands of names, valid ones and others, each judged by both."""
    pytest.importorskip("rclpy")
    from rclpy.exceptions import InvalidNamespaceException, InvalidNodeNameException, InvalidTopicNameException
    from rclpy.validate_full_topic_name import validate_full_topic_name
    from rclpy.validate_namespace import validate_namespace
    from rclpy.validate_node_name import validate_node_name

    chance = random.Random(3)
    judged = {True: 0, False: 0}
    for _ in range(5000):
        length = chance.choice((0, 1, 2, 5, 10, 200, 240, 250))
        name = "".join(
            chance.choice("abcXYZ_0123456789" + chance.choice(("", "", "/", "/-~{} .\u00e9"))) for _ in range(length)
        )
        full = name if name.startswith("/") else f"/{name}"
        namespace, _, own = full.rpartition("/")
        try:
            validate_node_name(own)
            validate_namespace(namespace or "/")
            validate_full_topic_name(f"{full}/predicted_latents")
            theirs = True
        except (InvalidNodeNameException, InvalidNamespaceException, InvalidTopicNameException, ValueError):
            theirs = False
        try:
            ours = full_node_name(name, ("predicted_latents",)) == full
        except ConfigError:
            ours = False
        assert ours == theirs, name
        judged[ours] += 1
    print(f"{judged[True]} valid, {judged[False]} refused")
    assert min(judged.values()) > 500
