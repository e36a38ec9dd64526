"""Camera frames to the device, each one once: windows overlap, and a frame stands in many of them.

On a GPU frames travel from pinned memory on a stream of their own, so that the copy of one step's frames may overlap
with what is computed of the step before; the host waits for nothing. It knows no model, and only one thread at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vjepa_ros.devices import failures, new_stream, to_device
from vjepa_ros.stream.frame import Frame


class Upload:
    """Gives clips on a device, out of frames.

    Args:
        device, dtype: of the clips.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._stream = new_stream(device)
        self._there: dict[int, tuple[Frame, Tensor]] = {}  # by identity: the frame is kept, so no other has its id

    def __call__(self, frames: Sequence[Frame]) -> Tensor:
        """(1, 3, N, H, W), of frames which may repeat; those that are not among them are forgotten.

        Raises:
            EngineError: where the device fails.
        """
        with failures("uploading frames"):
            there = {}
            for frame in frames:
                key = id(frame)
                if key not in there:
                    there[key] = self._there[key] if key in self._there else (frame, self._upload(frame))
            self._there = there
            if self._stream is not None:
                torch.cuda.current_stream(self._device).wait_stream(self._stream)
            return torch.stack([there[id(frame)][1] for frame in frames], dim=1)[None]

    def _upload(self, frame: Frame) -> Tensor:
        image = torch.from_numpy(frame.image)
        if self._stream is None:
            return to_device(image, self._device, self._dtype)
        with torch.cuda.stream(self._stream):
            uploaded = to_device(image, self._device, self._dtype)
        uploaded.record_stream(torch.cuda.current_stream(self._device))  # it is read there, and freed after that
        return uploaded
