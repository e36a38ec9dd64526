"""The benchmark runs, its last line is what it says, and an output that is not the reference's fails it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from support import public_code

from benchmarks import __main__
from benchmarks.cases import CASES, RELEASED, V21, Case
from benchmarks.measure import DEFAULT_PRESETS
from benchmarks.setups import RUNTIMES, Settings, Setup
from benchmarks.table import BEGIN, END

MODELS = ["--smoke", "--threads", "1", "--only", *(case.name for case in CASES)]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_every_work_is_measured_in_both_dtypes_and_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(MODELS) == __main__.OK
    figures = last_line(capsys)
    assert figures["toy"] and figures["layers"] == 1 and figures["machine"]["threads"] == 1
    lines = figures["lines"]
    assert [(line["name"], line["dtype"]) for line in lines] == [
        (case.name, dtype) for case in CASES for dtype in ("float32", "bfloat16")
    ]
    for line in lines:
        assert line["agrees"] and line["loaded_ms"] == {}, line
        assert line["agreement"]["mean"] <= line["agreement"]["mean_allowed"] < 1e-1
        times_ms = [line["ours_ms"], line["bound_ms"], *line["references_ms"].values()]
        assert all(math.isfinite(value) and value > 0 for value in times_ms)
        assert line["ratio"] == pytest.approx(line["ours_ms"] / line["references_ms"][line["reference"]])
        assert line["bound_ratio"] == pytest.approx(line["bound_ms"] / line["references_ms"][line["reference"]])
        assert line["references_ms"][line["reference"]] == min(line["references_ms"].values())
        assert line["rounds"] >= 2 and line["aim"] is None and line["kernels"]
        assert line["ours_peak_mb"] >= 0 and line["reference_peak_mb"] >= 0
    assert set(lines[0]["references_ms"]) == {"public code", "transformers"}
    # The released predictor's preset forecasts from fewer steps than that line has: another runtime has no graph of it.
    of_parts = ("encoder", "frame", "predictor", "encoder-2.1", "image-2.1", "cameras-1")
    for line in lines:
        there = [name for name in RUNTIMES if find_spec(name)] if line["name"] in of_parts else []
        able = [name for name in there if (name, line["dtype"]) != ("onnxruntime", "bfloat16")]
        assert list(line["runtimes_ms"]) == able
        assert all(math.isfinite(value) and value > 0 for value in line["runtimes_ms"].values())
    assert max(line["agreement"]["maximum"] for line in lines if line["dtype"] == "bfloat16") > 1e-3, "not bfloat16"


def test_every_line_but_those_of_plans_has_aims_for_the_preset_that_it_is_measured_with() -> None:
    for case in CASES:
        aims = {} if case.name.startswith("plan-") else {"float32", "bfloat16"}
        assert set(case.aims) == set(aims) and all(0 < aim < 1 for aim in case.aims.values()), case.name
    assert {"vitl", RELEASED, V21} <= set(DEFAULT_PRESETS)


def wrong(case: Case) -> Case:
    """The same, but the third value of our output is a little off."""

    def build(settings: Settings, folder: Path) -> Setup:
        setup = case.build(settings, folder)
        ours = setup.ours

        def spoiled(dtype: str, fast: bool | None = None) -> Any:
            work = ours(dtype, fast)

            def run() -> torch.Tensor:
                output = work().clone()
                output.view(-1)[2] += 1e-3
                return output

            return run

        setup.ours = spoiled  # type: ignore[method-assign]
        return setup

    return replace(case, build=build)


@pytest.mark.parametrize("name", ["encoder", "predictor", "rollout-history"])
def test_a_wrong_output_fails_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "CASES", tuple(wrong(case) for case in CASES))
    assert __main__.main(["--smoke", "--threads", "1", "--dtype", "float32", "--only", name]) == __main__.FAILED
    (line,) = last_line(capsys)["lines"]
    assert not line["agrees"]
    assert line["agreement"]["maximum"] == pytest.approx(1e-3, rel=0.05)


def test_the_tables_go_between_the_marks_of_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    arguments = ["--smoke", "--threads", "1", "--only", "frame", "--markdown"]
    assert __main__.main(["--loaded", *arguments, str(page)]) == __main__.OK
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n") and text.endswith(f"{END}\nafter\n") and "old" not in text
    (ours, half) = last_line(capsys)["lines"]
    for line in (ours, half):
        assert list(line["loaded_ms"]) == ["ours", *line["references_ms"]]
        slowed = [line["loaded_ms"][name] / alone_ms
                  for name, alone_ms in (("ours", line["ours_ms"]), *line["references_ms"].items())]  # fmt: skip
        assert all(math.isfinite(times) and times > 0 for times in slowed)
        assert f"| {slowed[0]:.2f} x |" in text
    assert f"| one frame in frame_repeat | float32 | {ours['ours_ms']:.1f} |" in text
    assert f"| {half['ratio']:.2f} | {half['bound_ratio']:.2f} |" in text
    assert "performance_scaling.png" not in text
    (tmp_path / "performance_scaling.png").touch()
    assert __main__.main([*arguments, str(page)]) == __main__.OK
    assert page.read_text().endswith(f"(performance_scaling.png)\n{END}\nafter\n")
    assert "loaded" not in page.read_text()
    bare = tmp_path / "bare.md"
    bare.write_text("no marks")
    assert __main__.main([*arguments, str(bare)]) == __main__.USAGE
    assert bare.read_text() == "no marks"


def test_the_page_of_performance_has_the_marks() -> None:
    page = Path(__file__).parents[2] / "docs" / "performance.md"
    text = page.read_text(encoding="utf-8")
    assert text.index(BEGIN) < text.index(END)
    assert all(f"`{name}`" in text for name in __main__.NAMES)


def test_how_it_scales_is_measured_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--smoke", "--threads", "1", "--dtype", "float32", "--scaling", str(tmp_path)]
    assert __main__.main(arguments) == __main__.OK
    scaling = last_line(capsys)["scaling"]
    assert {entry["axis"] for entry in scaling} == {
        "window, frames", "window, steps", "image side, px", "horizon, steps", "candidates"
    }  # fmt: skip
    for entry in scaling:
        assert all(entry["agrees"])
        assert len(entry["values"]) == len(entry["ours_ms"]) == len(entry["reference_ms"]) >= 2
    assert (tmp_path / "performance_scaling.png").read_bytes().startswith(b"\x89PNG")


def test_a_missing_reference_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for modules, load in (
        (("vjepa2", "vjepa2.models"), public_code._public_code),
        (("transformers.models.vjepa2.modeling_vjepa2",), public_code._transformers),
    ):
        load.cache_clear()
        with monkeypatch.context() as patched:
            for module in modules:
                patched.setitem(sys.modules, module, None)
            assert __main__.main(["--smoke", "--threads", "1", "--only", "encoder"]) == __main__.USAGE
        package = "cc-vjepa2" if "vjepa2" in modules else "transformers"
        assert f"needs the package {package}" in capsys.readouterr().err
        load.cache_clear()


def test_nonsense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--threads", "0"]) == __main__.USAGE
    assert __main__.main(["--preset", "vitq", "--only", "encoder", "--smoke"]) == __main__.USAGE
    assert "vitq" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        __main__.main(["--only", "encoders"])
    assert ended.value.code == __main__.USAGE
