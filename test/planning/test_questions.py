"""Questions about candidate actions: what is read, what is refused, and energies held against the engine's own."""

from __future__ import annotations

import array
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support.builders import MS, model_window

import vjepa_ros
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.config.parts import CandidatesConfig
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import EngineError, InputError
from vjepa_ros.forecast.forecaster import Forecaster
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.model.state_model import StateModel
from vjepa_ros.planning.questions import (
    MAX_TAG,
    REASONS,
    CandidateQuestion,
    Evaluator,
    Goal,
    Tally,
    answer_info,
    read_candidates,
    read_tag,
)
from vjepa_ros.stream.window import Window

JOINTS = [f"joint{number}" for number in range(7)]
LIMITS = CandidatesConfig(max_age_s=1.0, max_count=6, max_horizon=4, batch_size=4, queue_size=2)
TOLERANCE = 1e-6  # the same candidates in batches of another size


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


def some_candidates(candidates: int = 5, steps: int = 3, joints: int = 7) -> np.ndarray:
    numbers = np.random.default_rng(7).normal(size=(candidates, steps, joints))
    return numbers.astype(np.float32).astype(np.float64)


# -- reading


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


# -- answering


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return vjepa_ros.load("tiny")


def config(**values: object) -> NodeConfig:
    return resolve({"joint_names": JOINTS, **{name.replace("__", "."): value for name, value in values.items()}})


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (90, 70, 3), np.uint8)


def goal_of(pixels: np.ndarray, config: NodeConfig) -> Goal:
    preprocess = Preprocess(config.model.preprocessing, config.model.image_size, config.camera.view)
    return Goal(preprocess(pixels), stamp_ns=77)


class Bench:
    """An evaluator with a window, and how a question to it ends."""

    def __init__(self, model: WorldModel, config: NodeConfig, window: Window | None) -> None:
        self.forecaster = Forecaster(model, config)
        if window is not None:
            self.forecaster(window)
        self.now_ns = 16 * 50 * MS  # one period after the newest frame
        self.evaluator = Evaluator(model, self.forecaster, config, lambda: self.now_ns)
        self.goal = goal_of(picture(), config)
        self.batch_size = config.candidates.batch_size

    def question(
        self, values: np.ndarray, published: Callable[[CandidateQuestion], None] = lambda question: None
    ) -> CandidateQuestion:
        return CandidateQuestion(3, values, (5.0,), self.goal, self.evaluator, self.batch_size, published)


def answer(question: CandidateQuestion, epoch: int = 0) -> int:
    """Give it turns until it is answered; how many it took."""
    turns = 1
    while not question.turn(epoch):
        turns += 1
        assert turns < 100
    return turns


