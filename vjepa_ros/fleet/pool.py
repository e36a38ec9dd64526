"""Who computes a fleet: this process alone, or workers of Ray Data, each with a model of its own.

Recordings in, results out, in any order. None of Ray's services is on that asks the network: no usage statistics, no
dashboard. A Ray that is started here talks on the loopback interface; it listens on all of them, which cannot be told
it, and asks whoever speaks to it for a token that only its own processes have.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vjepa_ros.errors import ConfigError, EngineError, brief
from vjepa_ros.fleet.plan import Plan
from vjepa_ros.fleet.work import Result, Worker

_MOST_BLOCKS = 2000
"""Tasks that Ray has: one per recording up to here, then several recordings in each, so that its books stay small."""
_STORE_BYTES = 80 * 2**20  # only names and answers go through it
_LONGEST_FOLDER = 40  # bytes: a socket's path, with what Ray puts behind it, must stay below 108
_LOCAL = "127.0.0.2"  # a loopback address too; 127.0.0.1 Ray takes for that of the network's interface


def results(plan: Plan, recordings: Sequence[str]) -> Generator[Result, None, None]:
    """What becomes of each recording.

    Args:
        plan: how; its ``out`` is there.
        recordings: which.

    Raises:
        ConfigError: where Ray is not installed, or there is no such cluster.
        EngineError: where Ray fails as a whole.
    """
    if plan.workers == 0:
        yield from map(Worker(plan), recordings)
        return
    with joined(plan) as ray:
        yield from _from_ray(ray, plan, recordings)


class _Actor:
    """What Ray calls: a batch of one name in, one answer out."""

    def __init__(self, plan: Plan) -> None:
        self._worker = Worker(plan)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        found = [asdict(self._worker(str(recording))) for recording in batch["item"]]
        return {name: [one[name] for one in found] for name in found[0]}


def _from_ray(ray: Any, plan: Plan, recordings: Sequence[str]) -> Iterator[Result]:
    gpus = _gpus(plan)
    threads = int(plan.values.get("threads") or 1)
    # Workers see other folders, and may be on other machines.
    plan = replace(plan, out=plan.out.resolve(), urdf=plan.urdf and plan.urdf.resolve(), bags=("all",))
    data = ray.data.from_items(list(recordings), override_num_blocks=min(len(recordings), _MOST_BLOCKS))
    asked = data.map_batches(
        _Actor, fn_constructor_args=(plan,), batch_size=1, batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=min(plan.workers, len(recordings))), num_cpus=threads, num_gpus=gpus,
    )  # fmt: skip
    try:
        for row in asked.iter_rows():
            yield Result(**{**row, "fatal": tuple(map(str, row["fatal"]))})
    except ray.exceptions.RayError as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise EngineError(f"Ray gave up: {brief(said)}") from error


def _gpus(plan: Plan) -> float:
    if plan.gpus is not None:
        return plan.gpus
    if str(plan.values.get("device", "auto")).startswith("cpu"):
        return 0
    import torch  # here, because only this asks

    return 1 if torch.cuda.is_available() else 0


@contextmanager
def joined(plan: Plan) -> Iterator[Any]:
    """Ray, started or joined, with its data module; a Ray that runs in this process already is used and left alone."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what it says of itself is for those who look for it
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if plan.address is None and "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # read when it is imported
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ConfigError(
            "workers", f"more than this process needs Ray ({error}): install it, or the package with its extra fleet"
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.verbose_stats_logs = False
    if ray.is_initialized():
        yield ray
        return
    own = None if plan.address is not None else _folder()
    try:
        _start(ray, plan, own)
        yield ray
    finally:
        ray.shutdown()
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


def _start(ray: Any, plan: Plan, folder: Path | None) -> None:
    common = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    try:
        if folder is None:
            ray.init(plan.address, log_to_driver=False, logging_level="ERROR")
            return
        cores = max(len(os.sched_getaffinity(0)), plan.workers * int(plan.values.get("threads") or 1))
        ray.init(
            num_cpus=cores, object_store_memory=_STORE_BYTES, _temp_dir=str(folder), _node_ip_address=_LOCAL, **common
        )
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        where = "address" if folder is None else "workers"
        raise ConfigError(where, f"Ray cannot be reached: {brief(str(error).splitlines()[0])}") from error


def _folder() -> Path:
    """For Ray's sockets and logs, gone with it."""
    usual = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="vj", dir=usual if len(os.fsencode(usual)) <= _LONGEST_FOLDER else "/tmp"))
