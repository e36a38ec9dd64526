"""Which topics of a recording are read, where the recording is of a live run and has the node's own topics too."""

from __future__ import annotations

from builders import stream_config

from vjepa_ros import topics


def test_images_of_the_predictor_and_of_its_planner_are_no_cameras() -> None:
    image, joints = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState"
    kinds = {
        "/arm/vjepa_predictor/predicted_latents": image,
        "/arm/vjepa_predictor/context_latents": image,
        "/arm/vjepa_predictor/goal_image": image,
        "/camera/image_raw": image,
        "/joint_commands": joints,
        "/joint_states": joints,
    }
    found = topics.choose(kinds, stream_config(), {})
    assert found.image == "/camera/image_raw"
