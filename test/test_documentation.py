"""What is generated is up to date, and what is shown is true."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

import vjepa_ros
from docs import draw_alignment, draw_simulation, make_parameters
from vjepa_ros.config import ros_file
from vjepa_ros.config.inputs import COMMAND_TYPES, STATE_TYPES
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.config.presets import model_config, preset_names
from vjepa_ros.config.table import BY_NAME
from vjepa_ros.devices import use_threads
from vjepa_ros.errors import ConfigError
from vjepa_ros.forecast.forecaster import Forecaster, load_model
from vjepa_ros.images.raw import ENCODINGS
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_of_parameters_is_the_table() -> None:
    assert make_parameters.PAGE.read_text(encoding="utf-8") == make_parameters.page(), "python -m docs.make_parameters"


def test_the_default_parameter_file_sets_parameters_that_exist() -> None:
    (section,) = yaml.safe_load((ROOT / "config" / "predictor.yaml").read_text(encoding="utf-8")).values()
    assert set(section["ros__parameters"]) <= BY_NAME.keys()
    owned = {name for name in section["ros__parameters"] if BY_NAME[name].from_preset}
    assert owned == {"joint_names"}, "what is not the robot's own would silently overrule whichever preset is chosen"


def test_the_page_of_cameras_names_every_encoding_and_every_reason() -> None:
    page = (ROOT / "docs" / "cameras.md").read_text(encoding="utf-8")
    files = ("raw.py", "compressed.py", "jpeg.py", "png.py", "sizes.py", "preprocess.py", "bridge.py", "video.py")
    sources = [(ROOT / "vjepa_ros" / "images" / file).read_text(encoding="utf-8") for file in files]
    reasons = {reason for source in sources for reason in re.findall(r'InputError\(\s*"(\w+)"', source)}
    assert len(reasons) == 12, "fewer: the pattern is out of date"
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


PAGES = [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def prose_of(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links_of(page: Path) -> Iterator[tuple[str, str]]:
    """(place, anchor) of every link in a page to another, or in itself."""
    for target in re.findall(r"\]\(([^)]+)\)", prose_of(page)):
        if "://" not in target:
            place, _, anchor = target.partition("#")
            yield place, anchor


def anchors_of(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for place, anchor in links_of(page):
        target = page.parent / place if place else page
        assert target.exists(), place
        assert not anchor or anchor in anchors_of(target), f"{place}#{anchor}"


def test_the_index_has_every_page_once() -> None:
    index = ROOT / "docs" / "README.md"
    listed = [(index.parent / place).resolve() for place, _ in links_of(index)]
    assert sorted(listed) == sorted(page for page in PAGES if page != index)


def test_the_readme_leads_to_every_page_but_the_choices() -> None:
    linked = {(ROOT / place).resolve() for place, _ in links_of(ROOT / "README.md")}
    assert {page for page in PAGES if page.parent.name != "adr"} - linked == {ROOT / "README.md"}


# -- what is said about Python


def blocks_of(page: str, heading: str = "") -> list[str]:
    """The Python in a page, or under one of its headings."""
    text = (ROOT / page).read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0] if heading else text
    return re.findall(r"^```python\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)


def run_and_check_shapes(code: str, names: dict[str, Any]) -> int:
    """Runs code; what it assigns has the shapes that its comments say. How many said one."""
    exec(code, names)
    said = re.findall(r"^ *(\w+) = .*  # (\(\d[\d, ]*\))$", code, re.MULTILINE)
    for name, shape in said:
        assert tuple(names[name].shape) == ast.literal_eval(shape), name
    return len(said)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for many small windows: beside other processes several would mostly wait for each other."""
    before = torch.get_num_threads()
    use_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_the_five_lines_of_the_readme_give_what_the_node_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (code,) = blocks_of("README.md", "In Python, without ROS")
    assert len([line for line in code.splitlines() if line]) == 5
    names: dict[str, Any] = {}
    assert run_and_check_shapes(code, names) == 2
    values, _ = ros_file.read(ROOT / "config" / "predictor.yaml", "/vjepa_predictor")
    config = resolve({**values, "device": "cpu", "threads": 1})
    published = Forecaster(load_model(config), config)(names["window"]).predicted
    forecast = names["wm"].grid.unflatten(names["predicted"])[:, -1].numpy()
    np.testing.assert_allclose(forecast, published, rtol=0, atol=1e-6)


