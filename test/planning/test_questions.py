"""Questions about candidate actions: what is read, what is refused, and energies held against the engine's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.builders import MS, model_window
from support.questions import some_candidates

import vjepa_ros
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import EngineError, InputError
from vjepa_ros.forecast.forecaster import Forecaster
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.model.state_model import StateModel
from vjepa_ros.planning.questions import (
    REASONS,
    CandidateQuestion,
    Evaluator,
    Goal,
    Tally,
    answer_info,
)
from vjepa_ros.stream.window import Window

JOINTS = [f"joint{number}" for number in range(7)]

TOLERANCE = 1e-6  # the same candidates in batches of another size


# -- answering


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return vjepa_ros.load("tiny_random")


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


@pytest.mark.parametrize("encoding", ["clip", "tubelet", "frame_repeat", "frame"])
@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_energies_are_the_engines(encoding: str, batch_size: int) -> None:
    """Straight from frames, actions, states and picture, with actions and states normalised by hand."""
    numbers = {name: np.linspace(0.5, 2.0, 7) + shift for shift, name in enumerate(("mean", "std", "means", "stds"))}
    family = "vjepa2_1" if encoding == "frame" else "vjepa2"
    settings = config(
        encoding=encoding, encoder_family=family, candidates__batch_size=batch_size,
        actions__mean=numbers["mean"].tolist(), actions__std=numbers["std"].tolist(),
        states__mean=numbers["means"].tolist(), states__std=numbers["stds"].tolist(), view__rotation_deg=90,
    )  # fmt: skip
    asked = vjepa_ros.load(
        "tiny_random", encoding=encoding, encoder_family=family, normalization=settings.normalization
    )
    model = vjepa_ros.load(
        "tiny_random", encoding=encoding, encoder_family=family
    )  # to which everything is given as the layers want it
    window = model_window()
    if encoding.startswith("frame"):  # 16 steps
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
