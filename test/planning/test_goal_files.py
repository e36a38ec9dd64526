"""Folders of goal images: in order, several images of one, and what cannot be read is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vjepa_ros.errors import ConfigError
from vjepa_ros.images.compressed import decode_compressed
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.planning.goal_files import read_goals

MOST = 1_000_000


def prepare(message: Any) -> np.ndarray:
    return Preprocess("square", (32, 32))(decode_compressed(message.format, message.data))


def write(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((40, 40, 3), level, np.uint8))


def test_sub_goals_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path / "b.png", 200)
    write(tmp_path / "a.JPG".lower(), 100)
    write(tmp_path / "c" / "1.png", 10)
    write(tmp_path / "c" / "2.jpeg", 20)
    write(tmp_path / ".hidden.png", 0)
    (tmp_path / "notes.txt").write_text("no picture")
    goals = read_goals(str(tmp_path), prepare, MOST)
    assert [(goal.name, len(goal.images)) for goal in goals] == [("a.jpg", 1), ("b.png", 1), ("c", 2)]
    np.testing.assert_allclose(goals[1].images[0], Preprocess("square", (32, 32))(np.full((40, 40, 3), 200, np.uint8)))
    assert goals[0].images[0].mean() < goals[1].images[0].mean()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(ConfigError) as error:
            read_goals(str(folder), prepare, MOST)
        assert error.value.parameter == "planner.goals"
        return error.value.reason

    assert (
        refused(tmp_path / "nowhere")
        == f"{tmp_path / 'nowhere'} cannot be read as a folder (No such file or directory)"
    )
    assert "has 0 goal images (PNG and JPEG files) where 1 to 200" in refused(tmp_path)
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path) == f"{tmp_path / 'empty'} has no PNG or JPEG file"
    (tmp_path / "empty").rmdir()
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert refused(tmp_path).startswith(f"{tmp_path / 'a.png'}: undecodable_image: ")
    (tmp_path / "a.png").unlink()
    (tmp_path / "a.png").symlink_to("/dev/zero")
    assert refused(tmp_path).endswith("a.png: is a pipe, a socket or a device, not a file")


def test_too_many_are_refused_before_any_is_read(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(201):
        (tmp_path / "many" / f"{number}.png").touch()
    with pytest.raises(ConfigError, match="has 201 goal images"):
        read_goals(str(tmp_path), prepare, MOST)
