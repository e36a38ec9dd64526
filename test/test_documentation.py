"""What is generated is up to date, and what is shown is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import make_parameters
from vjepa_ros.parameters import BY_NAME
from vjepa_ros.stream.raw import ENCODINGS

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_of_parameters_is_the_table() -> None:
    assert make_parameters.PAGE.read_text(encoding="utf-8") == make_parameters.page(), "python -m docs.make_parameters"


def test_the_default_parameter_file_sets_parameters_that_exist() -> None:
    import yaml

    (section,) = yaml.safe_load((ROOT / "config" / "predictor.yaml").read_text(encoding="utf-8")).values()
    assert set(section["ros__parameters"]) <= BY_NAME.keys()


def test_the_page_of_cameras_names_every_encoding_and_every_reason() -> None:
    page = (ROOT / "docs" / "cameras.md").read_text(encoding="utf-8")
    files = ("stream/raw.py", "stream/compressed.py", "stream/preprocess.py", "ros/bridge.py")
    sources = [(ROOT / "vjepa_ros" / file).read_text(encoding="utf-8") for file in files]
    reasons = {reason for source in sources for reason in re.findall(r'InputError\(\s*"(\w+)"', source)}
    assert len(reasons) == 9, "fewer: the pattern is out of date"
    section = page.split("## What is refused")[1].split("\n## ")[0]
    assert reasons == set(re.findall(r"^\| `(\w+)` ", section, re.MULTILINE))
    assert all(f"`{encoding}`" in page for encoding in ENCODINGS if not re.match(r"bayer_.*16", encoding))


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")) + [ROOT / "README.md"], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
        if "://" not in target:
            assert (page.parent / target).exists(), target
