"""The first stage: what the recordings hold, read once and kept, with the hashes of all that it depends on.

It knows which stage that is, and leaves reading to :mod:`vjepa_ros.training.reading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import vjepa_ros
from vjepa_ros.config.node import NodeConfig
from vjepa_ros.errors import BagError, place
from vjepa_ros.recordings import content
from vjepa_ros.recordings.reading import Progress, Say
from vjepa_ros.training import fleet_tables, material, stages
from vjepa_ros.training.material import Material, Tally
from vjepa_ros.training.plan import Plan
from vjepa_ros.training.reading import Reader, configured, read


def gather(
    plan: Plan,
    folder: Path,
    progress: Progress = lambda what, done, total: None,
    say: Say = lambda sentence: None,
) -> tuple[Reader, Material]:
    """What the recordings of a plan hold: read now, or found in the stage ``windows`` where it is from the same.

    Args:
        plan: which, and how.
        folder: of the training; entered.
        progress: is told how far it has come.
        say: is told, once each, of what people should know.

    Returns:
        What reads them again, and what they hold.

    Raises:
        BagError: for a recording that cannot be used, or that stands there twice; it names it.
        ConfigError: naming a parameter or a field of the plan that makes no sense.
        OSError: where the disk is full or fails; it names the file.
    """
    config = configured(plan)
    hashes = _hashes(plan, progress)
    tables = fleet_tables.fleet_of(plan.recordings[0]) is not None
    reader = fleet_tables.TableReader(plan, config, say) if tables else Reader(plan, config, say)
    if isinstance(reader, fleet_tables.TableReader):
        reader.require_fit(reading_inputs)
    key = stages.key_of(
        vjepa_ros=vjepa_ros.__version__,
        recordings=hashes,
        urdf=plan.urdf and content.content_hash(plan.urdf),
        parameters=reading_inputs(config, plan.topics),
    )
    stage = stages.Stage(folder, "windows", key)
    if stage.result is not None:
        found = material.load(stage.path, key, hashes)
        if found is not None:
            return reader, replace(found, tallies=_renamed(found.tallies, plan.recordings))
    stage.begin()
    new = read(reader, key, hashes, progress)
    material.save(new, stage.path)
    stage.finish({"runs": len(new.runs), "units": new.units(config)})
    return reader, new


def _renamed(tallies: Sequence[Tally], paths: Sequence[Path]) -> tuple[Tally, ...]:
    """With the paths of now: the same recording may have moved."""
    return tuple(replace(tally, path=str(path)) for tally, path in zip(tallies, paths, strict=True))


def _hashes(plan: Plan, progress: Progress) -> list[str]:
    """Of the contents of all recordings.

    Raises:
        BagError: for one that is not there or cannot be read, and for files that are in two of them: they would be
            trained on twice, or on both sides of what is held back.
    """
    paths = plan.recordings
    for path in paths:
        if not path.exists():
            raise BagError(f"{place(path)}: there is no such bag")
    if fleet_tables.fleet_of(paths[0]) is not None:
        hashes = [fleet_tables.content_of(path) for path in paths]
        _require_different(paths, hashes)
        return hashes
    sizes = [content.file_sizes(path) for path in paths]
    owners: dict[str, Path] = {}
    for path, found in zip(paths, sizes, strict=True):
        for file in found:
            if owners.setdefault(file, path) is not path:
                raise BagError(f"{place(path)}: is in {place(owners[file])} too: name each recording once")
    total, done = sum(sum(found.values()) for found in sizes), 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress("bytes", done, total)

    hashes = [content.content_hash(path, count) for path in paths]
    _require_different(paths, hashes)
    return hashes


def _require_different(paths: Sequence[Path], hashes: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for index, value in enumerate(hashes):
        other = first.setdefault(value, index)
        if other < index:
            raise BagError(f"{place(paths[index])}: has the same in it as {place(paths[other])}: name it once")


def reading_inputs(config: NodeConfig, topics: Mapping[str, str]) -> dict[str, Any]:
    """All that decides which windows are made of a recording, as values that JSON has."""
    return {
        "stream": asdict(config.stream),
        "image_size": list(config.model.image_size),
        "preprocessing": config.model.preprocessing,
        "view": asdict(config.camera.view),
        "clocks": asdict(config.clocks),
        "images": asdict(config.images),
        "messages": asdict(config.messages),
        "topics": dict(topics),
    }
