"""What an import takes counts for the part that it belongs to, and once."""

from __future__ import annotations

import importlib
import mmap  # noqa: F401  # it is there before the parts import it
import sys
from pathlib import Path

import pytest

from benchmarks.imports import Watch, part_of

# So many bytes of its own, fresh ones from the system: of Python's some might be free already.
MANY = """
kept = mmap.mmap(-1, {count}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
kept[::4096] = b"x" * len(range(0, {count}, 4096))
"""


def test_parts_are_packages_and_the_rooms_of_this_one() -> None:
    assert part_of("sensor_msgs.msg._image") == "sensor_msgs" and part_of("cv2") == "cv2"
    assert part_of("vjepa_ros.ros.node") == "vjepa_ros.ros" and part_of("vjepa_ros") == "vjepa_ros"


def test_what_is_imported_within_counts_for_its_own_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outer_part.py").write_text("import inner_part.deep, mmap\n" + MANY.format(count=10_000_000))
    (tmp_path / "inner_part").mkdir()
    (tmp_path / "inner_part/__init__.py").write_text("")
    (tmp_path / "inner_part/deep.py").write_text("import mmap\n" + MANY.format(count=30_000_000))
    monkeypatch.syspath_prepend(str(tmp_path))
    watch = Watch()
    monkeypatch.setattr(sys, "meta_path", [watch, *sys.meta_path])
    importlib.import_module("outer_part")
    assert watch.modules == 3 and set(watch.own) == {"outer_part", "inner_part"}, "mmap was there"
    assert watch.own["outer_part"][0] == pytest.approx(10.0, abs=2.0)
    assert watch.own["inner_part"][0] == pytest.approx(30.0, abs=2.0)
    assert all(cpu_ms > 0 for _, cpu_ms in watch.own.values())


def test_a_failed_import_is_none_and_does_not_count_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_part.py").write_text(
        "import mmap\n" + MANY.format(count=10_000_000) + "import a_module_that_is_nowhere\n"
    )
    (tmp_path / "trying_part.py").write_text("try:\n    import broken_part\nexcept ImportError:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    watch = Watch()
    monkeypatch.setattr(sys, "meta_path", [watch, *sys.meta_path])
    importlib.import_module("trying_part")
    assert set(watch.own) == {"trying_part", "broken_part"} and watch.own["trying_part"][0] < 2.0
