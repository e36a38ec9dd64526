"""The processes of one training, where torchrun has started several: the first one does what is done once, the others
wait and find it done. It knows no data and no models.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from vjepa_ros.devices import find_device
from vjepa_ros.training import processes

Result = TypeVar("Result")

_PATIENCE = timedelta(days=7)  # that others wait for the first process, while it reads recordings or encodes them


@dataclass(frozen=True)
class Team:
    """The processes.

    Attributes:
        count: how many.
        is_first: whether this one is the first.
    """

    count: int
    is_first: bool
    _state: Any = None

    @classmethod
    def of(cls, device: str) -> Team:
        """All that torchrun has started; this one alone where it has not.

        Args:
            device: that will be trained on, as torch names it, or ``auto``.

        Raises:
            ConfigError: where Accelerate is not installed, or there is no such device.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls(1, True)
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise processes.missing("accelerate", error) from error
        state = PartialState(cpu=find_device(device).type == "cpu", timeout=_PATIENCE)
        return cls(state.num_processes, state.is_main_process, state)

    def in_turn(self, work: Callable[[], Result]) -> Result:
        """Have the first process do a stage, and then the others, which find it done."""
        if self.is_first:
            result = work()
            self.wait()
        else:
            self.wait()
            result = work()
        self.wait()
        return result

    def wait(self) -> None:
        """Wait for all."""
        if self._state is not None:
            self._state.wait_for_everyone()
