"""The comparison of docs/strategies.md: its variants say twice what their actions are, its figures are measured."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import vjepa_ros
from tools.strategies import __main__ as command
from tools.strategies import page, training
from tools.strategies.reaching import Told, tip_space
from tools.strategies.recordings import film, record
from tools.strategies.variants import VARIANTS, WIRES
from vjepa_ros.simulation.episodes import FRAME_NS, START_NS
from vjepa_ros.simulation.plan import World

DOCS = Path(__file__).resolve().parents[1] / "docs"
WORLD = World(seed=3, frames=20, size=16, drawn=16, variation="fixed")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = record(tmp_path_factory.mktemp("recorded") / "bags", WORLD, episodes=1, bags=1)
    return path


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_a_variants_weights_are_what_its_parameters_make_of_a_recording(bag: Path, variant) -> None:
    (filmed,) = film(WORLD, [0])
    settings = {**variant.parameters, "image_size": [16, 16]}
    windows = list(vjepa_ros.read_windows(bag, settings=settings, topics=variant.topics))
    assert len(windows) == (WORLD.frames - 8) // variant.stride + 1
    for window in windows:
        frames = (np.array(window.step_stamps_ns) - START_NS) // FRAME_NS
        known = slice(None, -1) if variant.parameters["actions.reduction"] == "sum" else slice(None)
        wanted = np.stack([variant.action(filmed.commands[1:], int(frame)) for frame in frames[known]])
        np.testing.assert_allclose(window.actions.values[known], wanted, rtol=0, atol=1e-12)
        assert np.abs(wanted).max() > 0


def test_every_frame_has_a_command_of_its_own() -> None:
    ways = np.abs(np.diff(next(film(World(seed=1, frames=20, size=16, drawn=16), [1])).commands, axis=0)).max(axis=1)
    assert (ways > 0).mean() > 0.8


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_a_plans_actions_are_those_of_the_commands_that_are_sent_for_it(variant) -> None:
    (filmed,) = film(WORLD, [0])
    in_force = filmed.commands[0]
    told = Told(variant, tip_space(in_force), in_force)
    samples = np.random.default_rng(0).normal(0, 0.03, (4, 2, 3))
    sent, actions = told.sent(samples), told.actions(samples)
    assert sent.shape == (4, 2 * variant.stride, 7) and actions.shape == (4, 2, 7)
    targets = told.space.actions(samples)
    np.testing.assert_allclose(sent[:, variant.stride - 1 :: variant.stride], targets, rtol=0, atol=1e-12)
    reduction, wire = variant.parameters["actions.reduction"], variant.wire
    first = targets[:, 0] - in_force
    wanted = {
        ("pick", "targets"): targets[:, 0], ("mean", "targets"): in_force + first / 2,
        ("sum", "increments"): first, ("pick", "increments"): first / 2,
    }[reduction, wire]  # fmt: skip
    np.testing.assert_allclose(actions[:, 0], wanted, rtol=0, atol=1e-12)


@pytest.mark.timeout(600)
def test_the_comparison_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(training, "FIRST", 10)
    monkeypatch.setattr(training, "LAST", 20)
    monkeypatch.setattr(command, "COSTS_S", 0.4)
    (tmp_path / page.PAGE).write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    arguments = [
        "--minutes", "0.01", "--episodes", "10", "--measured", "2", "--goals", "1", "--only", "tubelet", "sum",
        "-o", str(tmp_path / "out"), "--docs", str(tmp_path),
    ]  # fmt: skip
    assert command.main(arguments) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found["variants"]) == ["tubelet", "sum"]
    for name, figures in found["variants"].items():
        assert list(figures["error"]) == ["0.2", "0.4", "0.6", "0.8", "1.0", "1.2", "1.4", "1.6"]
        assert all(math.isfinite(value) and value > 0 for value in figures["error"].values())
        assert 0 <= figures["reached"] <= 1 and figures["start_cm"] >= 30
        assert set(figures["steps"]) == ({"predictor"} if name == "sum" else {"encoder", "predictor"})
    assert list(found["costs"]) == list(VARIANTS)
    for costs in found["costs"].values():
        assert min(*costs["seconds"].values(), *costs["operations_a_second"].values(), costs["plan_s"]) > 0
    written = (tmp_path / page.PAGE).read_text()
    assert written.startswith("before\n") and written.endswith("\nafter\n") and "old" not in written
    assert "| `sum` |" in written and "| 0.2 | - | - | - |" in written
    assert (tmp_path / page.PLOT).read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(command, "trained", None)  # nothing is trained or measured twice
    assert command.main(arguments) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == found
    with pytest.raises(SystemExit, match="another folder"):
        command.main([*arguments, "--goals", "3"])


def test_the_wires_are_topics_of_the_recordings(bag: Path) -> None:
    for topic in WIRES.values():
        assert next(vjepa_ros.read_windows(
            bag, settings=VARIANTS["tubelet"].parameters, topics={"joint_commands": topic}
        )).number == 0  # fmt: skip


def test_the_table_of_the_page_is_of_the_figures_beside_it() -> None:
    written = (DOCS / page.PAGE).read_text(encoding="utf-8")
    figures = json.loads((DOCS / page.FIGURES).read_text(encoding="utf-8"))
    assert page.with_table(written, figures) == written, "tools/run.sh -m tools.strategies --docs docs"
