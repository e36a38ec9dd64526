"""What a line of `make gpu` takes at least, on paper."""

from __future__ import annotations

import pytest

from benchmarks.floors import Work, main, markdown, works
from benchmarks.gpu import MODELS
from benchmarks.shapes import Attention, Product


def test_operations_and_bytes_by_hand() -> None:
    work = Work("vitl", "by hand", [Product(10, 20, 30, count=2), Attention(2, 3, 5, 7, 11, count=4)], outside=100)
    assert work.flop == 2 * 10 * 20 * 30 * 2 + 2 * (2 * 2 * 3 * 5 * 7 * 11) * 4  # q with k, and their weights with v
    assert work.read_bytes == 2 * (100 + 20 * 30 * 2)


@pytest.mark.parametrize("tflops, gb_per_s, ms", [(1e-9, 1.0, 24_000.0), (1.0, 2e-6, 700.0)])
def test_the_floor_is_the_longer_of_both(tflops: float, gb_per_s: float, ms: float) -> None:
    work = Work("vitl", "by hand", [Product(10, 20, 30, count=2)], outside=-500)  # 24,000 operations, 1,400 bytes
    assert work.floor_ms(tflops, gb_per_s) == pytest.approx(ms)


def test_what_the_sizes_of_vit_l_and_of_the_released_predictor_give() -> None:
    found = {(work.preset, work.what): work for work in works()}
    assert found["vitl", "encoder, one window"].flop == pytest.approx(1.2e12, rel=0.02)
    plan = found["vjepa2_ac_vitg", "planning: 10 iterations of 800 candidates, 1 step"]
    assert plan.flop / 8000 == pytest.approx(0.16e12, rel=0.03)  # a step of one of 800 candidates in 10 iterations
    assert plan.read_bytes > 10 * 2 * 24 * 12 * 1024**2  # the weights of its 24 layers, in each iteration


def test_every_line_of_make_gpu_has_a_floor(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [(preset, case.what) for preset, cases in MODELS.values() for case in cases]
    main(["--tflops", "1", "--gb-per-s", "1000"])
    printed = capsys.readouterr().out
    assert printed == markdown(1, 1000) + "\n"
    assert [tuple(row.split(" | ")[:2]) for row in printed.replace("| ", "", 1).split("\n| ")[2:]] == lines
