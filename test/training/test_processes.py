"""Two processes on one machine do what one does with twice the batch; so does a batch in parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support import train_in_processes

PROGRAM = Path(train_in_processes.__file__)
TOLERANCE = 1e-5
BATCH = 6


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One process, all samples of a step at once."""
    return train_in_processes.train(tmp_path_factory.mktemp("one"), BATCH, 1)


def same(one: Any, history: list[dict[str, float]], weights: dict[str, torch.Tensor]) -> None:
    assert [told.keys() for told in history] == [told.keys() for told in one.history]
    worst = max(
        abs(theirs[name] - ours[name]) / max(abs(ours[name]), 1e-9)
        for ours, theirs in zip(one.history, history, strict=True)
        for name in ours
    )
    print(f"worst relative difference of all figures {worst:.1e}")
    assert worst <= TOLERANCE
    for name, tensor in one.predictor.state_dict().items():
        assert (weights[name] - tensor).abs().max() <= 1e-4, name


def test_two_processes_are_one_with_twice_the_batch(one: Any, tmp_path: Path) -> None:
    names = [name for name in os.environ if name.startswith(("ACCELERATE_", "RANK", "LOCAL_", "WORLD_"))]
    environment = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(PROGRAM), str(tmp_path), str(BATCH // 2), "1"],
        env={**environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    encoders = [torch.load(tmp_path / f"encoder_{rank}.pt", weights_only=True) for rank in range(2)]
    first = dict(train_in_processes.first_v21().named_parameters())
    for name, tensor in encoders[0].items():
        assert torch.equal(encoders[1][name], tensor), name
        assert torch.equal(first[name], tensor) == name.startswith(train_in_processes.IDLE), name
    states = [torch.load(tmp_path / f"weights_{rank}.pt", weights_only=True) for rank in range(2)]
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
    histories = [json.loads((tmp_path / f"history_{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    assert histories[0] == histories[1]
    same(one, histories[0], states[0])


def test_a_batch_in_parts_is_the_same_batch(one: Any, tmp_path: Path) -> None:
    parts = train_in_processes.train(tmp_path, BATCH // 3, 3)
    same(one, list(parts.history), parts.predictor.state_dict())
