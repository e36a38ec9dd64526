"""What is said of the data before anything is computed, and what is refused, by kind and in words."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import bags, recorded, trainings

from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.errors import BagError, ConfigError
from vjepa_ros.training import cost
from vjepa_ros.training.plan import Plan
from vjepa_ros.training.reading import configured
from vjepa_ros.training.refusals import UnfitError

Messages = list[bags.Message]


def changed(messages: Messages, topic: str, change: Callable[[Any], None]) -> Messages:
    """The messages with those of a topic changed."""
    out = []
    for message in messages:
        if message.topic == topic:
            message = message._replace(data=copy.deepcopy(message.data))
            change(message.data)
        out.append(message)
    return out


def set_all(value: float) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        data.position = np.full(len(data.position), value)

    return change


def unfit(folder: Path, messages: Messages, values: dict[str, Any] | None = None) -> UnfitError:
    """What is refused, with nothing but the first stage's folder made."""
    bag = bags.write(folder / "bag", messages)
    asked = trainings.plan(folder, [bag], {**trainings.SMALL, **(values or {})})
    with pytest.raises(UnfitError) as caught:
        trainings.prepared(asked)
    assert "\n" not in str(caught.value)
    assert {path.name for path in asked.folder.iterdir() if path.is_dir()} == {"windows"}
    return caught.value


SHORT = trainings.cut(0, 5)


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    broken = [m for m in SHORT if m.topic == recorded.COMMANDS][20]

    def spoil(data: Any) -> None:
        data.position = np.array([*data.position[:2], np.nan, *data.position[3:]])

    one = changed([broken], recorded.COMMANDS, spoil)[0]
    error = unfit(tmp_path, [one if m is broken else m for m in SHORT])
    assert error.kind == "not_finite"
    assert "bag: /joint_commands has values that are not finite (NaN or infinite) in 1 of its messages" in str(error)
    assert "'panda_joint3': nan" in str(error)


def test_joints_that_never_appear_are_refused(tmp_path: Path) -> None:
    names = [*recorded.JOINTS[:6], "panda_joint9"]
    for folder, values in (("skip", {}), ("zero", {"actions.on_missing": "zero", "states.on_missing": "zero"})):
        (tmp_path / folder).mkdir()
        error = unfit(tmp_path / folder, SHORT, {"joint_names": names, **values})
        assert error.kind == "missing_joints"
        assert "no message so far has a value of 'panda_joint9'" in str(error) and "joint_names" in str(error)


@pytest.mark.parametrize("seconds", [0.3, 0.42, 1.5])
def test_too_few_windows_are_refused(tmp_path: Path, seconds: float) -> None:
    """None, one, and as many as leave nothing to hold back."""
    error = unfit(tmp_path, trainings.cut(0, seconds))
    assert error.kind == "too_few_windows"
    assert ("no window came out" in str(error)) == (seconds == 0.3)
    assert "frames made" in str(error) and "skipped" in str(error)


def test_a_recording_without_a_stream_is_refused(tmp_path: Path) -> None:
    (bag,) = trainings.write(tmp_path, [m for m in SHORT if m.topic != recorded.COMMANDS])
    with pytest.raises(BagError, match="joint_commands"):
        trainings.prepared(trainings.plan(tmp_path, [bag], trainings.SMALL))


def test_what_stands_still_is_refused(tmp_path: Path) -> None:
    still = changed(SHORT, recorded.COMMANDS, set_all(0.25))
    error = unfit(tmp_path, still)
    assert error.kind == "no_motion" and "the actions never change" in str(error)
    for name, values in (("zeros", {"actions.reduction": "difference"}), ("sums", {"actions.reduction": "sum"})):
        (tmp_path / name).mkdir()
        zeros = changed(SHORT, recorded.COMMANDS, set_all(0.0))
        error = unfit(tmp_path / name, zeros, values)
        assert error.kind == "no_motion" and "all actions are zero" in str(error)


def test_deltas_that_are_always_the_same_are_refused(tmp_path: Path) -> None:
    commands = [m for m in SHORT if m.topic == recorded.COMMANDS]
    rising = {id(m): 0.001 * (m.stamp_ns - SHORT[0].stamp_ns) / 1e9 for m in commands}
    messages = []
    for m in SHORT:
        if id(m) in rising:
            m = changed([m], recorded.COMMANDS, set_all(rising[id(m)]))[0]
        messages.append(m)
    error = unfit(tmp_path, messages, {"actions.reduction": "difference", "actions.phase": "first"})
    assert error.kind == "constant_actions" and "constant" in str(error)


