"""How questions about candidate actions are answered. It knows no model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QuestionConfig:
    """How questions about candidate actions are answered; the parameters ``candidates.*``.

    Attributes:
        max_age_s: a window older than this is not asked about.
        max_count, max_horizon: the most candidates, and steps of each, in one question.
        batch_size: candidates that the model rolls out at once.
        queue_size: questions that wait at most.
    """

    max_age_s: float
    max_count: int
    max_horizon: int
    batch_size: int
    queue_size: int
