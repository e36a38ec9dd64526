"""Names that are nearly right, of parameters and of topics."""

from __future__ import annotations

import pytest

from vjepa_ros.config import names
from vjepa_ros.config.table import BY_NAME


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("action.timeout_s", "actions.timeout_s"),
        ("actions.time_out_s", "actions.timeout_s"),
        ("joint_name", "joint_names"),
        ("framerate", "frame_rate"),
        ("time.offset.image", "time.offset_s.image"),
        ("image_transports", "image_transport"),
        ("state.timeout_s", "states.timeout_s"),
        ("max_skew_s", "time.max_skew_s"),
        ("Preset", "preset"),
    ],
)
def test_a_parameter_that_there_is_not_is_named_with_the_nearest(wrong: str, meant: str) -> None:
    (sentence,) = names.unknown_parameters([wrong, "hop"])
    assert f"there is no parameter '{wrong}'" in sentence and sentence.endswith(f"did you mean {meant}?")


def test_those_that_there_are_and_those_of_ros_are_not_spoken_of() -> None:
    of_ros = ["use_sim_time", "start_type_description_service", "qos_overrides./image.subscription.depth"]
    assert list(names.unknown_parameters([*BY_NAME, *of_ros])) == []


def test_many_and_long_names_are_cut() -> None:
    sentences = list(names.unknown_parameters(f"zz{number:05d}" + "x" * 10_000 for number in range(5000)))
    assert len(sentences) == 11 and all(len(sentence) < 1500 for sentence in sentences)
    assert "and 4980 more" in sentences[-1]
    (sentence,) = names.unknown_parameters(["robot_ip"])
    assert "did you mean" not in sentence
    assert "\n" not in "".join(names.unknown_parameters(["a\nb"]))


def test_a_quality_of_service_of_no_topic_is_named_with_the_nearest() -> None:
    known = [
        f"qos_overrides.{topic}.{policy}"
        for topic in ("/camera/image_raw.subscription", "/joint_states.subscription", "/n/predicted_latents.publisher")
        for policy in ("depth", "reliability")
    ]

    def remapped(topic: str) -> str:
        return {"/image": "/camera/image_raw"}.get(topic, topic)

    for wrong, meant in (
        ("/joint_state.subscription.depth", "/joint_states.subscription.depth"),
        ("/joint_states.publisher.depth", "/joint_states.subscription.depth"),
        ("/joint_states.subscription.dept", "/joint_states.subscription.depth"),
        ("/image.subscription.reliability", "/camera/image_raw.subscription.reliability"),  # it is remapped so
        ("/predicted_latents.publisher.depth", "/n/predicted_latents.publisher.depth"),
    ):
        (sentence,) = names.unknown_overrides([f"qos_overrides.{wrong}", "hop", *known], known, remapped)
        assert f"'qos_overrides.{wrong}'" in sentence and sentence.endswith(f"did you mean qos_overrides.{meant}?")
    assert list(names.unknown_overrides(["hop", "nope", *known], known, remapped)) == []
    given = (f"qos_overrides./z{number}" + "x" * 9000 for number in range(5000))
    many = list(names.unknown_overrides(given, known, remapped))
    assert len(many) == 11 and all(len(sentence) < 1500 for sentence in many)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("/image", "/image/compressed"),
        ("/image/compressed", "/image"),
        ("/camera/image_raw", "/camera/image_raw/compressed"),
        ("/joint_states", "/robot1/joint_states"),
        ("/left/joint_states", "/joint_states"),
        ("/image", "/camera/color/image_raw"),
        ("/joint_commands", "/joint_command"),
        ("/arm/joint_comands", "/arm/joint_commands"),
        ("/robot_description", "/robot/robot_description"),
    ],
)
def test_topics_that_nearly_have_a_name(wanted: str, name: str) -> None:
    others = ["/rosout", "/tf", "/clock", "/parameter_events", "/diagnostics"]
    assert names.near_topics(wanted, [*others, name, wanted]) == [name]


def test_the_nearest_topics_come_first_and_not_all_of_them() -> None:
    found = names.near_topics("/image", ["/image", "/left/image", "/image/compressed", "/right/image", "/x/image"])
    assert found == ["/image/compressed", "/left/image", "/right/image"]


def test_arguments_of_a_launch_file_that_there_are_not() -> None:
    declared = ["image_topic", "params_file", "preset", "node_name"]
    given = ["imge_topic", "param_file", "preset", "actions.timeout_s", "rate", "bag", "ros_namespace"]
    sentences = list(names.unknown_arguments(given, declared))
    assert len(sentences) == 3
    assert sentences[0].startswith("actions.timeout_s is no argument but a parameter")
    assert "'imge_topic'" in sentences[1] and "image_topic?" in sentences[1]
    assert "'param_file'" in sentences[2] and "params_file?" in sentences[2]
    # As launch_ros's PushRosNamespace, SetRemap and SetParameter have them.
    own = ["ros_namespace", "ros_remaps", "global_params"]
    assert list(names.unknown_arguments(own, [*declared, "namespace"])) == []
