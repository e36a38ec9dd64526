"""What is generated is up to date, and what is shown is true."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
import torch

from docs import make_parameters
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import model_config, preset_names
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


@pytest.mark.parametrize("preset", preset_names())
def test_the_page_of_models_counts_parameters_and_tokens(preset: str) -> None:
    config = model_config(preset)
    with torch.device("meta"):
        encoder, predictor = Encoder(config), Predictor(config)
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    row = next(line.split("|") for line in page.splitlines() if line.startswith(f"| `{preset}`"))
    for module, cell in ((encoder, row[3]), (predictor, row[4])):
        count = sum(parameter.numel() for parameter in module.parameters()) / 1e6
        assert cell.endswith((f" {count:.0f} M ", f" {count:.1f} M "))
    height, width = config.image_size
    grid = encoder.grid
    said = f"{config.num_frames} of {height}x{width}: {grid.steps} x {grid.rows}x{grid.cols} = {grid.tokens} "
    assert row[5].replace(" frames", "").strip() in {said.strip(), "as `vitl`"}


def test_the_example_of_the_page_of_models_prints_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    (said,) = re.findall(r"^```text\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(ROOT)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(example, {})
    assert printed.getvalue() == said


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")) + [ROOT / "README.md"], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
        if "://" not in target:
            assert (page.parent / target).exists(), target
