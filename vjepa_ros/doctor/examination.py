"""Everything that is looked at without a graph, in its order; a look at the graph is handed in.

It knows how the parts hang together: without parameters there is no checkpoint to look at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_ros.doctor.line import Line, is_well, skipped

if TYPE_CHECKING:  # all that needs NumPy is imported once NumPy was found to be well
    from vjepa_ros.config.node import NodeConfig

Look = Callable[["NodeConfig", Mapping[str, Any]], Iterator[Line]]
"""(what the parameters say, ROS's own parameters) -> what is to be said of the graph."""


@dataclass(frozen=True)
class Examination:
    """What is looked at.

    Attributes:
        params: a ROS parameter file; None for that of the launch file.
        settings: values that replace those of the file.
        node_name: full name of the node.
        look: looks at the graph; None leaves ROS out.
        times: whether the model is loaded and timed.
        environment: variables of the process.
    """

    params: Path | None
    settings: Mapping[str, Any]
    node_name: str
    look: Look | None
    times: bool = True
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def lines(self) -> Iterator[Line]:
        """One after the other, as they are found."""
        from vjepa_ros.doctor import cuda, versions

        yield versions.python_line()
        yield (numpy := versions.numpy_line())
        yield (opencv := versions.opencv_line())
        config: NodeConfig | None = None
        of_ros: Mapping[str, Any] = {}
        of_parameters = [skipped("parameters", "NumPy comes first")]
        if is_well([numpy]):
            from vjepa_ros.doctor.parameters import examine_parameters

            found = examine_parameters(self.params, self.settings, self.node_name)
            config, of_ros, of_parameters = found.config, found.of_ros, list(found.lines)
        torch = cuda.Torch.found()
        device = "auto" if config is None else config.engine.device
        yield cuda.torch_line(torch, cuda.find_gpus(self.environment), device)
        yield from of_parameters
        if config is None or torch.error:
            why = "the parameters come first" if config is None else "torch comes first"
            yield skipped("checkpoint", why)
            yield skipped("latency", why)
        else:
            yield from self._of_model(config, is_well([opencv]))
        if self.look is None:
            yield skipped("ros", "it was left out")
            return
        yield from self._of_ros(config, of_ros, self.look, is_well([opencv]))

    def _of_model(self, config: NodeConfig, has_opencv: bool) -> Iterator[Line]:
        from vjepa_ros.doctor.checkpoint import checkpoint_lines

        lines = list(checkpoint_lines(config))
        yield from lines
        if not self.times:
            yield skipped("latency", "the model was left out")
        elif not has_opencv:
            yield skipped("latency", "OpenCV comes first")
        elif is_well(lines):
            from vjepa_ros.doctor.latency import latency_line

            yield latency_line(config)
        else:
            yield skipped("latency", "checkpoint, device and memory come first")

    def _of_ros(
        self, config: NodeConfig | None, of_ros: Mapping[str, Any], look: Look, has_opencv: bool
    ) -> Iterator[Line]:
        from vjepa_ros.doctor import versions
        from vjepa_ros.doctor.shared_memory import memory_lines

        lines = list(versions.ros_lines(self.environment))
        yield from lines
        yield from memory_lines(self.environment, {} if config is None else {"latents": latent_bytes(config)})
        if config is None:
            yield skipped("topics", "the parameters come first")
        elif not is_well(lines):
            yield skipped("topics", "ROS comes first")
        elif not has_opencv:
            yield skipped("topics", "OpenCV comes first")
        else:
            yield from look(config, of_ros)


def latent_bytes(config: NodeConfig) -> int:
    """Bytes of the latents of one window as they are published."""
    sizes, stream = config.model, config.stream
    rows, cols = (side // sizes.patch_size for side in sizes.image_size)
    steps = stream.horizon + (0 if config.latents.forecast_only else sizes.most_context - 1)
    return steps * rows * cols * sizes.latent_dim * (2 if config.latents.dtype == "16FC1" else 4)