def test_the_page_of_python_runs_and_gives_the_shapes_that_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    shapes = [run_and_check_shapes(block, names) for block in blocks_of("docs/python.md")]
    assert sum(shapes) >= 15, "fewer: the pattern is out of date"
    alone = names["wm"].rollout(names["contexts"][1:], names["past"][1:], names["seen"][1:], np.zeros((5, 3, 7)))
    np.testing.assert_allclose(names["imagined"][1].numpy(), alone.numpy(), rtol=0, atol=1e-5)


def test_the_page_of_python_names_everything_public() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert [name for name in vjepa_ros.__all__ if name != "__version__" and f"`{name}`" not in page] == []


# -- docs/topics.md


@pytest.mark.parametrize(("is_simulated", "about", "count"), [(False, "topics.md", 24), (True, "simulation.md", 5)])
def test_the_page_of_topics_names_all_that_the_node_has(is_simulated: bool, about: str, count: int) -> None:
    page = (ROOT / "docs" / about).read_text(encoding="utf-8")
    files = [
        file for file in (ROOT / "vjepa_ros" / "ros").glob("*.py") if file.name.startswith("panda_") == is_simulated
    ]
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    names = set(re.findall(r'"(~/\w+|/diagnostics)"', code))
    assert len(names) == count, "fewer: the pattern is out of date"
    assert [name for name in names if f"`{name}`" not in page] == []


# -- docs/alignment.md

ALIGNMENT = (ROOT / "docs" / "alignment.md").read_text(encoding="utf-8")


CONTROLLERS = (ROOT / "docs" / "controllers.md").read_text(encoding="utf-8")