def test_a_picture_or_a_robot_that_does_not_follow_is_refused(tmp_path: Path) -> None:
    image = next(m for m in SHORT if m.topic == recorded.CAMERA).data.data

    def freeze(data: Any) -> None:
        data.data = image

    (tmp_path / "camera").mkdir()
    error = unfit(tmp_path / "camera", changed(SHORT, recorded.CAMERA, freeze))
    assert error.kind == "no_motion" and "in the picture" in str(error)
    error = unfit(tmp_path, changed(SHORT, recorded.STATES, set_all(0.5)))
    assert error.kind == "no_motion" and "measured states never change" in str(error)


def test_the_table_says_what_there_is(tmp_path: Path) -> None:
    holes = trainings.without(2, 3.5, trainings.cut(0, 6))
    silent = trainings.cut(6, 9)
    spoken = trainings.without(7, 9, silent)
    silent = [m for m in silent if m.topic != recorded.COMMANDS or m.received_ns <= spoken[-1].received_ns]
    silent[10] = silent[10]._replace(topic=recorded.COMMANDS, kind="sensor_msgs/msg/JointState", data=next(
        m for m in changed(SHORT, recorded.COMMANDS, lambda data: setattr(data, "position", data.position[:3]))
        if m.topic == recorded.COMMANDS
    ).data)  # fmt: skip
    paths = trainings.write(tmp_path, holes, silent, trainings.cut(9, 12))
    data = trainings.prepared(trainings.plan(tmp_path, paths, trainings.SMALL))
    table = data.survey
    first, second, third = table.recordings
    assert [row.path for row in table.recordings] == [str(path) for path in paths]
    assert [row.held for row in table.recordings] == [False, False, True]
    assert first.gaps == 1 and first.runs == 2 and second.runs == third.runs == 1
    assert first.steps == 20 + 25 and first.windows == first.steps - 2 * 3
    assert first.hours == pytest.approx(4.5 / 3600, rel=1e-3) and not first.dropped
    assert table.hours == pytest.approx(sum(row.hours for row in table.recordings)) and table.gaps == 1
    assert second.dropped["windows without a command or state"] > 0
    assert second.dropped["/joint_commands: length_mismatch"] == 1
    assert table.windows == first.windows + second.windows + third.windows
    assert table.held_back.startswith("held back: 1 of 3 recordings, ")
    context, ahead = data.plan.sample(data.config.model)
    assert table.held_samples == third.steps - 3 - ahead and context == 2
    assert table.train_samples == first.steps - 2 * (3 + ahead) + second.steps - 3 - ahead
    # Ranges against the recording itself.
    _, commands, states = recorded.oracle_lists()
    for rows, messages in ((table.actions, commands), (table.states, states)):
        values = np.array([value for _, value in messages])
        assert [row.name for row in rows] == list(recorded.JOINTS)
        for row, column in zip(rows, values.T, strict=True):
            assert column.min() - 1e-9 <= row.low < row.mean < row.high <= column.max() + 1e-9
            assert not row.constant and 0 < row.movement < row.high - row.low and row.std > 0
    assert 0.5 < table.moving <= 1 and not table.warnings
    assert json.loads(json.dumps(table.as_dict()))["recordings"][0]["gaps"] == 1


def test_what_is_odd_but_can_be_trained_on_is_a_warning(tmp_path: Path) -> None:
    image = next(m for m in SHORT if m.topic == recorded.CAMERA).data.data

    def freeze(data: Any) -> None:
        data.data = image

    paths = trainings.write(
        tmp_path,
        SHORT,
        trainings.cut(5, 5.2),
        changed(trainings.cut(5, 7), recorded.CAMERA, freeze),
        trainings.cut(7, 9),
    )
    warnings = trainings.prepared(trainings.plan(tmp_path, paths, trainings.SMALL)).survey.warnings
    assert len(warnings) == 2
    assert warnings[0] == f"1 of 4 recordings gave no window: {paths[1]}"
    assert warnings[1] == f"1 of 4 recordings have a picture that never changes: {paths[2]}"


