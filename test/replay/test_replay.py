"""vjepa_replay against the oracle, on the sample bag and on worse ones; what it writes, and that it can be repeated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from support import bags, recorded, replays

import vjepa_ros
from vjepa_ros import latents
from vjepa_ros.recordings.bag import Recording
from vjepa_ros.replay import export

SAMPLE = bags.sample()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample bag replayed with the model, a dump and an export."""
    folder = tmp_path_factory.mktemp("whole")
    more = ("--dump", folder / "dump", "--export", folder / "export", "--set", "latents.publish_context=true")
    assert replays.run(recorded.BAG, "-o", folder / "out", *more) == 0
    return folder


@pytest.mark.parametrize("worsen", bags.WORSE, ids=lambda worsen: worsen.__name__)
def test_a_worse_recording_equals_the_oracle(tmp_path: Path, worsen: Callable[..., list[bags.Message]]) -> None:
    bag = bags.write(tmp_path / "bag", worsen(SAMPLE))
    arguments = ("-o", tmp_path / "out", "--windows-only", "--dump", tmp_path / "dump", "--set", "actions.max_wait_s=5")
    assert replays.run(bag, *arguments) == 0
    want = replays.expected(bag, max_wait_s=5.0)
    got, report = replays.lines(tmp_path / "dump"), replays.report(tmp_path / "out")
    replays.assert_equal(got, want)
    counts = report["counts"]
    assert counts["late"] == 0
    assert counts["windows"] == len(want) > 20
    assert report["sha256"] == replays.digest(want)
    sent = [m.topic for m in worsen(SAMPLE)]
    assert report["messages"] == {topic: sent.count(topic) for topic in sorted(bags.TOPICS)}
    assert counts["frames"] + counts["frames_out_of_order"] == sent.count(recorded.CAMERA)
    happened = {name: counts[name] for name in ("frames_out_of_order", "gaps", "resets", "windows_skipped")}
    print(worsen.__name__, len(want), happened)
    assert (happened["gaps"] > 0) == (worsen is bags.stall)
    assert (happened["resets"] > 0) == (worsen is bags.loop)
    assert (happened["frames_out_of_order"] > 0) == (worsen is bags.reordering)
    # Jitter puts the first frame before the first command.
    assert happened["windows_skipped"] in {bags.drop_outs: range(5, 50), bags.jitter: (1,)}.get(worsen, (0,))


def test_late_messages_are_counted_by_stream(tmp_path: Path) -> None:
    def delayed(message: bags.Message, number: int) -> bags.Message:
        is_late = message.topic == recorded.COMMANDS and number % 10 == 0
        return message._replace(received_ns=message.received_ns + 3 * bags.S) if is_late else message

    bag = bags.write(tmp_path / "bag", [delayed(m, number) for number, m in enumerate(SAMPLE)])
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 0
    counts = replays.report(tmp_path / "out")["counts"]
    assert counts["late_commands"] == counts["late"] > 50
    assert counts["late_states"] == 0


def test_the_dump_and_the_hashes_are_the_oracles(whole: Path) -> None:
    want = replays.expected(recorded.BAG)
    replays.assert_equal(replays.lines(whole / "dump"), want)
    first = replays.lines(whole / "dump")[0]
    assert list(first) == ["epoch", "frame_stamps", "step_stamps", "actions", "states"]
    assert all(type(stamp) is int for stamp in first["frame_stamps"] + first["step_stamps"])
    hashes = replays.report(whole / "out")["sha256"]
    assert {name: hashes[name] for name in ("windows", "actions")} == replays.digest(want)


def test_the_same_bag_twice_gives_the_same_hashes_and_the_windows_do_not_need_the_model(
    tmp_path: Path, whole: Path
) -> None:
    assert replays.run(recorded.BAG, "-o", tmp_path / "again", "--set", "latents.publish_context=true") == 0
    assert replays.run(recorded.BAG, "-o", tmp_path / "windows", "--windows-only") == 0
    first, again, windows = (replays.report(out) for out in (whole / "out", tmp_path / "again", tmp_path / "windows"))
    assert set(first["sha256"]) == {"windows", "actions", "latents"}
    assert again["sha256"] == first["sha256"]
    assert again["info_id"] == first["info_id"]
    del first["sha256"]["latents"]
    assert windows["sha256"] == first["sha256"]
    assert [file.name for file in (tmp_path / "windows").iterdir()] == ["report.json"]
    assert replays.run(recorded.BAG, "-o", tmp_path / "other", "--windows-only", "--set", "hop=4") == 0
    other = replays.report(tmp_path / "other")
    assert other["parameters"]["hop"] == 4
    assert other["sha256"]["windows"] != windows["sha256"]["windows"]


