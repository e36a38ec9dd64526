"""The one door that latents go out by, with what is told of them, and pictures and answers: values in, messages out.

Such a value becomes a message in an adapter and nowhere else: whoever wants latents to travel in another type of
message changes that row (docs/adr/0001). What has a type that is not the node's to choose goes another way: commands
and plans (:mod:`vjepa_ros.ros.planner`), ``/diagnostics`` (:mod:`vjepa_ros.ros.node`) and heartbeats
(:mod:`vjepa_ros.ros.bonding`). It knows no windows, no model and no threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, Float32MultiArray, String

from vjepa_ros.config.inputs import of_camera
from vjepa_ros.ros import qos
from vjepa_ros.ros.endpoints import Endpoints
from vjepa_ros.ros.messages import (
    answer_message,
    energies_message,
    info_message,
    latents_message,
    number_message,
    picture_message,
    window_message,
)


@dataclass(frozen=True)
class Adapter:
    """How values travel.

    Attributes:
        kind: the class of the messages.
        message: makes one of the values.
    """

    kind: type
    message: Callable[..., Any]


LATENTS = Adapter(Image, latents_message)
NUMBER = Adapter(Float32, number_message)
PICTURE = Adapter(Image, picture_message)


@dataclass(frozen=True)
class Published:
    """A topic that is published.

    Attributes:
        adapter: makes its messages.
        topic: its name, where the node has one camera without a name.
        profile: makes its quality of service.
        each_camera: whether each camera has one of its own.
    """

    adapter: Adapter
    topic: str
    profile: Callable[[], Any]
    each_camera: bool = True


PUBLISHERS: dict[str, Published] = {
    "predicted": Published(LATENTS, "~/predicted_latents", qos.LATENTS),
    "context": Published(LATENTS, "~/context_latents", qos.LATENTS),  # where it is asked for
    "info": Published(Adapter(String, info_message), "~/latent_info", qos.LATCHED),
    "window": Published(Adapter(DiagnosticArray, window_message), "~/window_info", qos.WINDOW_INFO),
    "error": Published(NUMBER, "~/prediction_error", qos.ERRORS),
    "no_change": Published(NUMBER, "~/no_change_error", qos.ERRORS),
    "latent_image": Published(PICTURE, "~/latent_image", qos.LATENTS),
    "error_image": Published(PICTURE, "~/error_image", qos.LATENTS),
    "energies": Published(
        Adapter(Float32MultiArray, energies_message), "~/candidate_energies", qos.QUESTIONS, each_camera=False
    ),
    "answers": Published(
        Adapter(DiagnosticArray, answer_message), "~/candidate_info", qos.QUESTIONS, each_camera=False
    ),
}
"""What is published here, by a word for it."""


class Publishers:
    """Publishers of some rows.

    Args:
        endpoints: makes them.
        names: which, of :data:`PUBLISHERS`.
        camera: whose they are; empty where it has no name.
    """

    def __init__(self, endpoints: Endpoints, names: Iterable[str], camera: str = "") -> None:
        self._endpoints = endpoints
        self._made: dict[str, Any] = {}
        try:
            for name in names:
                row = PUBLISHERS[name]
                topic = of_camera(row.topic, camera)
                self._made[name] = endpoints.publisher(row.adapter.kind, topic, row.profile())
        except BaseException:
            self.close()
            raise

    def publish(self, name: str, *values: Any) -> None:
        """Send values; from the thread that they are made in."""
        self._made[name].publish(PUBLISHERS[name].adapter.message(*values))

    def is_wanted(self, name: str) -> bool:
        """Whether anybody subscribes."""
        return bool(self._made[name].get_subscription_count())

    def close(self) -> None:
        """End them."""
        for publisher in self._made.values():
            self._endpoints.destroy(publisher)
        self._made = {}