def rows_of(title: str, page: str = ALIGNMENT) -> list[list[str]]:
    """The cells of the table under a heading, row by row."""
    section = page.split(f"## {title}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def resolved(cell: str) -> NodeConfig:
    """What the parameters in a cell come to, with seven joints where it names none."""
    values: dict[str, Any] = {"joint_names": [f"joint_{index}" for index in range(7)]}
    for span in re.findall(r"`([^`]+)`", cell):
        values.update(yaml.safe_load(span))
    return resolve(values)


@pytest.mark.parametrize(("sent", "cell"), rows_of("What to set"), ids=lambda text: text[:40])
def test_what_the_page_of_alignments_says_to_set_can_be_set(sent: str, cell: str) -> None:
    config = resolved(cell)
    for name, reduction in re.findall(r"`(actions.reduction): (\w+)`", cell):
        assert name == "actions.reduction"
        assert config.stream.reduction == reduction
    assert not sent.startswith("joint deltas") or config.stream.reduction == "sum"
    assert ("pose" not in sent) or config.stream.reduction == "pose_delta"
    assert ("trajectories" in sent) == (config.stream.command_type == "JointTrajectory")
    assert ("released" in sent) == (config.model.encoding == "frame_repeat")


@pytest.mark.parametrize(
    ("sent", "topic", "cell"),
    [row for title in ("Commands", "States") for row in rows_of(title, CONTROLLERS)],
    ids=lambda text: text[:40],
)
def test_what_the_page_of_controllers_says_to_set_can_be_set(sent: str, topic: str, cell: str) -> None:
    stream = resolved(cell).stream
    if "controller_state" in topic:
        assert "JointTrajectoryControllerState" in (stream.command_type, stream.state_type)
    assert (topic.endswith("/commands`")) == (stream.command_type == "Float64MultiArray")
    assert ("dynamic" in topic) == (stream.state_type == "DynamicJointState")
    assert sent


def test_the_page_of_controllers_names_every_type_and_only_parameters_that_exist() -> None:
    assert all(f"{name}`" in CONTROLLERS for name in (*COMMAND_TYPES, *STATE_TYPES))
    spans = {span.split(":")[0].strip() for span in re.findall(r"`([^`\n]+)`", CONTROLLERS)}
    names = {span for span in spans if re.fullmatch(r"(actions|states|pose)\.\w+", span)}
    assert len(names) >= 9 and names <= BY_NAME.keys()


@pytest.mark.parametrize(("cell", "parameter", "because"), rows_of("What is refused"), ids=lambda text: text[:60])
def test_what_the_page_of_alignments_says_is_refused_is(cell: str, parameter: str, because: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolved(cell)
    assert f"`{refused.value.parameter}`" == parameter
    assert because


def test_every_parameter_on_the_page_of_alignments_exists() -> None:
    spans = [span.split(":")[0].strip() for span in re.findall(r"`([^`\n]+)`", ALIGNMENT)]
    names = {span for span in spans if re.fullmatch(r"(\w+\.)+\w+", span)}
    names -= {name for name in names if name.endswith(".png")}
    assert len(names) >= 15, "fewer: the pattern is out of date"
    assert names <= BY_NAME.keys()


def test_the_page_of_alignments_names_every_reason_to_drop_a_pose() -> None:
    sources = [(ROOT / "vjepa_ros" / file).read_text() for file in ("stream/end_effector.py", "kinematics/urdf.py")]
    reasons = {reason for source in sources for reason in re.findall(r'InputError\(\s*"(\w+)"', source)}
    assert len(reasons) == 5, "fewer: the pattern is out of date"
    section = ALIGNMENT.split("| dropped as |")[1].split("\n## ")[0]
    assert reasons | {"missing_joints", "length_mismatch"} == set(re.findall(r"`([a-z]+_[a-z_]+)`", section)) - {
        "joint_states"
    }


def test_the_picture_shows_what_the_page_says() -> None:
    """Weights of the commands in each action, by hand: e(k) is at 0, 198, 402, 600 ms; commands every 62 ms."""
    drawn = {
        title.split("\n")[0]: draw_alignment.drawn(title, changes) for title, changes in draw_alignment.CONVENTIONS
    }
    stamps_ms = np.array(draw_alignment.COMMANDS_MS)

    def commands(title: str, step: int) -> dict[int, float]:
        weights = drawn[title].weights[step]
        return {int(stamps_ms[index]): float(weights[index]) for index in np.flatnonzero(weights)}

    assert commands("pick, phase first", 1) == {142: 1}
    assert commands("pick, phase last", 1) == {266: 1}
    assert commands("mean", 1) == {142: 0.5, 266: 0.5}
    assert commands("difference", 0) == {-44: 1, -230: -1}
    assert commands("sum, tail hold", 1) == {204: 1, 266: 1, 328: 1, 390: 1}
    assert commands("sum, tail hold", 3) == commands("sum, tail hold", 2)
    assert commands("sum, tail zero", 3) == {}
    assert commands("pose_delta, tail zero", 0) == {142: 1, -44: -1}


def test_the_picture_can_be_drawn(tmp_path: Path) -> None:
    draw_alignment.draw(tmp_path / "alignment.png")
    assert (tmp_path / "alignment.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_of_the_simulation_is_what_it_draws() -> None:
    stored = cv2.cvtColor(cv2.imread(str(draw_simulation.PICTURE)), cv2.COLOR_BGR2RGB)
    drawn = draw_simulation.picture()
    assert stored.shape == drawn.shape == (768, 1024, 3)
    # Another processor or version of OpenCV may round elsewhere, and an edge lie a pixel further.
    assert np.abs(stored.astype(int) - drawn).mean() < 0.5, "python -m docs.draw_simulation"
