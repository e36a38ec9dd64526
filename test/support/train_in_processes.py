"""Trains a small encoder and a small predictor in as many processes as torchrun starts, and writes what came of it.

python -m torch.distributed.run --nproc-per-node 2 test/support/train_in_processes.py FOLDER BATCH ACCUMULATE
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from support.footage import dot_config, dots
from support.learnable import CPU_OPTIONS, as_read, tiny_config, walks
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.training.encoder import TrainedEncoder, encoder_learning, train_encoder
from vjepa_ros.training.encoder_loss import EncoderObjective
from vjepa_ros.training.initial import fresh_encoder, fresh_predictor
from vjepa_ros.training.learning import Learning
from vjepa_ros.training.losses import Objective
from vjepa_ros.training.predictor import Trained, train_predictor


def train(folder: Path, batch: int, accumulate: int, resume: bool = False) -> Trained:
    """Eight steps, with held-back samples in the middle and at the end."""
    config = tiny_config(encoding="tubelet")
    options = {"steps": 8, "batch": batch, "accumulate": accumulate, "lr": 5e-3, "clip": 0.5, **CPU_OPTIONS}
    learning = Learning(evaluate_every=4, save_every=3, **options)
    predictor = fresh_predictor(config, 0).predictor
    held = walks(config, 2, 14, seed=1)
    return train_predictor(
        walks(config), held, predictor, as_read(config), Objective(2), learning, folder, resume=resume
    )


V21 = dot_config(encoder_family="vjepa2_1", encoding="frame", encoder_depth=4)
IDLE = ("patch_embed.", "video_mod_embed", "norms_block.0", "norms_block.1", "norms_block.2")
"""The weights of an encoder of V-JEPA 2.1 that single images do not use."""


def first_v21() -> Encoder:
    """Such an encoder with its first weights."""
    return fresh_encoder(V21, 0)


def train_v21(folder: Path, batch: int, accumulate: int) -> TrainedEncoder:
    """Four steps of it."""
    frames, runs = dots(V21)
    learning = encoder_learning(4, batch=batch, accumulate=accumulate, **CPU_OPTIONS)
    objective = EncoderObjective()
    return train_encoder(frames, runs, [], first_v21(), "delta", as_read(V21), objective, learning, folder)


def main(folder: Path, batch: int, accumulate: int) -> None:
    """Train, and leave history and weights of this process."""
    torch.set_num_threads(1)
    rank = os.environ.get("RANK", "0")
    before = folder / "before"  # as an encoder and then a predictor: the second finds the first one's group
    before.mkdir(exist_ok=True)
    encoder = train_v21(before, batch * 2, accumulate)
    torch.save(encoder.encoder.state_dict(), folder / f"encoder_{rank}.pt")
    result = train(folder, batch, accumulate)
    torch.save(result.predictor.state_dict(), folder / f"weights_{rank}.pt")
    (folder / f"history_{rank}.json").write_text(json.dumps(result.history), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
