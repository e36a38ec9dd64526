"""An interrupted training goes on where its last state was saved, to the same result bit by bit; or says why not."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.learnable import CPU_OPTIONS, as_read, tiny_config, walks

from vjepa_ros.errors import ConfigError, OutputError
from vjepa_ros.training import saved
from vjepa_ros.training.course import Progress
from vjepa_ros.training.initial import fresh_predictor
from vjepa_ros.training.learning import Learning
from vjepa_ros.training.losses import Objective
from vjepa_ros.training.predictor import Trained, train_predictor


def train(
    folder: Path, resume: bool = False, progress: Callable[[Progress], None] | None = None, **changes: object
) -> Trained:
    config = tiny_config(encoding="tubelet")
    options = {"steps": 17, "batch": 4, "lr": 5e-3, "save_every": 5, "evaluate_every": 4, **CPU_OPTIONS, **changes}
    folder.mkdir(exist_ok=True)
    return train_predictor(
        walks(config), walks(config, 2, 12, seed=1), fresh_predictor(config, 0).predictor, as_read(config),
        Objective(2), Learning(**options), folder, data_key="walks", resume=resume, progress=progress,
    )  # fmt: skip


def interrupt(at: int) -> Callable[[Progress], None]:
    def tell(now: Progress) -> None:
        if now.step == at:
            raise KeyboardInterrupt

    return tell


def same(one: Trained, other: Trained) -> None:
    assert one.history == other.history and (one.steps, one.best_step) == (other.steps, other.best_step)
    for name, tensor in one.predictor.state_dict().items():
        assert torch.equal(tensor, other.predictor.state_dict()[name]), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("at", [3, 9, 15])
def test_it_goes_on_bit_by_bit(whole: Trained, tmp_path: Path, at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=interrupt(at))
    assert (tmp_path / "state.pt").exists() == (at >= 5)
    steps: list[int] = []
    same(whole, train(tmp_path, resume=True, progress=lambda now: steps.append(now.step)))
    assert steps[0] == at // 5 * 5 + 1


def test_twice_interrupted(whole: Trained, tmp_path: Path) -> None:
    for at, resume in ((6, False), (11, True)):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, resume=resume, progress=interrupt(at))
    same(whole, train(tmp_path, resume=True))


def test_what_is_done_is_not_done_again(whole: Trained, tmp_path: Path) -> None:
    train(tmp_path)
    same(whole, train(tmp_path, resume=True, progress=lambda _: pytest.fail("a step was done")))


def test_an_early_end_is_an_end(tmp_path: Path) -> None:
    stopped = train(tmp_path, steps=100, evaluate_every=1, patience=1, lr=5e-2)
    assert stopped.stopped
    same(stopped, train(tmp_path, resume=True, steps=100, evaluate_every=1, patience=1, lr=5e-2))


@pytest.mark.parametrize("changes", [{"lr": 4e-3}, {"batch": 8}, {"steps": 18}, {"seed": 1}])
def test_another_training_is_not_gone_on_with(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=interrupt(6))
    with pytest.raises(ConfigError, match="resume: .*state.pt is of a training with other data, weights or options"):
        train(tmp_path, resume=True, **changes)


def test_without_resume_it_begins_anew(whole: Trained, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=interrupt(6), lr=1e-3)
    same(whole, train(tmp_path))


def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    train(tmp_path, steps=3)
    state = tmp_path / "state.pt"
    content = state.read_bytes()
    for damaged in (b"", b"nothing of the kind", content[: len(content) // 2]):
        state.write_bytes(damaged)
        with pytest.raises(OutputError, match="state.pt: is no state of a training; remove it"):
            train(tmp_path, resume=True, steps=3)
    torch.save({"weights": {}}, state)
    with pytest.raises(OutputError, match="is no state of this training's version"):
        train(tmp_path, resume=True, steps=3)


def test_a_full_disk_leaves_the_state_before(tmp_path: Path) -> None:
    """What cannot be written is an OSError that names the file; the state that lay there still does."""
    path = tmp_path / "state.pt"
    saved.save(path, "key", {"weights": {"a": torch.ones(3)}})
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(OSError) as caught:
            saved.save(path, "key", {"weights": {"a": torch.ones(1_000_000)}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.filename == str(path)
    found = saved.load(path)
    assert found is not None and found[0] == "key" and found[1]["weights"]["a"].tolist() == [1.0, 1.0, 1.0]
    assert list(tmp_path.iterdir()) == [path]


PROGRAM = """
import sys
from pathlib import Path
from training.test_goes_on import train
train(Path(sys.argv[1]), steps=2000, save_every=1)
"""


def test_killed_it_leaves_a_whole_state(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 80
    while not (tmp_path / "state.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)
    process.kill()
    process.wait()
    found = saved.load(tmp_path / "state.pt")
    assert found is not None and found[1]["course"]["step"] >= 1
    first: list[int] = []

    def tell(now: Progress) -> None:
        first.append(now.step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, steps=2000, save_every=1, resume=True, progress=tell)
    assert first == [found[1]["course"]["step"] + 1]
