"""A picture is found in a fleet where it was seen, whole or in part; the contact sheet shows where."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import fleets

from vjepa_ros.errors import ConfigError, OutputError
from vjepa_ros.fleet import running, search, sheet
from vjepa_ros.fleet.frames import picture
from vjepa_ros.fleet.looking import Looking
from vjepa_ros.fleet.names import name_of
from vjepa_ros.fleet.store import Store
from vjepa_ros.recordings.windows import read_windows

VALUES = {"encoding": "frame_repeat"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet of two recordings, which lie in ``bags``, and frames of the second one."""
    folder = tmp_path_factory.mktemp("search")
    fleets.recordings(folder / "bags")
    running.run(fleets.plan(folder / "fleet", folder / "bags", values=VALUES))
    for number, window in enumerate(read_windows(folder / "bags" / "bag1", settings={**fleets.VALUES, **VALUES})):
        cv2.imwrite(str(folder / f"{number}.png"), picture(window.frames[-1].image)[..., ::-1])
    return folder


def found(looking: Looking) -> list[search.Match]:
    store = Store(looking.fleet)
    return search.find(looking, search.configuration(store, looking))[0]


def test_a_frame_is_found_where_it_was_seen(folder: Path) -> None:
    looking = Looking(folder / "fleet", folder / "9.png", count=3, apart_s=0.5)
    best, *others = found(looking)
    assert best.recording == str(folder / "bags" / "bag1") and best.likeness > 0.9999
    windows = list(read_windows(folder / "bags" / "bag1", settings={**fleets.VALUES, **VALUES}))
    assert (best.epoch, best.number, best.row, best.stamp_ns) == (0, windows[9].number, 9, windows[9].stamp_ns)
    assert [one.likeness for one in others] == sorted((one.likeness for one in others), reverse=True)
    for one in others:
        assert one.name != best.name or abs(one.stamp_ns - best.stamp_ns) >= 0.5e9


def test_a_part_is_found_at_its_place(folder: Path, tmp_path: Path) -> None:
    image = cv2.imread(str(folder / "9.png"))
    image[:, :32] = 0  # the left half is something else altogether
    cv2.imwrite(str(tmp_path / "part.png"), image)
    looking = Looking(folder / "fleet", tmp_path / "part.png", patch=(0.5, 0.0, 0.5, 0.5), count=1)
    (best,) = found(looking)
    assert best.token is not None and best.token[1] == 1 and best.likeness > 0.9


def test_tokens_of_a_part() -> None:
    def tokens(*patch: float) -> list[int]:
        return np.flatnonzero(search._tokens_in(patch, 4, 4)).tolist()

    assert tokens(0, 0, 1, 1) == list(range(16)) and tokens(0.5, 0, 0.5, 0.5) == [2, 3, 6, 7]
    assert tokens(0.8, 0.8, 0.01, 0.01) == [15], "one at least"


def test_the_sheet_has_a_tile_for_each(folder: Path, tmp_path: Path) -> None:
    looking = Looking(folder / "fleet", folder / "3.png", count=4, apart_s=0.2)
    store = Store(looking.fleet)
    config = search.configuration(store, looking)
    matches, image = search.find(looking, config)
    frames = sheet.frames_of(matches, store, config, pytest.fail)
    assert set(frames) == {(one.name, one.epoch, one.number) for one in matches}
    best = matches[0]
    np.testing.assert_array_equal(frames[best.name, best.epoch, best.number], image)
    drawn = sheet.draw(image, matches, frames, (2, 2))
    rows, columns = 2, 4  # the picture itself, and four
    assert drawn.shape[1] == columns * 208 and drawn.shape[0] % rows == 0
    np.testing.assert_array_equal(drawn[8:200, 8:200], drawn[8:200, 208 + 8 : 208 + 200])
    sheet.write(drawn, tmp_path / "sheet.png", force=False)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1], drawn)


def test_a_recording_that_is_gone_has_no_pictures(folder: Path, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    shutil.copytree(folder / "bags" / "bag1", bag)
    running.run(fleets.plan(tmp_path / "fleet", bag, values=VALUES))
    shutil.rmtree(bag)
    looking, said = Looking(tmp_path / "fleet", folder / "3.png", count=1), []
    store = Store(looking.fleet)
    config = search.configuration(store, looking)
    matches, image = search.find(looking, config)
    assert sheet.frames_of(matches, store, config, said.append) == {}
    assert said == [f"{name_of(str(bag))}: no pictures of it: {bag}: there is no such bag"]
    assert sheet.draw(image, matches, {}, (2, 2))[100, 300].tolist() == [200, 200, 200]


def test_what_makes_no_sense_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for image, options, parameter in (
        (tmp_path / "nowhere.png", {}, "image"), (tmp_path / "text.png", {}, "image"), (folder / "fleet", {}, "image"),
        (folder / "3.png", {"patch": (0.5, 0.5, 0.6, 0.1)}, "patch"), (folder / "3.png", {"count": 0}, "count"),
        (folder / "3.png", {"out": tmp_path / "sheet.jpg"}, "out"), (folder / "3.png", {"apart_s": -1.0}, "apart_s"),
    ):  # fmt: skip
        with pytest.raises(ConfigError) as raised:
            found(Looking(folder / "fleet", image, **options))  # type: ignore[arg-type]
        assert raised.value.parameter == parameter
    with pytest.raises(OutputError, match="is no folder of vjepa_fleet"):
        found(Looking(folder / "bags", folder / "3.png"))
