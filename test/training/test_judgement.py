"""Figures and the word that they come to, with the sentence that people read."""

from __future__ import annotations

from typing import Any

import pytest
from support.evaluated import figures

from vjepa_ros.training.judgement import judge

FOLLOWS = {"errors": {1: 0.6, 4: 0.4, 8: 0.3}, "shuffled": 3.0, "rank": 0.05}


@pytest.mark.parametrize(
    ("changes", "word", "said"),
    [
        ({}, "follows", "The model follows its actions: its forecasts 4 steps ahead have 0.40 of the error of"),
        ({"errors": {1: 0.6}}, "follows", "its forecasts 1 step ahead have 0.60"),
        ({"errors": {1: 0.6}, "shuffled": None}, "follows", "no change; the true action ranks 0.05"),
        ({"shuffled": 1.1}, "ignores", "ignores its actions: "),
        ({"rank": 0.5}, "ignores", "check actions.reduction and time.offset_s."),
        ({"errors": {1: 0.9, 4: 1.1}}, "ignores", "worse than predicting no change"),
        ({"moving": 0.04}, "little_motion", "Too little motion in the data held back: 4% of its steps move"),
        ({"change": 0.01}, "little_motion", "latents change by 0.01 in 8 steps"),
        ({"shuffled": 1.0, "moving": 0.01}, "little_motion", "Too little motion in the data"),
    ],
)
def test_figures_come_to_a_word_and_a_sentence(changes: dict[str, Any], word: str, said: str) -> None:
    found = judge(figures(**{**FOLLOWS, **changes}))
    assert found.word == word and said in found.text
    assert found.text.endswith(".") and "\n" not in found.text
