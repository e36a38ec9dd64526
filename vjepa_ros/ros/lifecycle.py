"""A managed node that says what went wrong: failures in transitions are logged.

It knows rclpy's lifecycle only, not what the node does.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from vjepa_ros.errors import VjepaError
from vjepa_ros.ros.last_line import LastLine

_STATE_AFTER = {
    "configure": "inactive",
    "activate": "active",
    "deactivate": "inactive",
    "cleanup": "unconfigured",
    "shutdown": "finalized",
    "error": "unconfigured",
}


class ManagedNode(LifecycleNode):
    """A lifecycle node whose work stands in ``configure``, ``activate``, ``deactivate``, ``cleanup`` and ``close``.

    A VjepaError in ``configure`` is a refusal: the node stays unconfigured. Any other failure goes through the error
    state; ``close`` is called, and the node can be configured again.

    Attributes:
        state_label: the lifecycle state, in the words of lifecycle_msgs.
        last_line: takes whatever a callback lets through.
        last_error: why the last transition failed; empty where it did not.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.state_label = "unconfigured"
        self.last_line = LastLine(self)
        self.last_error = ""

    def configure(self) -> None:
        """Validate, load, make ready."""

    def activate(self) -> None:
        """Start to work; the lifecycle publishers are enabled after it."""

    def activated(self) -> None:
        """What can only be published once the lifecycle publishers are enabled."""

    def deactivate(self) -> None:
        """Stop working."""

    def cleanup(self) -> None:
        """Undo configure."""

    def close(self) -> None:
        """Undo everything, however far it came; must not raise."""

    def destroy_node(self) -> None:
        """Destroy the node and the state machine, which else keeps the middleware's participant alive.

        rclpy leaves the state machine to the garbage collector; the participant's shared memory would outlive a process
        that ends before that has run. There is no public way to get at it.
        """
        super().destroy_node()
        machine = getattr(self, "_state_machine", None)
        if machine is not None:
            machine.destroy_when_not_in_use()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See configure."""
        return self._transition("configure", self.configure, super().on_configure, state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See activate."""
        return self._transition("activate", self.activate, super().on_activate, state, self.activated)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See deactivate."""
        return self._transition("deactivate", self.deactivate, super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See cleanup."""
        return self._transition("cleanup", self.cleanup, super().on_cleanup, state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See close."""
        return self._transition("shutdown", self.close, super().on_shutdown, state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See close."""
        return self._transition("error", self.close, super().on_error, state)

    def _transition(
        self,
        name: str,
        work: Callable[[], None],
        entities: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
        afterwards: Callable[[], None] = lambda: None,
    ) -> TransitionCallbackReturn:
        """Run a transition's work and that of the lifecycle publishers; log what rclpy would swallow."""
        try:
            if name != "error":  # which comes after what has failed
                self.last_error = ""
            work()
            result = entities(state)
            afterwards()
        except VjepaError as error:
            self._say_failed(f"cannot {name}: {error}")
            self.close()
            return TransitionCallbackReturn.FAILURE if name == "configure" else TransitionCallbackReturn.ERROR
        except Exception:  # noqa: BLE001 - rclpy would turn it into the error state and say nothing
            self._say_failed(f"cannot {name}:\n{traceback.format_exc()}")
            self.close()
            return TransitionCallbackReturn.ERROR
        if result == TransitionCallbackReturn.SUCCESS:
            self.state_label = _STATE_AFTER[name]
        return result

    def _say_failed(self, text: str) -> None:
        self.last_error = text
        if self.context.ok():  # else a signal has ended everything while a model was loaded: that is no failure
            self.get_logger().error(text)