def test_the_latents_are_a_bag_as_the_node_would_publish_them(whole: Path) -> None:
    windows = replays.lines(whole / "dump")
    model = vjepa_ros.load("tiny_random")
    with AnyReader([whole / "out"]) as reader:
        found: dict[str, list] = {}
        for connection, received_ns, raw in reader.messages():
            found.setdefault(connection.topic, []).append((received_ns, reader.deserialize(raw, connection.msgtype)))
        offered = {c.topic: c.ext.offered_qos_profiles[0] for c in reader.connections}
        kinds = {c.topic: c.msgtype for c in reader.connections}
    name = "/vjepa_predictor"
    image = "sensor_msgs/msg/Image"
    assert kinds == {
        f"{name}/latent_info": "std_msgs/msg/String",
        f"{name}/window_info": "diagnostic_msgs/msg/DiagnosticArray",
        f"{name}/predicted_latents": image,
        f"{name}/context_latents": image,
    }
    assert {qos.reliability for qos in offered.values()} == {QosReliability.RELIABLE}
    latched = {topic for topic, qos in offered.items() if qos.durability == QosDurability.TRANSIENT_LOCAL}
    assert latched == {f"{name}/latent_info"}
    ((info_ns, info_message),) = found[f"{name}/latent_info"]
    info = latents.read_info(info_message)
    assert info["info_id"] == replays.report(whole / "out")["info_id"]
    assert info_ns == SAMPLE[0].received_ns
    predicted, contexts = found[f"{name}/predicted_latents"], found[f"{name}/context_latents"]
    assert len(predicted) == len(contexts) == len(found[f"{name}/window_info"]) == len(windows) == 113
    arrivals = {m.stamp_ns: m.received_ns for m in SAMPLE if m.topic == recorded.CAMERA}
    for (at_ns, message), (_, context), (_, said), window in zip(
        predicted, contexts, found[f"{name}/window_info"], windows, strict=True
    ):
        got = latents.read(message, info)
        stamp_ns = window["frame_stamps"][-1]
        assert got.stamp_ns == latents.read(context, info).stamp_ns == stamp_ns
        assert said.header == message.header
        values = latents.read_window_info(said)
        assert {key: values[key] for key in window} == window
        assert values["info_id"] == info["info_id"]
        assert values["action_source"] == recorded.COMMANDS
        assert arrivals[stamp_ns] <= at_ns <= arrivals[stamp_ns] + 200 * bags.MS
        assert got.array.shape == (1, 4, 4, 128)
    encoded = latents.read(contexts[-1][1], info).array
    outputs = model.predict(encoded.reshape(1, -1, 128), *(np.array([windows[-1][n]]) for n in ("actions", "states")))
    np.testing.assert_allclose(got.array, model.grid.unflatten(outputs)[0, -1:].numpy(), atol=1e-5)


def test_an_export_is_loaded_again(whole: Path) -> None:
    windows, model = replays.lines(whole / "dump"), vjepa_ros.load("tiny_random")
    examples = list(export.load(whole / "export"))
    assert len(examples) == len(windows) == 113
    for example, window in zip(examples, windows, strict=True):
        assert example.epoch == window["epoch"]
        assert example.frame_stamps_ns.tolist() == window["frame_stamps"]
        assert example.step_stamps_ns.tolist() == window["step_stamps"]
        np.testing.assert_array_equal(example.actions, window["actions"])
        np.testing.assert_array_equal(example.states, window["states"])
        assert example.clip.shape == (3, 16, 64, 64)
    last = examples[-1]
    context = model.encode(torch.from_numpy(last.clip.copy())[None])
    np.testing.assert_allclose(last.context, model.grid.unflatten(context)[0].numpy(), atol=1e-5)
    outputs = model.predict(context, last.actions[None], last.states[None])
    np.testing.assert_allclose(last.predicted, model.grid.unflatten(outputs)[0, -1:].numpy(), atol=1e-5)
    index = json.loads((whole / "export" / "index.json").read_text())
    assert index["windows"] == 113
    assert index["latent_info"]["info_id"] == replays.report(whole / "out")["info_id"]


