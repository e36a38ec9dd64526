"""Has a model loaded beside the executor, for a transition that waits for it: one at a time, which can be given up.

What it loads by is :func:`vjepa_ros.ros.configured.load`. It knows no states.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from rclpy.node import Node
from rclpy.task import Future

from vjepa_ros.config.node import NodeConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.ros import configured
from vjepa_ros.ros.loading import Loading


class Loader:
    """Loads a model, and keeps it until it is taken.

    Args:
        node: whose executor goes on meanwhile.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._loading: Loading[WorldModel] | None = None
        self._given_up: Loading[WorldModel] | None = None
        self._loaded: tuple[NodeConfig, Loading[WorldModel]] | None = None

    @property
    def text(self) -> str:
        """How far it is, in words; empty where nothing is being loaded."""
        return "" if self._loading is None else self._loading.text

    async def load(self, config: NodeConfig) -> str:
        """Load; the coroutine ends when the model is there, or has failed. Why it was not, or nothing.

        Args:
            config: what the parameters say.
        """
        if self._loading is not None:
            return "a model is being loaded already"
        if self._given_up is not None and self._given_up.is_running:
            return "the model whose loading was given up is still being let go: try again"
        self._loaded = self._given_up = None
        executor = self._node.executor
        if executor is None:
            return ""  # nobody else would get a turn: configure loads it
        future = Future(executor=executor)
        future.add_done_callback(lambda _: None)  # by it the executor is woken

        def ended() -> None:
            with suppress(Exception):  # of an executor that a signal has ended
                future.set_result(None)

        load = partial(configured.load, config)
        self._loading = loading = Loading(load, self._node.get_logger().info, ended)
        try:
            await future
        finally:
            self._loading = None
        if loading.is_cancelled:
            self._given_up = loading
            return "loading was given up"
        self._loaded = config, loading
        return ""

    def taken(self) -> tuple[NodeConfig | None, WorldModel | None]:
        """What was loaded, with the configuration that it was loaded by; nothing where nothing was.

        Raises:
            Exception: whatever the loading has raised.
        """
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return None, None
        config, loading = loaded
        if loading.error is not None:
            raise loading.error
        return config, loading.model

    def cancel(self) -> bool:
        """Give up what is being loaded, and let go of what nobody has taken; whether anything was being loaded."""
        self._loaded = None
        if self._loading is None:
            return False
        self._loading.cancel()
        return True
