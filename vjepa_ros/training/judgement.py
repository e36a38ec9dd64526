"""What an evaluation comes to: one of three words, and one plain sentence. Figures in, words out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vjepa_ros.training.figures import Evaluation

Verdict = Literal["follows", "ignores", "little_motion"]

LEAST_MOVING = 0.05
"""The share of steps that must move, or nothing can be said of what actions do."""
LEAST_CHANGE = 0.02
"""How much latents must change, at the farthest step that is looked at; two pictures of unlike scenes are about 1.1
apart, since latents are layer-normalised."""
LEAST_SHUFFLED = 1.2
"""Error with shuffled actions over that with the right ones: predictors that hardly look at actions have up to that."""
MOST_RANK = 0.35
"""Of the true action in a grid: 0.5 is that of a predictor that cannot tell."""


@dataclass(frozen=True)
class Judgement:
    """What an evaluation comes to.

    Attributes:
        word: ``follows``: forecasts are nearer than no change, and depend on the right actions; ``ignores``: they do
            not; ``little_motion``: there is too little motion to tell.
        text: it, as a sentence with figures.
    """

    word: Verdict
    text: str


def judge(found: Evaluation) -> Judgement:
    """Judge by the figures at 4 steps ahead, or at 1 where the recordings held back are too short for that."""
    ahead = 4 if 4 in found.forecasts else 1
    error, shuffled, rank = found.k(ahead), found.shuffled(ahead), found.rank
    farthest = found.forecasts[max(found.forecasts)]
    change = float(farthest.still[:, -1].mean())
    steps = f"{ahead} step{'s' if ahead > 1 else ''} ahead"
    if found.moving < LEAST_MOVING or change < LEAST_CHANGE or error is None or rank is None:
        return Judgement(
            "little_motion",
            f"Too little motion in the data held back: {found.moving:.0%} of its steps move, and latents change by "
            f"{change:.2g} in {max(found.forecasts)} steps; hold back recordings in which the robot moves.",
        )
    error_text = f"its forecasts {steps} have {error:.2f} of the error of predicting no change"
    shuffled_text = "" if shuffled is None else f", with other actions {shuffled:.1f} times as much as with the right"
    figures = f"{error_text}{shuffled_text}; the true action ranks {rank:.2f} (0 is best, 0.5 is chance)"
    looks = (shuffled is None or shuffled >= LEAST_SHUFFLED) and rank <= MOST_RANK
    if looks and error < 1:
        return Judgement("follows", f"The model follows its actions: {figures}.")
    if looks:
        return Judgement(
            "ignores",
            f"The model looks at its actions but is worse than predicting no change: {figures}. Train longer, on more "
            "data, and check actions.reduction and time.offset_s.",
        )
    return Judgement(
        "ignores", f"The model ignores its actions: {figures}: check actions.reduction and time.offset_s."
    )  # fmt: skip
