"""A fleet on workers of Ray: the same rows as in one process, and workers that are killed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import fleets

from vjepa_ros import work_folder
from vjepa_ros.fleet import pool, running
from vjepa_ros.fleet.names import name_of
from vjepa_ros.fleet.plan import MOST_ATTEMPTS
from vjepa_ros.fleet.progressing import status
from vjepa_ros.fleet.store import Store


@pytest.fixture(scope="module", autouse=True)
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One Ray for all of them, which leaves nothing behind."""
    with pool.joined(fleets.plan(tmp_path_factory.mktemp("ray"), "any", workers=2)) as found:
        node = found._private.worker._global_node
        folder = Path(node.get_session_dir_path()).parent
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0" and not node.webui_url, "it asks nobody, and shows nothing"
        assert {one["NodeManagerAddress"] for one in found.nodes()} == {"127.0.0.2"}
        yield
    assert not folder.exists()


def test_two_workers_give_what_a_replay_gives_and_survive_one_that_is_killed(tmp_path: Path) -> None:
    folder, marker = tmp_path / "bags", tmp_path / "marker"
    encodings = {"fine": fleets.FINE, "kills_once": f"{fleets.KILLS_ONCE}{marker}", "kills": fleets.KILLS}
    for name, encoding in encodings.items():
        fleets.strange(folder / name, encoding)
    fleets.recordings(folder)
    out, said = tmp_path / "out", []
    options = {"workers": 2, "fallback": fleets.decode, "values": {"image_transport": "raw"}}
    manifest = running.run(fleets.plan(out, folder, **options), say=said.append)
    assert marker.exists() and (manifest["done"], manifest["failed"], manifest["left"]) == (4, 1, 0)
    ((name, recording, reason),) = status(out)["failures"]
    assert (name, recording) == (name_of(recording), str(folder / "kills"))
    assert reason == f"the worker that had it died, {MOST_ATTEMPTS} times" and said[-1].endswith(reason)
    alone = tmp_path / "alone"
    fine = [folder / name for name in ("fine", "kills_once", "bag0", "bag1")]
    running.run(fleets.plan(alone, *fine, fallback=fleets.decode))
    hashes = [
        {name: Store(where).report(name)["sha256"] for name in Store(where).names()}  # type: ignore[index]
        for where in (out, alone)
    ]
    assert hashes[0] == hashes[1] and len(hashes[0]) == 4
    report = fleets.replayed(folder / "bag0", tmp_path / "replayed")
    assert hashes[0][name_of(str(folder / "bag0"))] == report["sha256"]
    assert [table.rows for table in fleets.tables(out)] == [table.rows for table in fleets.tables(alone)]
    assert os.listdir(out / ".work") == [work_folder.LOCK], "nothing is left of those that were killed"
    workers = {json.loads(path.read_text())["worker"] for path in out.glob("windows/*/_report.json")}
    assert os.getpid() not in workers


def test_a_model_that_cannot_be_loaded_is_said_once(tmp_path: Path) -> None:
    bag = fleets.strange(tmp_path / "bag", fleets.FINE)
    with pytest.raises(Exception, match=r"checkpoint: .*nowhere\.pt: there is no such file") as raised:
        running.run(fleets.plan(tmp_path / "out", bag, workers=2, values={"checkpoint": "nowhere.pt"}))
    assert type(raised.value).__name__ == "ConfigError"
