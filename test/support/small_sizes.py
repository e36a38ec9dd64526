"""Small models of every kind, for what is slow with larger ones: by name, what ``vjepa_ros.load`` is to be given."""

from __future__ import annotations

from typing import Any

_SMALL: dict[str, Any] = {
    "image_size": (32, 48), "patch_size": 16, "num_frames": 4,
    "encoder_dim": 64, "encoder_depth": 2, "encoder_heads": 2,
    "predictor_dim": 48, "predictor_depth": 2, "predictor_heads": 2, "mlp_ratio": 4.0,
}  # fmt: skip
_V21 = {**_SMALL, "encoder_depth": 4, "encoder_family": "vjepa2_1"}

KINDS: dict[str, dict[str, Any]] = {
    "clip": {**_SMALL, "encoding": "clip"},
    "tubelet": {**_SMALL, "encoding": "tubelet"},
    "frame_repeat": {**_SMALL, "encoding": "frame_repeat", "context_steps": 3},
    "2.1 all levels": {**_V21, "encoding": "clip", "latent_levels": "all"},
    "2.1 frame": {**_V21, "encoding": "frame"},
}
