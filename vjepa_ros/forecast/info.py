"""What goes with the latents: what is constant (``latent_info``) and what belongs to one window (``window_info``).

Plain values that go into JSON; it knows no messages.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

import vjepa_ros
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.stream.window import Window


def latent_info(config: NodeConfig, model: WorldModel) -> dict[str, Any]:
    """Everything constant that a planner needs to understand the latents.

    ``info_id`` stands for its contents, all but the checkpoints' paths: the same weights give the same id on a robot
    and on the machine that replays its bags. The hashes of encoder and predictor are in it by ``weights_hash``.
    """
    m, s = config.model, config.stream
    rate_hz, ahead = s.frame_rate_hz, range(1, s.horizon + 1)
    info: dict[str, Any] = {
        "vjepa_ros": vjepa_ros.__version__,
        "model": m.preset,
        "trained": model.trained,
        "notice": model.notice,
        "convention_warnings": list(config.convention_warnings),
        "checkpoint_key": model.checkpoint_key or "",
        "weights_hash": model.weights_hash,
        "model_dtype": str(model.dtype).removeprefix("torch."),
        "grid": [model.grid.steps, model.grid.rows, model.grid.cols],
        "dim": m.latent_dim,
        "levels": m.latent_levels,
        "steps": s.horizon if config.latents.forecast_only else m.most_context + s.horizon - 1,
        "horizon": s.horizon,
        "published": "forecast" if config.latents.forecast_only else "all",
        "dtype": config.latents.dtype,
        "layout": "one row per token: step, row, column; one column per channel",
        "normalized": "layer norm over channels, eps 1e-5, no affine",
        "image_size": list(m.image_size),
        "patch_size": m.patch_size,
        "tubelet_size": m.tubelet_size,
        "num_frames": m.num_frames,
        "context_steps": m.most_context,  # the newest of a window, that each forecast is made from
        "preprocessing": m.preprocessing,
        "view": {
            "roi": list(config.camera.view.roi),
            "rotation_deg": config.camera.view.rotation_deg,
            "flip": config.camera.view.flip,
        },
        "encoding": m.encoding,
        "frame_rate_hz": rate_hz,
        "hop": s.hop,
        "command_type": s.command_type,
        "reduction": s.reduction,
        "phase": s.phase,
        "tail": s.tail if s.reaches_ahead else "",
        "alignment": s.commands.alignment,
        "joint_names": list(s.commands.joint_names),
        "command_field": s.commands.field,
        "state_source": s.state_source,
        "state_names": list(s.states.joint_names) if s.state_source == "joint_states" else [],
        "state_field": s.states.field,
        "state_alignment": s.states.alignment,
        "action_scale": list(s.commands.scale),
        "action_offset": list(s.commands.offset),
        "action_mean": list(config.normalization.actions.mean),
        "action_std": list(config.normalization.actions.std),
        "state_scale": list(s.states.scale),
        "state_offset": list(s.states.offset),
        "state_mean": list(config.normalization.states.mean),
        "state_std": list(config.normalization.states.std),
        "pose": asdict(s.pose) if s.pose.is_made_here else {},
        "time_offsets_s": dict(config.clocks.offsets_s),
        "step_frames": s.stride,
        "step_period_s": s.stride / rate_hz if rate_hz else None,
        # frames after the window's start that each forecast is about, both ends included (rule 8)
        "forecast_frames": [[m.num_frames + (h - 1) * s.stride, m.num_frames + h * s.stride - 1] for h in ahead],
        # from the latents' stamp to the newest of these frames; with every frame taken, as the camera has it
        "forecast_offsets_s": [h * s.stride / rate_hz for h in ahead] if rate_hz else None,
    }
    text = json.dumps(info, sort_keys=True)
    info_id = hashlib.sha256(text.encode()).hexdigest()[:16]
    beside = {
        "checkpoint": config.weights.checkpoint,
        "predictor_checkpoint": config.weights.predictor_checkpoint,
        "encoder_hash": model.encoder_hash,
        "predictor_hash": model.predictor_hash,
    }
    return {"info_id": info_id, **beside, **info}


def window_info(info_id: str, window: Window, compute_ms: float, sources: tuple[str, str]) -> dict[str, Any]:
    """Everything that belongs to one window: times in integer nanoseconds, actions and states as they were used.

    Args:
        info_id: of the ``latent_info`` that goes with it.
        window: the window; its actions and states are those before normalisation by mean and standard deviation.
        compute_ms: how long the model took.
        sources: where actions and states come from, in words: their topics.
    """
    return {
        "info_id": info_id,
        "epoch": window.epoch,
        "window": window.number,
        "frame_stamps": [frame.stamp_ns for frame in window.frames],
        "step_stamps": list(window.step_stamps_ns),
        "actions": window.actions.values.tolist(),
        "action_stamps": list(window.actions.stamps_ns),
        "action_source": sources[0],
        "states": window.states.values.tolist(),
        "state_stamps": list(window.states.stamps_ns),
        "state_source": sources[1],
        "future_actions": window.future.values.tolist(),
        "future_step_stamps": list(window.future.steps_ns),
        "future_sources": list(window.future.sources),
        "held": window.held,
        "late": window.late,
        "compute_ms": round(compute_ms, 3),
    }
