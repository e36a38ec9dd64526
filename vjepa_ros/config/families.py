"""What sets one family of encoders apart from another: one row per family, which says all that differs in the layers.

The encoder does what its row says, and a preset names the row; nothing else looks at the name. It knows no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LEVELS = ("last", "all")
"""What of an encoder's levels becomes latents: the last one, or all of them along the channels."""


@dataclass(frozen=True)
class Family:
    """Encoders that differ in their sizes only.

    Attributes:
        name: the value of ``encoder_family``.
        level_norms: LayerNorms at the end, one for each level; 0 for a single one after the last block.
        released_levels: by number of blocks, those (from 0) whose outputs are the levels of the released encoders.
        has_image_tokenizer: whether single images have a tokenizer of their own, beside that of tubelets.
        has_modality_embeddings: whether tokens are told which tokenizer they come from, by an embedding that is added.
        is_true_rotation: whether the two channels of a pair turn by one angle; else angles are tiled.
        trained_grid: patches along a side in pre-training, to which rows and columns are scaled; 0 for no scaling.
    """

    name: str
    level_norms: int = 0
    released_levels: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    has_image_tokenizer: bool = False
    has_modality_embeddings: bool = False
    is_true_rotation: bool = False
    trained_grid: int = 0

    def levels(self, depth: int) -> tuple[int, ...]:
        """The blocks (from 0) of this many whose outputs are the levels: as released, else the ends of equal parts."""
        count = max(1, self.level_norms)
        return self.released_levels.get(depth, tuple((part + 1) * depth // count - 1 for part in range(count)))

    def levels_used(self, chosen: str) -> int:
        """How many levels the latents are made of, for one of :data:`LEVELS`."""
        return 1 if chosen == LEVELS[0] else self.level_norms

    def scales(self, rows: int, cols: int) -> tuple[float, float]:
        """Factors on the positions of rows and columns, so that a grid of any size spans that of pre-training."""
        if not self.trained_grid:
            return 1.0, 1.0
        row, col = ((self.trained_grid - 1) / max(1, patches - 1) for patches in (rows, cols))
        return row, col


FAMILIES: dict[str, Family] = {
    row.name: row
    for row in (
        Family("vjepa2"),
        Family(
            "vjepa2_1",
            level_norms=4,
            released_levels={12: (2, 5, 8, 11), 24: (5, 11, 17, 23), 40: (9, 19, 29, 39), 48: (11, 23, 37, 47)},
            has_image_tokenizer=True,
            has_modality_embeddings=True,
            is_true_rotation=True,
            trained_grid=16,
        ),
    )
}
"""Every family, by the value of ``encoder_family``."""
