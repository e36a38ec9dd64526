"""Candidates as they are read from a message: what is taken, and what is refused."""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.questions import some_candidates

from vjepa_ros.config.parts import CandidatesConfig
from vjepa_ros.errors import InputError
from vjepa_ros.planning.question_reading import MAX_TAG, read_candidates, read_tag
from vjepa_ros.planning.questions import REASONS

LIMITS = CandidatesConfig(max_age_s=1.0, max_count=6, max_horizon=4, batch_size=4, queue_size=2)


def message(values: np.ndarray, tag: tuple[float, ...] = (), **changes: Any) -> Any:
    """A Float32MultiArray with the fields that rclpy gives it; changes by name."""
    values = values.astype(np.float32)
    fields: dict[str, Any] = {
        "labels": ("candidate", "step", "joint"), "sizes": values.shape, "data_offset": len(tag),
        "strides": tuple(int(np.prod(values.shape[axis:])) for axis in range(values.ndim)),
        "data": [*tag, *values.ravel().tolist()], **changes,
    }  # fmt: skip
    dims = [
        SimpleNamespace(label=label, size=size, stride=stride)
        for label, size, stride in zip(fields["labels"], fields["sizes"], fields["strides"], strict=True)
    ]
    layout = SimpleNamespace(dim=dims, data_offset=fields["data_offset"])
    return SimpleNamespace(layout=layout, data=array.array("f", fields["data"]))


@pytest.mark.parametrize("tag", [(), (5.0,), tuple(range(MAX_TAG))])
@pytest.mark.parametrize("strides", [None, (0, 0, 0), (105, 0, 7)])
def test_candidates_are_read_row_by_row_after_the_tag(tag: tuple[float, ...], strides: Any) -> None:
    values = some_candidates()
    read = read_candidates(message(values, tag, **({"strides": strides} if strides else {})), 7, LIMITS)
    np.testing.assert_array_equal(read, values, strict=True)
    assert read_tag(message(values, tag)) == tag


def test_what_is_read_is_a_copy() -> None:
    sent = message(some_candidates())
    read = read_candidates(sent, 7, LIMITS)
    sent.data[0] = 99.0
    assert read[0, 0, 0] != 99.0


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"labels": ("a", "b", "c"), "data": [5.0, 6.0], "data_offset": 2}, (5.0, 6.0)),
        ({"data": [5.0], "data_offset": 2}, ()),
        ({"data": [0.0] * 200, "data_offset": MAX_TAG + 1}, ()),
        ({"data": [5.0, float("nan")], "data_offset": 2}, ()),
        ({"data": [5.0, float("inf")], "data_offset": 1}, (5.0,)),
    ],
)
def test_the_tag_of_what_is_refused_is_read_where_there_is_one(changes: dict[str, Any], tag: tuple[float]) -> None:
    assert read_tag(message(some_candidates(), **changes)) == tag


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({"labels": ("candidate", "joint", "step")}, "bad_layout", "labelled ('candidate', 'joint', 'step')"),
        ({"labels": ("", "", "")}, "bad_layout", "labelled ('', '', '')"),
        ({"labels": ("x" * 10**6, "step", "joint")}, "bad_layout", "xxx', 'step'"),
        ({"labels": ("candidate", "step"), "sizes": (5, 21), "strides": (105, 21)}, "bad_layout", "2 dims"),
        ({"labels": (), "sizes": (), "strides": ()}, "bad_layout", "0 dims"),
        ({"labels": ("candidate", "step", "joint", "more"), "sizes": (5, 3, 7, 1), "strides": (0,) * 4}, "bad_layout",
         "4 dims"),
        ({"sizes": (5, 7, 3)}, "bad_layout", "sizes (5, 7, 3); K candidates of H steps are (K, H, 7)"),
        ({"sizes": (0, 3, 7)}, "bad_layout", "sizes (0, 3, 7)"),
        ({"sizes": (5, 0, 7)}, "bad_layout", "sizes (5, 0, 7)"),
        ({"sizes": (7, 3, 7)}, "too_large", "7 candidates of 3 steps; candidates.max_count is 6"),
        ({"sizes": (5, 5, 7)}, "too_large", "candidates.max_horizon 4"),
        ({"sizes": (2**32 - 1, 2**32 - 1, 7)}, "too_large", "4294967295 candidates"),
        ({"strides": (105, 22, 7)}, "bad_layout", "(105, 22, 7); sizes (5, 3, 7) without gaps have (105, 21, 7)"),
        ({"strides": (7, 21, 105)}, "bad_layout", "strides (7, 21, 105)"),
        ({"data": [0.0] * 104}, "bad_layout", "104 numbers, data_offset 0; needed are 105"),
        ({"data": [0.0] * 106}, "bad_layout", "106 numbers"),
        ({"data": []}, "bad_layout", "0 numbers"),
        ({"data_offset": 1}, "bad_layout", "data_offset 1"),
        ({"data_offset": 17, "data": [0.0] * 122}, "bad_layout", "after at most 16 others"),
        ({"data": [float("nan")] * 2 + [0.0] * 103}, "bad_values", "2 of 105 numbers are not finite"),
        ({"data": [0.0] * 104 + [float("-inf")]}, "bad_values", "1 of 105"),
        ({"data": [float("nan")] + [0.0] * 105, "data_offset": 1}, "bad_values", "1 of 106"),
    ],
)  # fmt: skip
def test_everything_else_is_refused(changes: dict[str, Any], reason: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_candidates(message(some_candidates(), **changes), 7, LIMITS)
    assert caught.value.reason == reason and reason in REASONS
    assert said in caught.value.detail
    assert len(caught.value.detail) < 300


def test_the_largest_question_that_is_allowed_is_read() -> None:
    assert read_candidates(message(some_candidates(6, 4)), 7, LIMITS).shape == (6, 4, 7)
