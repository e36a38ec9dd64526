"""The user's view and other encodings than rgb8, through the real node."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from support.harness import Predictor, Robot
from support.messages import MS, T0_NS, pixels, stamped

import vjepa_ros
from vjepa_ros import latents

STREAM = "/vjepa_predictor: stream"


def image(stamp_ns: int, encoding: str, values: np.ndarray, **fields: Any) -> Image:
    message = Image(encoding=encoding, height=values.shape[0], width=values.shape[1], **fields)
    message.step = values[0].nbytes
    message.data.frombytes(values.tobytes())
    return stamped(message, stamp_ns)


def test_the_latents_are_those_of_the_view(predictor: Predictor, robot: Robot) -> None:
    robot.start(
        latents__publish_context=True, view__roi=[8, 4, 32, 40], view__rotation_deg=90, view__flip="vertical",
    )  # fmt: skip
    for index in range(16):
        stamp_ns = T0_NS + index * 50 * MS
        robot.send_joints(stamp_ns, float(index))
        robot.images.publish(image(stamp_ns - 3 * MS, "rgb8", pixels(index, 43, 64)))  # a row too small for the view
        robot.images.publish(image(stamp_ns - 2 * MS, "16UC1", pixels(index)[..., 0].astype(np.uint16)))
        robot.images.publish(image(stamp_ns - MS, "nv24", np.zeros((48, 64), np.uint8)))
        wide = (pixels(index)[..., ::-1].astype(np.uint16) * 257).astype(">u2")
        robot.images.publish(image(stamp_ns, "bgr16", wide, is_bigendian=1))
    assert robot.spin(lambda: len(robot.contexts) == 1 and len(robot.windows) == 1)
    assert robot.info["view"] == {"roi": [8, 4, 32, 40], "rotation_deg": 90, "flip": "vertical"}
    model = vjepa_ros.load("tiny_random")
    frames = np.stack([pixels(index) for index in range(16)])
    seen = np.ascontiguousarray(np.rot90(frames[:, 4:44, 8:40], -1, axes=(1, 2))[:, ::-1])
    context = latents.read(robot.contexts[0], robot.info).array
    encoded = model.grid.unflatten(model.encode(model.preprocess(seen)))[0].numpy()
    np.testing.assert_allclose(context, encoded, atol=1e-5)
    assert robot.spin(lambda: robot.diagnostics.get(STREAM, {}).get("rejected") == str(16 * 3))
    counted = {key: value for key, value in robot.diagnostics[STREAM].items() if key.startswith("rejected /")}
    assert counted == {
        "rejected /image roi_outside": "16",
        "rejected /image depth_image": "16",
        "rejected /image unknown_encoding": "16",
    }
    for advice in ("set view.roi for this resolution", "colour image", "cv_bridge"):
        assert any(advice in line for line in predictor.log.splitlines()), advice


def test_a_view_that_makes_no_sense_is_refused_by_name(predictor: Predictor, robot: Robot) -> None:
    ((accepted, reason),) = robot.set_parameters(view__rotation_deg=45)
    assert not accepted and "view.rotation_deg: 45 is not one of 0, 90, 180, 270" in reason
    (descriptor,) = robot.describe("view.rotation_deg")
    assert descriptor.additional_constraints == "one of: 0, 90, 180, 270"
