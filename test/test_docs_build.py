"""What Sphinx is given: an index that reaches every page, the public names, links to pages. `make docs` builds it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

import vjepa_ros

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def conf() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "conf.py"))


def test_the_index_reaches_every_page_once_in_the_order_of_the_other() -> None:
    index = re.findall(r"^   ([\w/.-]+)$", (DOCS / "index.rst").read_text(encoding="utf-8"), re.MULTILINE)
    pages = [page.relative_to(DOCS).with_suffix("").as_posix() for page in [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")]]
    assert sorted([*index, "index"]) == sorted(pages)
    listed = re.findall(
        r"^- \[[^\]]+\]\(([\w/.-]+)\.md\)", (DOCS / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [page for page in index if page not in ("README", "api")] == [page for page in listed if page[0] != "."]


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "api.rst").read_text(encoding="utf-8")
    named = set(re.findall(r"^\.\. auto\w+:: vjepa_ros\.(\w+)$", text, re.MULTILINE))
    assert named == set(vjepa_ros.__all__) - {"__version__"}


def test_the_reference_has_what_the_world_model_inherits() -> None:
    """Most of its methods stand in the classes below it; without the option Sphinx leaves them out."""
    assert "encode" not in vars(vjepa_ros.WorldModel) and "rollout" not in vars(vjepa_ros.WorldModel)
    text = (DOCS / "api.rst").read_text(encoding="utf-8")
    assert ".. autoclass:: vjepa_ros.WorldModel\n   :members:\n   :inherited-members:\n" in text


@pytest.mark.parametrize(
    ("page", "written", "read"),
    [
        ("launch", "[time](time.md) [profile](../config/fastdds.xml)", "[time](time.md) profile"),
        ("adr/0006", "[a](../models/tiny.md#b), [c](../../config/x.yaml)", "[a](../models/tiny.md#b), c"),
        ("index", "[a](https://example.org/b) [c](#d)", "[a](https://example.org/b) [c](#d)"),
    ],
)
def test_links_out_of_the_folder_are_left_out(conf: dict[str, Any], page: str, written: str, read: str) -> None:
    source = [written]
    conf["leave_the_folder_out"](None, page, source)
    assert source == [read]


def test_a_product_is_no_emphasis(conf: dict[str, Any]) -> None:
    lines = ["(B, T*H'*W', D) and (T')*2", "*args* and **kwargs**, 2 * 3", "``a``"]
    conf["keep_products"](None, "", "", None, None, lines)
    assert lines == [r"(B, T\*H'\*W', D) and (T')\*2", "*args* and **kwargs**, 2 * 3", "``a``"]
