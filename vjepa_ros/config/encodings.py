"""How a window goes through the encoder: one row per encoding (rule 7), which says all that differs around it.

The encoder itself does what its row says; nothing else looks at the name. It knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Encoding:
    """A way of a window through the encoder.

    Attributes:
        name: the value of ``encoding``.
        is_whole: whether the window goes through as one video, so that attention looks ahead and only what lies beyond
            the window is a forecast (rule 8). Else each step goes through alone, its latents serve every window that it
            is in, and nothing looks ahead.
        repeats_frames: whether each frame is a step, a tubelet that repeats it; else a step is a tubelet of its own
            frames.
        sees_images: whether each frame is a step, one single image, which the encoder's tokenizer of images sees: for
            encoders that have one.
    """

    name: str
    is_whole: bool = False
    repeats_frames: bool = False
    sees_images: bool = False

    def stride(self, tubelet_size: int) -> int:
        """Sampled frames per step."""
        return 1 if self.repeats_frames or self.sees_images else tubelet_size

    def frames_at_once(self, num_frames: int, tubelet_size: int) -> int:
        """Frames that go through the encoder together: how often a goal image is repeated, to look like a step."""
        return num_frames if self.is_whole else self.stride(tubelet_size)


ENCODINGS: dict[str, Encoding] = {
    row.name: row
    for row in (
        Encoding("clip", is_whole=True),
        Encoding("tubelet"),
        Encoding("frame_repeat", repeats_frames=True),
        Encoding("frame", sees_images=True),
    )
}
"""Every encoding, by the value of ``encoding``."""
