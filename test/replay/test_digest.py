"""The hashes are over the bytes that the documentation says."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from vjepa_ros.replay.digest import Digest


def test_the_bytes_are_those_of_the_documentation() -> None:
    digest = Digest()
    digest.add_window(1, [5, 6, 7, 8], [5, 7], [[0.5], [1.5]], np.array([[2.0, 3.0], [4.0, 5.0]]))
    digest.add_latents(np.arange(4, dtype=">f2").reshape(1, 1, 2, 2))
    want = {
        "windows": struct.pack("<qqqqqqqqq", 1, 4, 5, 6, 7, 8, 2, 5, 7),
        "actions": struct.pack("<qqddqqdddd", 2, 1, 0.5, 1.5, 2, 2, 2.0, 3.0, 4.0, 5.0),
        "latents": struct.pack("<qqqqeeee", 1, 1, 2, 2, 0, 1, 2, 3),
    }
    assert digest.hexadecimal() == {name: hashlib.sha256(data).hexdigest() for name, data in want.items()}
    assert set(digest.hexadecimal(latents=False)) == {"windows", "actions"}


def test_future_actions_count_where_there_are_any() -> None:
    window = (0, [1, 2], [1], [[1.0]], [[2.0]])
    plain, empty, ahead = Digest(), Digest(), Digest()
    plain.add_window(*window)
    empty.add_window(*window, np.zeros((0, 1)))
    assert empty.hexadecimal() == plain.hexadecimal()
    ahead.add_window(*window, [[3.0], [4.0]])
    data = struct.pack("<qqdqqdqqdd", 1, 1, 1.0, 1, 1, 2.0, 2, 1, 3.0, 4.0)
    assert ahead.hexadecimal()["actions"] == hashlib.sha256(data).hexdigest()
    assert ahead.hexadecimal()["windows"] == plain.hexadecimal()["windows"]


@pytest.mark.parametrize("changed", range(5))
def test_every_value_counts(changed: int) -> None:
    window = [0, [1, 2], [1], [[1.0]], [[2.0]]]
    other = list(window)
    other[changed] = [1, [1, 3], [2], [[1.5]], [[2.5]]][changed]
    hashes = []
    for values in (window, other):
        digest = Digest()
        digest.add_window(*values)
        hashes.append(digest.hexadecimal())
    name = "windows" if changed < 3 else "actions"
    assert [key for key in hashes[0] if hashes[0][key] != hashes[1][key]] == [name]
