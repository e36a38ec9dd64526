"""Trains a small predictor in as many processes as torchrun starts, and writes what came of it.

python -m torch.distributed.run --nproc-per-node 2 test/support/train_in_processes.py FOLDER BATCH ACCUMULATE
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from support.learnable import CPU_OPTIONS, as_read, tiny_config, walks
from vjepa_ros.training.initial import fresh_predictor
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


def main(folder: Path, batch: int, accumulate: int) -> None:
    """Train, and leave history and weights of this process."""
    torch.set_num_threads(1)
    rank = os.environ.get("RANK", "0")
    before = folder / "before"  # as an encoder and then a predictor: the second finds the first one's group
    before.mkdir(exist_ok=True)
    train(before, batch, accumulate)
    result = train(folder, batch, accumulate)
    torch.save(result.predictor.state_dict(), folder / f"weights_{rank}.pt")
    (folder / f"history_{rank}.json").write_text(json.dumps(result.history), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
