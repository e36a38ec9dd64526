"""Outputs that are not the reference's are found."""

from __future__ import annotations

import pytest
import torch
from support.agreement import HALF_MEAN, TOLERANCE, agreement

EXACT = torch.linspace(-1, 1, 1000)


def test_rounding_agrees_in_float32() -> None:
    found = agreement(EXACT + 0.5 * TOLERANCE, EXACT)
    assert found.holds
    assert found.maximum == pytest.approx(0.5 * TOLERANCE, rel=0.05)
    assert found.mean == pytest.approx(0.5 * TOLERANCE, rel=0.05)


@pytest.mark.parametrize("wrong", [5 * TOLERANCE, float("nan"), float("inf")])
def test_one_wrong_value_does_not_agree(wrong: float) -> None:
    output = EXACT.clone()
    output[500] += wrong
    assert not agreement(output, EXACT).holds


def test_a_single_value_may_be_given_more_room_the_mean_is_not() -> None:
    output = EXACT.clone()
    output[500] += 3 * TOLERANCE
    assert agreement(output, EXACT, worst=5 * TOLERANCE).holds
    assert not agreement(EXACT + 3 * TOLERANCE, EXACT, worst=5 * TOLERANCE).holds


def test_the_reference_sets_the_limit_in_bfloat16() -> None:
    own = EXACT + 1e-3
    assert agreement(EXACT + 1.1e-3, EXACT, own).holds
    assert not agreement(EXACT + 1e-3 * (HALF_MEAN + 0.1), EXACT, own).holds
    single = EXACT.clone()
    single[0] += 2.5e-3
    assert not agreement(single, EXACT, own).holds


def test_another_shape_is_no_output() -> None:
    with pytest.raises(AssertionError, match=r"\(999,\)"):
        agreement(EXACT[:999], EXACT)