def test_actions_and_states_are_scaled_by_what_is_trained_on_unless_parameters_say(tmp_path: Path) -> None:
    paths = trainings.write(tmp_path, SHORT, trainings.cut(5, 8))
    data = trainings.prepared(trainings.plan(tmp_path, paths, trainings.SMALL))
    (run,) = data.divided.train
    found = data.normalizations
    np.testing.assert_allclose(found.actions.mean, run.actions[:-1].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.actions.std, run.actions[:-1].std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.states.std, run.states.std(axis=0), rtol=1e-12)
    given = {"actions.std": [2.0] * 7, "states.mean": [0.0] * 7}
    data = trainings.prepared(trainings.plan(tmp_path, paths, {**trainings.SMALL, **given}))
    assert data.normalizations == Normalizations.of(given, 7, 7)
    still = trainings.prepared(trainings.plan(tmp_path, paths, {**trainings.SMALL, "states.source": "none"}))
    assert still.normalizations.states.std == (1.0,) * 7 and still.survey.states == ()


def test_reading_is_told_once_for_all_recordings(tmp_path: Path) -> None:
    short = [m._replace(data=m.data) for m in trainings.cut(0, 2)]
    wrong = changed(short, recorded.STATES, lambda data: setattr(data, "position", data.position[:3]))
    mixed = [other if number % 50 == 0 else m for number, (m, other) in enumerate(zip(short, wrong, strict=True))]
    paths = trainings.write(tmp_path, mixed, mixed[:-1], trainings.cut(2, 5))
    said: list[str] = []
    trainings.prepared(trainings.plan(tmp_path, paths, trainings.SMALL), said.append)
    assert len([sentence for sentence in said if sentence.startswith("reads ")]) == 1
    assert len([sentence for sentence in said if "length_mismatch" in sentence]) == 1


def test_the_cost_is_counted_from_the_sizes(tmp_path: Path) -> None:
    values = {**trainings.SMALL, "encoding": "tubelet"}
    data = trainings.prepared(trainings.plan(tmp_path, [recorded.BAG], values, steps=10, batch=4))
    assert data.cost.latent_bytes == 120 * 4 * 32 * 2 and data.cost.frame_bytes == 0
    per_unit = 2 * 4 * 32 * 3 * 2 * 32**2 + 2 * 4 * 32 * 32 * 12 + 4 * 4 * 4 * 32
    assert data.cost.encoding_flops == 120 * per_unit
    inputs = [2 + 1 - 1, 2]  # two steps of teacher forcing, then two of the rollout's second
    tokens = [steps * 6 for steps in inputs]
    once = sum(2 * n * 24 * 24 * 12 + 4 * n * n * 24 for n in tokens)
    assert data.cost.training_flops == 3 * once * 4 * 10
    trained = trainings.plan(tmp_path, [recorded.BAG], values, train_encoder=True)
    assert cost.cost_of(trained, data.config.model, 120, 120).frame_bytes == 240 * 3 * 64 * 64 * 2
    rate = cost.measured_rate(torch.device("cpu"), torch.float32)
    assert 1e8 < rate < 1e14
    assert data.cost.hours(1e9) == (data.cost.encoding_flops + data.cost.training_flops) / 3.6e12


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bags", []), ("out", Path("model.pt")), ("steps", 0), ("batch", 1.5), ("lr", 0.0), ("lr", float("nan")),
        ("l2", 1.1), ("betas", (0.9, 1.0)), ("accumulate", 5), ("sample_steps", 2), ("precision", "float8"),
        ("clip_norm", -1.0), ("patience", True), ("encoder_steps", 0),
    ],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_names_the_field(field: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Plan(**{"bags": [Path("a")], "values": {}, "out": Path("m.safetensors"), field: value})
    assert caught.value.parameter == field


def test_parameters_that_make_no_sense_for_training_are_refused(tmp_path: Path) -> None:
    for values, parameter in (({"num_frames": 2}, "num_frames"), ({"joint_names": []}, "joint_names")):
        with pytest.raises(ConfigError) as caught:
            trainings.prepared(trainings.plan(tmp_path, [recorded.BAG], values))
        assert caught.value.parameter == parameter
    asked = trainings.plan(tmp_path, [recorded.BAG], sample_steps=5)
    with pytest.raises(ConfigError) as caught:
        asked.sample(configured(asked).model)
    assert caught.value.parameter == "sample_steps"
    public = trainings.plan(tmp_path, [recorded.BAG], {"encoding": "frame_repeat", "num_frames": 8}, sample_steps=8)
    assert public.sample(configured(public).model) == (7, 1)
    # The hop and the horizon are a robot's business.
    robot = trainings.plan(tmp_path, [recorded.BAG], {"hop": 16, "latents.horizon": 4, "latents.publish_context": True})
    assert configured(robot).stream.hop == 2 and configured(robot).stream.horizon == 1
    with pytest.raises(BagError, match="nowhere: there is no such bag"):
        trainings.prepared(trainings.plan(tmp_path, [tmp_path / "nowhere"]))