class Given(StateModel):
    """States that were worked out by hand."""

    def unroll(self, start: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return GIVEN[-1]


GIVEN: list[np.ndarray] = []


def mock_state_model(states: np.ndarray) -> StateModel:
    GIVEN.append(states[None])  # of one window
    return Given("target", 7, 7)


@pytest.mark.parametrize("encoding", ["clip", "tubelet", "frame_repeat"])
@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_energies_are_the_engines(encoding: str, batch_size: int) -> None:
    """Straight from frames, actions, states and picture, with actions and states normalised by hand."""
    numbers = {name: np.linspace(0.5, 2.0, 7) + shift for shift, name in enumerate(("mean", "std", "means", "stds"))}
    settings = config(
        encoding=encoding, candidates__batch_size=batch_size, actions__mean=numbers["mean"].tolist(),
        actions__std=numbers["std"].tolist(), states__mean=numbers["means"].tolist(),
        states__std=numbers["stds"].tolist(), view__rotation_deg=90,
    )  # fmt: skip
    asked = vjepa_ros.load("tiny", encoding=encoding, normalization=settings.normalization)
    model = vjepa_ros.load("tiny", encoding=encoding)  # to which everything is given as the layers want it
    window = model_window()
    if encoding == "frame_repeat":  # 16 steps
        steps = replace(window.actions, values=np.random.default_rng(1).normal(size=(16, 7)))
        window = replace(window, actions=steps, states=replace(steps, values=steps.values[::-1]))
    bench = Bench(asked, settings, window)
    values = some_candidates()
    published: list[CandidateQuestion] = []
    question = bench.question(values, published.append)
    assert answer(question) == 1 + -(-5 // batch_size), "one turn for the goal, one a batch"
    assert published == []
    question.deliver()
    assert published == [question] and question.refusal is None

    clip = torch.from_numpy(np.stack([frame.image for frame in window.frames], axis=1)[None])
    context = model.encode(clip)
    past = (window.actions.values[None, :-1] - numbers["mean"]) / numbers["std"]
    states = (window.states.values[None] - numbers["means"]) / numbers["stds"]
    future = (values - numbers["mean"]) / numbers["std"]
    goal = model.encode_goal(picture(), settings.camera.view)
    # A joint target becomes the next state, as it was read.
    reached = (values[:, :-1] - numbers["means"]) / numbers["stds"]
    state_model = mock_state_model(reached)
    latents = model.rollout(context, past, states, future, state_model=state_model)
    want = model.energy(latents, goal).numpy()
    assert np.ptp(want) > 100 * TOLERANCE, "the candidates differ by more than they are compared to"
    np.testing.assert_allclose(question.energies, want, rtol=0, atol=TOLERANCE)
    assert question.energies.dtype == np.float32


def test_the_first_candidate_action_acts_at_the_last_observed_step(model: WorldModel) -> None:
    """Asked about the window's own last action, the forecast is the one that was published for it."""
    window = model_window()
    bench = Bench(model, config(), window)
    published = bench.forecaster(window)
    question = bench.question(window.actions.values[None, -1:])  # (1, 1, 7)
    answer(question)
    forecast = torch.from_numpy(published.predicted).reshape(1, 16, 128)
    want = model.energy(forecast, model.encode_goal(picture()))
    np.testing.assert_allclose(question.energies[0], want.numpy(), rtol=0, atol=TOLERANCE)


def test_a_goal_is_encoded_once(model: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    inner = model.encode_still

    def counted(frame: torch.Tensor) -> torch.Tensor:
        encoded.append(1)
        return inner(frame)

    monkeypatch.setattr(model, "encode_still", counted)
    bench = Bench(model, config(), model_window())
    first, second = (bench.question(some_candidates()) for _ in range(2))
    assert (answer(first), answer(second)) == (2, 1)
    np.testing.assert_array_equal(first.energies, second.energies)
    bench.goal = goal_of(picture(1), config())
    third = bench.question(some_candidates())
    assert answer(third) == 2
    assert len(encoded) == 2
    assert np.abs(third.energies - first.energies).min() > 1e-4


def refusal(question: CandidateQuestion, epoch: int = 0) -> InputError:
    answer(question, epoch)
    assert question.refusal is not None
    assert question.refusal.reason in REASONS
    return question.refusal


def test_without_a_window_of_this_epoch_there_is_no_number(model: WorldModel) -> None:
    assert refusal(Bench(model, config(), None).question(some_candidates())).reason == "no_window"
    bench = Bench(model, config(), model_window())
    error = refusal(bench.question(some_candidates()), epoch=1)
    assert (error.reason, error.detail) == ("no_window", "there is none of epoch 1 yet")
    assert refusal(Bench(model, config(), replace(model_window(), epoch=2)).question(some_candidates()), 1)


@pytest.mark.parametrize(
    ("age_ms", "stale"), [(1000, False), (1000.000001, True), (-1000, False), (-1000.000001, True), (10**9, True)]
)
def test_how_old_a_window_may_be(model: WorldModel, age_ms: float, stale: bool) -> None:
    window = model_window()
    bench = Bench(model, config(), window)
    bench.now_ns = window.frames[-1].stamp_ns + round(age_ms * MS)
    question = bench.question(some_candidates())
    answer(question)
    assert (question.refusal is not None) == stale
    if stale:
        assert question.refusal.reason == "stale_window"
        assert f"age is {age_ms / 1e3:.3f} s, candidates.max_age_s is 1 s" in question.refusal.detail


def test_age_counts_from_the_stamp_on_the_common_clock(model: WorldModel) -> None:
    """A camera whose clock is an hour behind, mended by time.offset_s.image."""
    window = model_window()
    late = replace(window, frames=tuple(replace(frame, offset_ns=3600 * 10**9) for frame in window.frames))
    question = Bench(model, config(), late).question(some_candidates())
    answer(question)
    assert question.refusal is None
    assert late.stamp_ns < 0


def test_an_answer_is_about_one_window_and_its_epoch(model: WorldModel) -> None:
    first, second = model_window(), replace(model_window(frames=1), number=1)
    settings = config(candidates__batch_size=2)
    whole = Bench(model, settings, first).question(some_candidates())
    answer(whole)
    bench = Bench(model, settings, first)
    question = bench.question(some_candidates())
    assert not question.turn(0) and not question.turn(0)  # the goal, two candidates
    bench.forecaster(second)
    answer(question)
    np.testing.assert_array_equal(question.energies, whole.energies)
    assert question.observed.window is first
    assert question.turn(0), "asked again in the same epoch, it is still answered"
    assert question.refusal is None
    assert question.turn(1)
    assert question.refusal.reason == "outdated"

    midway = bench.question(some_candidates())
    assert not midway.turn(0)
    assert midway.turn(1) and midway.refusal.reason == "outdated"


def test_energies_that_are_not_finite_are_refused(model: WorldModel) -> None:
    bench = Bench(model, config(), model_window(nan_frame=3))
    error = refusal(bench.question(some_candidates()))
    assert (error.reason, error.detail) == ("not_finite", "the energies of 5 candidates are not")
    bench = Bench(model, config(actions__std=[1e-3] * 7), model_window())
    values = some_candidates()
    values[1:3] = 3e38
    values[[0, 3, 4]] = 0
    question = bench.question(values)
    assert refusal(question).reason == "not_finite"
    assert "of 2 candidates" in question.refusal.detail


def test_a_failing_model_is_an_engine_error_and_the_turn_can_be_repeated(
    model: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(model, config(candidates__batch_size=2), model_window())
    whole = bench.question(some_candidates())
    answer(whole)
    question = bench.question(some_candidates())
    assert not question.turn(0)
    with monkeypatch.context() as patched:

        def out_of_memory(*_: object) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

        patched.setattr(model.predictor, "roll_out", out_of_memory)
        with pytest.raises(EngineError, match="out of memory"):
            question.turn(0)
    answer(question)
    np.testing.assert_array_equal(question.energies, whole.energies)

    question.fail(EngineError("again and again"))
    assert question.turn(0)
    assert (question.refusal.reason, question.refusal.detail) == ("model_failed", "again and again")


def test_a_configuration_without_a_state_model_says_why(model: WorldModel) -> None:
    settings = config(state_names=[*JOINTS[1:], JOINTS[0]])
    evaluator = Evaluator(model, Forecaster(model, settings), settings, lambda: 0)
    assert "state_names: a rollout advances the state by the commands" in evaluator.refusal
    assert Evaluator(model, Forecaster(model, config()), config(), lambda: 0).refusal == ""


# -- what is said of an answer


def test_what_became_of_a_question(model: WorldModel) -> None:
    bench = Bench(model, config(), model_window())
    question = bench.question(some_candidates())
    answer(question)
    info = answer_info(3, (5.0,), None, question, "abc")
    assert info == {
        "question": 3, "tag": [5.0], "answered": True, "reason": "", "detail": "", "info_id": "abc", "epoch": 0,
        "window": 0, "window_stamp": 15 * 50 * MS, "goal_stamp": 77,
    }  # fmt: skip
    refused = answer_info(4, (), InputError("bad_layout", "2 dims"), None, "abc")
    assert refused == {
        "question": 4, "tag": [], "answered": False, "reason": "bad_layout", "detail": "2 dims", "info_id": "abc",
        "epoch": None, "window": None, "window_stamp": None, "goal_stamp": None,
    }  # fmt: skip


def test_the_tally_knows_every_reason() -> None:
    assert list(Tally().refused) == list(REASONS) and set(Tally().refused.values()) == {0}
