"""What goes with the latents: what is constant (``latent_info``) and what belongs to one window (``window_info``).

Plain values that go into JSON; it knows no messages.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import vjepa_ros
from vjepa_ros.engine import WorldModel
from vjepa_ros.parameters import NodeConfig
from vjepa_ros.stream.counters import Counters
from vjepa_ros.stream.window import Window


def latent_info(config: NodeConfig, model: WorldModel) -> dict[str, Any]:
    """Everything constant that a planner needs to understand the latents, with an id of its own contents."""
    m, s = config.model, config.stream
    rate_hz = s.frame_rate_hz
    info: dict[str, Any] = {
        "vjepa_ros": vjepa_ros.__version__,
        "model": m.preset,
        "trained": model.trained,
        "notice": model.notice,
        "checkpoint": config.checkpoint or "",
        "checkpoint_key": model.checkpoint_key or "",
        "weights_hash": model.weights_hash,
        "model_dtype": str(model.dtype).removeprefix("torch."),
        "grid": [model.grid.steps, model.grid.rows, model.grid.cols],
        "dim": m.encoder_dim,
        "steps": 1 if config.forecast_only else m.steps,
        "published": "forecast" if config.forecast_only else "all",
        "dtype": config.wire_encoding,
        "layout": "one row per token: step, row, column; one column per channel",
        "normalized": "layer norm over channels, eps 1e-5, no affine",
        "image_size": list(m.image_size),
        "patch_size": m.patch_size,
        "tubelet_size": m.tubelet_size,
        "num_frames": m.num_frames,
        "preprocessing": m.preprocessing,
        "encoding": m.encoding,
        "frame_rate_hz": rate_hz,
        "hop": s.hop,
        "reduction": "pick",
        "alignment": "hold",
        "phase": s.phase,
        "joint_names": list(s.commands.joint_names),
        "state_names": list(s.states.joint_names),
        "joint_normalization": "none",
        "step_frames": s.stride,
        "step_period_s": s.stride / rate_hz if rate_hz else None,
        # frames after the window's start that each forecast step is about, both ends included (rule 8)
        "forecast_frames": [[m.num_frames, m.num_frames + s.stride - 1]],
    }
    text = json.dumps(info, sort_keys=True)
    return {"info_id": hashlib.sha256(text.encode()).hexdigest()[:16], **info}


def window_info(info_id: str, window: Window, counters: Counters, compute_ms: float) -> dict[str, Any]:
    """Everything that belongs to one window: times in integer nanoseconds, actions and states as they were used."""
    return {
        "info_id": info_id,
        "epoch": window.epoch,
        "window": window.number,
        "frame_stamps": [frame.stamp_ns for frame in window.frames],
        "step_stamps": list(window.step_stamps_ns),
        "actions": window.actions.values.tolist(),
        "action_stamps": list(window.actions.stamps_ns),
        "action_source": "joint_commands",
        "states": window.states.values.tolist(),
        "state_stamps": list(window.states.stamps_ns),
        "state_source": "joint_states",
        "held": window.held,
        "late": counters.late,
        "compute_ms": round(compute_ms, 3),
    }
