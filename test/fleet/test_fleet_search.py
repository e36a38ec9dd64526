"""A picture is found in a fleet where it was seen, whole or in part; the contact sheet shows where."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import fleets, panda, trainings

from vjepa_ros.commands import find
from vjepa_ros.errors import BagError, ConfigError, OutputError
from vjepa_ros.fleet import running, search, sheet
from vjepa_ros.fleet.frames import picture
from vjepa_ros.fleet.looking import Looking
from vjepa_ros.fleet.names import name_of
from vjepa_ros.fleet.store import Store
from vjepa_ros.recordings.windows import read_windows

VALUES = {"encoding": "frame_repeat"}
URDF = Path(panda.__file__).parents[1] / "data" / "panda.urdf"


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


@pytest.mark.parametrize(("frame", "token"), [(9, (0, 0)), (9, (0, 1)), (12, (1, 0))])
def test_a_part_is_found_at_its_place(folder: Path, frame: int, token: tuple[int, int]) -> None:
    patch = (token[1] / 2, token[0] / 2, 0.5, 0.5)
    best, other = found(Looking(folder / "fleet", folder / f"{frame}.png", patch=patch, count=2, apart_s=0.05))
    assert best.recording == str(folder / "bags" / "bag1") and (best.row, best.token) == (frame, token)
    assert best.likeness > 0.9999 > other.likeness


def test_means_are_all_that_a_whole_picture_is_compared_with(folder: Path, tmp_path: Path) -> None:
    running.run(fleets.plan(tmp_path / "out", folder / "bags" / "bag1", values=VALUES, kept_steps=0))
    (small,), whole = fleets.tables(tmp_path / "out"), fleets.tables(folder / "fleet")[1]
    (kept,), (every,) = small.columns(("summary",)), whole.columns(("summary", "context"))
    means = every["context"][:, -1].astype(np.float32).mean(axis=(1, 2))
    np.testing.assert_allclose(every["summary"], means, rtol=2e-3, atol=2e-3)
    np.testing.assert_array_equal(kept["summary"], every["summary"])
    (best,) = found(Looking(tmp_path / "out", folder / "9.png", count=1))
    assert best.row == 9 and best.likeness > 0.9999
    with pytest.raises(BagError, match="has no context in it, which is what a part is compared with"):
        found(Looking(tmp_path / "out", folder / "9.png", patch=(0, 0, 0.5, 0.5)))


def test_as_many_are_found_as_there_are_moments() -> None:
    stamps_ns = np.concatenate([np.arange(500) * 1_000_000, [5_000_000_000, 8_000_000_000, 8_000_000_001]])
    likeness = np.concatenate([np.linspace(0.9, 1, 500), [0.1, 0.2, 0.3]]).astype(np.float32)
    epoch = np.zeros(503, np.int64)
    assert search._apart(likeness, epoch, stamps_ns, Looking(Path(), Path(), count=9)) == [499, 502, 500]
    epoch[-1] = 1
    assert search._apart(likeness, epoch, stamps_ns, Looking(Path(), Path(), count=9)) == [499, 502, 501, 500]
    assert search._apart(likeness, epoch, stamps_ns, Looking(Path(), Path(), count=2, apart_s=0)) == [499, 498]


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
    drawn = sheet.draw(image, None, matches, frames, (2, 2))
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
    assert sheet.draw(image, None, matches, {}, (2, 2))[100, 300].tolist() == [200, 200, 200]


def test_a_mark_lies_where_the_picture_does() -> None:
    image, match = np.full((32, 64, 3), 90, np.uint8), search.Match(1.0, "one", "one", 0, 0, 0, 0, (1, 0))
    drawn = sheet.draw(image, (0.5, 0.0, 0.5, 1.0), [match], {("one", 0, 0): image}, (2, 4))[8:200]
    for tile, (top, bottom, left, right) in (
        (drawn[:, 8:200], (48, 144, 96, 192)),  # the right half of a picture in the middle of its tile
        (drawn[:, 216:408], (96, 144, 0, 48)),  # of 2 x 4 tokens that of the second row and the first column
    ):
        rows, columns = np.nonzero((tile == (220, 40, 40)).all(axis=-1))
        for marked, edges in ((rows, (top, bottom)), (columns, (left, right))):
            assert np.abs([marked.min() - edges[0], marked.max() + 1 - edges[1]]).max() <= 2


def test_the_command_lists_windows_and_draws_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, out, png = tmp_path / "bag", tmp_path / "out", tmp_path / "sheet.png"
    shutil.copytree(folder / "bags" / "bag1", bag)
    running.run(fleets.plan(out, bag, values=VALUES, formats=("parquet", "lerobot")))
    shutil.rmtree(bag)  # so its pictures come from the video
    given = [str(out), "--image", str(folder / "9.png"), "--patch", "0.5", "0", "0.5", "0.5", "-n", "3", "-o", str(png)]
    arguments = [*given, "--apart", "0.3", "--compute-on", "cpu"]
    assert find.main(arguments) == 0
    said = capsys.readouterr()
    best, *others = said.out.splitlines()
    row = list(fleets.tables(out)[0])[9]
    name = name_of(str(bag))
    assert best == f"1.0000  {name}  window 0/{row.number}  stamp {row.stamp_ns}  token 0,1" and len(others) == 2
    assert "no pictures" not in said.err
    drawn = cv2.imread(str(png))[8:200, :, ::-1].astype(int)
    assert np.abs(drawn[:, 8:200] - drawn[:, 216:408]).mean() < 6 < np.abs(drawn[:, 8:200] - drawn[:, 424:616]).mean()
    assert find.main(arguments) == 1 and "sheet.png: is there already" in capsys.readouterr().err
    assert find.main([*given[:2], str(tmp_path / "nowhere.png"), "-n", "1"]) == 1
    assert "nowhere.png" in capsys.readouterr().err


def test_pictures_of_a_recording_with_a_robot_description_from_a_file(tmp_path: Path) -> None:
    values = {
        **VALUES, "pose.source": "forward_kinematics", "pose.tip_link": "panda_hand", "num_frames": 4,
        "context_steps": 3, "actions.reduction": "pose_delta", "frame_rate": 10.0,
    }  # fmt: skip
    (bag,) = trainings.write(tmp_path, trainings.cut(1, 2))
    running.run(fleets.plan(tmp_path / "out", bag, values=values, urdf=URDF))
    store = Store(tmp_path / "out")
    (row, *_), (name,) = fleets.tables(store.out)[0], store.names()
    config = search.configuration(store, Looking(store.out, Path()))
    match = search.Match(1.0, name, str(bag), 0, row.epoch, row.number, row.stamp_ns, None)
    assert sheet.frames_of([match], store, config, pytest.fail)[name, row.epoch, row.number].shape == (64, 64, 3)


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