@pytest.mark.parametrize("windows_only", [[], ["--windows-only"]])
def test_a_dump_and_an_export_without_a_place_lie_in_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, windows_only: list[str]
) -> None:
    """And so do those with a place in it, however that is written; they travel with it, by one move."""
    short = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 2 * bags.S]
    bag = bags.write(tmp_path / "bag", short)
    apart = ("-o", tmp_path / "apart", "--dump", tmp_path / "dump", "--export", tmp_path / "shards")
    assert replays.run(bag, *apart, *windows_only) == 0
    expected_dump = (tmp_path / "dump").read_bytes()
    expected_shards = {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()}
    expected = [path.name.replace("apart", "out") for path in (tmp_path / "apart").iterdir()]
    rename, moved = Path.rename, []

    def noted(self: Path, target: Path) -> Path:
        moved.append(target)
        return rename(self, target)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "rename", noted)
    out = tmp_path / "out"
    for places, dump, shards in (
        (["--dump", "--export"], "windows.jsonl", "export"),
        (["--dump", "out/d", "--export", f"{tmp_path}/no/../out/deep/e"], "d", "deep/e"),
    ):
        moved.clear()
        assert replays.run("bag", "-o", "out", *places, *windows_only) == 0
        assert moved == [out]
        assert (out / dump).read_bytes() == expected_dump
        assert {path.name: path.read_bytes() for path in (out / shards).iterdir()} == expected_shards
        assert {path.name for path in out.iterdir()} == {*expected, dump, shards.split("/")[0]}
        if not windows_only:
            with Recording([out]) as replayed:  # what else lies there does not hold up who reads the bag
                assert replayed.notes == [] and replayed.count(replayed.topics) > 20
        shutil.rmtree(out)


def test_an_export_of_several_shards_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export.Exporter.__init__, "__defaults__", (10**6,))
    arguments = ("--windows-only", "--export", tmp_path / "export", "--dump", tmp_path / "dump")
    assert replays.run(recorded.BAG, "-o", tmp_path / "out", *arguments) == 0
    assert len(list((tmp_path / "export").glob("*.safetensors"))) > 5
    examples = list(export.load(tmp_path / "export"))
    assert [e.frame_stamps_ns.tolist() for e in examples] == [
        w["frame_stamps"] for w in replays.lines(tmp_path / "dump")
    ]
    assert {(e.predicted is None, e.context is None) for e in examples} == {(True, True)}
    (tmp_path / "export" / "shard-00001.safetensors").write_bytes(b"broken")
    with pytest.raises(vjepa_ros.errors.BagError, match="not a whole export"):
        list(export.load(tmp_path / "export"))


HORIZON = 3


def test_a_horizon_is_the_oracles_and_the_forecasts_are_the_engines(tmp_path: Path) -> None:
    more = ("--dump", tmp_path / "dump", "--export", tmp_path / "export", "--set", f"latents.horizon={HORIZON}")
    assert replays.run(recorded.BAG, "-o", tmp_path / "out", *more) == 0
    want, got = replays.expected(recorded.BAG, horizon=HORIZON), replays.lines(tmp_path / "dump")
    replays.assert_equal(got, want)
    assert {source for window in got for source in window["future_sources"]} == {"held"}
    report = replays.report(tmp_path / "out")
    hashes = replays.digest(want)
    assert {name: report["sha256"][name] for name in hashes} == hashes
    assert hashes["windows"] == replays.digest(replays.expected(recorded.BAG))["windows"]
    assert hashes["actions"] != replays.digest(replays.expected(recorded.BAG))["actions"]
    model = vjepa_ros.load("tiny_random")
    errors: list[tuple[Any, ...]] = []
    before: tuple[Any, Any] | None = None
    examples = list(export.load(tmp_path / "export"))
    for example, window in zip(examples, want, strict=True):
        np.testing.assert_array_equal(example.future_actions, window["future_actions"])
        assert example.predicted is not None and example.context is not None
        assert example.predicted.shape == (HORIZON, 4, 4, 128)
        forecast, newest = example.predicted, example.context[-1]
        if before is not None:
            errors.append(tuple(np.abs(value - newest).mean() for value in before))
        before = forecast[0], newest
    last = examples[-1]
    future = np.concatenate([last.actions[-1:], last.future_actions])[None]
    rolled = model.rollout(
        torch.from_numpy(last.context.copy()).reshape(1, -1, 128),
        last.actions[None, :-1], last.states[None], future,
    )  # fmt: skip
    np.testing.assert_allclose(last.predicted, rolled.reshape(HORIZON, 4, 4, 128).numpy(), atol=1e-5)
    found = report["prediction_error"]
    assert found["count"] == len(errors) == 112
    np.testing.assert_allclose([found["mean"], found["no_change_mean"]], np.mean(errors, axis=0), rtol=1e-5)
