"""What the doctor says of parameters, weights, memory and the time for a window."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import vjepa_ros
from vjepa_ros import devices
from vjepa_ros.config.node import NodeConfig, resolve
from vjepa_ros.doctor import latency
from vjepa_ros.doctor.checkpoint import available_bytes, checkpoint_lines
from vjepa_ros.doctor.examination import Examination, latent_bytes
from vjepa_ros.doctor.latency import blank_window, latency_line
from vjepa_ros.doctor.line import Line, is_well, ok
from vjepa_ros.doctor.parameters import examine_parameters
from vjepa_ros.errors import EngineError
from vjepa_ros.stream.window import Window

JOINTS = [f"panda_joint{index}" for index in range(1, 8)]
NODE = "/vjepa_predictor"


def config(**values: Any) -> NodeConfig:
    given = {"joint_names": JOINTS, "device": "cpu", "threads": 1} | values
    return resolve({name.replace("__", "."): value for name, value in given.items()})


def of_weights(given: NodeConfig, free: int | None = 10**12) -> dict[str, Line]:
    return {line.subject: line for line in checkpoint_lines(given, lambda _: free)}


# -- parameters


def parameters_of(tmp_path: Path, text: str, **settings: Any) -> Any:
    path = tmp_path / "my.yaml"
    path.write_text(text)
    return examine_parameters(path, settings, NODE)


def test_parameters_that_fit_together(tmp_path: Path) -> None:
    found = examine_parameters(None, {"preset": "tiny"}, NODE)
    assert [line.status for line in found.lines] == ["ok"] and found.config is not None
    assert found.config.model.preset == "tiny"
    text = "/**:\n  ros__parameters:\n    use_sim_time: true\n    joint_names: [a, b, c, d, e, f, g]\n"
    assert parameters_of(tmp_path, text).of_ros == {"use_sim_time": True}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/other:\n  ros__parameters: {hop: 2}\n", "has nothing for /vjepa_predictor, only other"),
        ("/**: [", "my.yaml "),
        ("/**:\n  ros__parameters: {hop: 3}\n", "joint_names: "),
        ("/**:\n  ros__parameters: {joint_names: [a, b, c, d, e, f, g], hop: 3}\n", "hop: 3 frames"),
        ("/**:\n  ros__parameters: {joint_names: [a, b, c, d, e, f, g], queue: some}\n", "queue: 'some' is not one of"),
        ("/**:\n  ros__parameters: {preset: nope}\n", "preset: 'nope' is not one of"),
    ],
)
def test_parameters_that_do_not(tmp_path: Path, text: str, said: str) -> None:
    found = parameters_of(tmp_path, text)
    assert found.config is None
    line = found.lines[-1]
    assert line.status == "wrong" and said in line.found and "docs/parameters.md" in line.remedy


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (line,) = examine_parameters(tmp_path / "no.yaml", {}, NODE).lines
    assert line.status == "wrong" and "no.yaml cannot be read: there is no such file" in line.found


def test_a_slip_of_the_pen_is_named(tmp_path: Path) -> None:
    text = "/**:\n  ros__parameters: {joint_names: [a, b, c, d, e, f, g], frame_rates: 4.0, use_sim_time: true}\n"
    found = parameters_of(tmp_path, text)
    assert [line.status for line in found.lines] == ["warning", "ok"]
    assert "did you mean frame_rate?" in found.lines[0].found and "my.yaml" in found.lines[0].remedy


# -- weights


def test_weights_that_fit() -> None:
    found = of_weights(config(preset="tiny"))
    assert {line.status for line in found.values()} == {"ok"}
    sizes = found["checkpoint"].values["bytes"]
    model = vjepa_ros.load("tiny", fast=False)
    assert sizes["encoder"] == 4 * sum(weight.numel() for weight in model.encoder.parameters())
    assert found["memory"].values["needed"] == sum(sizes.values())


def test_random_weights_are_to_be_looked_at(tmp_path: Path) -> None:
    found = of_weights(config(preset="tiny_random"))
    assert found["checkpoint"].status == "warning" and "forecasts mean nothing" in found["checkpoint"].found
    path = tmp_path / "encoder.pt"
    torch.save({"encoder": vjepa_ros.load("tiny_random", seed=5, fast=False).encoder.state_dict()}, path)
    alone = of_weights(config(checkpoint=str(path), random_predictor=True))["checkpoint"]
    assert alone.status == "warning" and "the predictor is random" in alone.found
    wrong = of_weights(config(checkpoint=str(path)))["checkpoint"]
    assert wrong.status == "wrong" and "has no predictor" in wrong.found


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b"nothing of the kind" * 100), "m.pt"),
        (lambda path: torch.save({"optimizer": {}, "state": {}}, path), "has no target_encoder or ema_encoder"),
        (lambda path: torch.save({"encoder": {"x": torch.zeros(3)}, "predictor": {}}, path), "encoder lacks "),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, make: Any, said: str) -> None:
    path = tmp_path / "m.pt"
    make(path)
    line = of_weights(config(checkpoint=str(path)))["checkpoint"]
    assert line.status == "wrong" and said in line.found, line
    assert "checkpoint" in line.remedy


def test_memory_that_is_not_enough() -> None:
    given = config(preset="tiny")
    needed = of_weights(given)["memory"].values["needed"]
    for free, status in ((needed - 1, "wrong"), (needed, "warning"), (2 * needed, "ok"), (None, "ok")):
        assert of_weights(given, free)["memory"].status == status, free
    half = of_weights(config(preset="tiny", dtype="bfloat16"), needed - 1)["memory"]
    assert half.status == "ok" and half.values["needed"] * 2 == needed


def test_a_dtype_that_the_cpu_imitates(monkeypatch: pytest.MonkeyPatch) -> None:
    given = config(preset="tiny", dtype="bfloat16")
    monkeypatch.setattr(devices, "cpu_flags", lambda: frozenset({"avx2", "avx512_bf16"}))
    assert "dtype" not in of_weights(given) and "or set dtype: bfloat16" in of_weights(given, 1)["memory"].remedy
    monkeypatch.setattr(devices, "cpu_flags", lambda: frozenset({"avx2", "avx512f"}))
    line = of_weights(given)["dtype"]
    assert (line.status, line.remedy) == ("warning", "set dtype: auto")
    assert line.found == "this CPU has no instructions for bfloat16: it is imitated, and takes longer than float32"
    assert "bfloat16" not in of_weights(given, 1)["memory"].remedy, "it would be slow"
    assert "dtype" not in of_weights(config(preset="tiny"))


def test_a_device_that_is_not_there() -> None:
    line = of_weights(config(device="cuda:77"))["device"]
    assert line.status == "wrong" and "'cuda:77' cannot be used" in line.found


def test_what_linux_says_is_free(tmp_path: Path) -> None:
    said = tmp_path / "meminfo"
    said.write_text("MemTotal: 100 kB\nMemAvailable:    7 kB\n")
    assert available_bytes(torch.device("cpu"), said) == 7 * 1024
    said.write_text("MemTotal: 100 kB\n")
    assert available_bytes(torch.device("cpu"), said) is None
    assert available_bytes(torch.device("cpu"), tmp_path / "no") is None
    assert (available_bytes(torch.device("cpu")) or 0) > 2**20


# -- the time for a window


@pytest.mark.parametrize("more", [{}, {"encoding": "tubelet"}, {"latents__horizon": 3}, {"encoding": "frame_repeat"}])
def test_a_window_is_timed_as_the_node_would_compute_it(more: dict[str, Any]) -> None:
    line = latency_line(config(preset="tiny_random", frame_rate=0.5, **more))
    assert line.status == "ok", line
    assert 0 < line.values["median_ms"] <= line.values["max_ms"]


def test_blank_windows_follow_each_other_by_a_hop() -> None:
    given = config(preset="tiny_random")
    first, second = blank_window(given, 0), blank_window(given, 1)
    assert second.frames[0].stamp_ns == first.frames[given.stream.hop].stamp_ns
    assert len(first.frames) == 16 and first.actions.values.shape == (8, 7)


@pytest.mark.parametrize(("queue", "said"), [("latest", "about 1 of "), ("all", "pile up")])
def test_a_model_that_is_too_slow(monkeypatch: pytest.MonkeyPatch, queue: str, said: str) -> None:
    given = config(preset="tiny_random", queue=queue, frame_rate=100.0)  # a window each 20 ms
    monkeypatch.setattr(latency, "_ENOUGH", 2)

    def slow(_windows: Sequence[Window]) -> None:
        time.sleep(0.05)

    line = latency_line(given, lambda _: slow)
    assert line.status == "warning" and said in line.found and line.remedy
    assert line.values["median_ms"] >= 50 > line.values["period_ms"] == pytest.approx(1e3 * given.stream.hop / 100)


def test_windows_of_all_cameras_fall_into_one_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes 30 ms for each window is fast enough for one camera, and too slow for three."""
    monkeypatch.setattr(latency, "_ENOUGH", 2)
    period = {"preset": "tiny_random", "frame_rate": 40.0}  # a window of each each 50 ms

    def each_30_ms(windows: Sequence[Window]) -> None:
        time.sleep(0.03 * len(windows))

    def line(**more: Any) -> Line:
        return latency_line(config(**period, **more), lambda _: each_30_ms)

    alone, three = line(), line(cameras=["left", "right", "wrist"])
    assert alone.values["period_ms"] == three.values["period_ms"] == 50.0
    assert (alone.values["cameras"], three.values["cameras"]) == (1, 3)
    assert three.values["median_ms"] >= 90 and "a window of each of 3 cameras, in one call, takes" in three.found
    assert three.status == "warning" and "but one of each ends every 50.0 ms" in three.found
    real = latency_line(config(preset="tiny_random", frame_rate=0.5, cameras=["left", "right"]))
    assert real.status == "ok" and real.values["cameras"] == 2, real


def test_a_model_that_fails_or_cannot_be_loaded(tmp_path: Path) -> None:
    def fails(_windows: Sequence[Window]) -> None:
        raise EngineError("out of memory")

    line = latency_line(config(), lambda _: fails)
    assert line.status == "wrong" and "out of memory" in line.found
    line = latency_line(config(device="cuda:77"))
    assert line.status == "wrong" and "cuda:77" in line.found and "device" in line.remedy


# -- in their order


def test_what_hangs_on_something_else_is_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("/**:\n  ros__parameters: {preset: nope}\n")
    found = {line.subject: line for line in Examination(path, {}, NODE, lambda *_: iter([ok("topic", "")])).lines()}
    assert found["parameters"].status == "wrong"
    assert {found[name].status for name in ("checkpoint", "latency", "topics")} == {"skipped"}


def test_the_look_at_the_graph_gets_what_the_parameters_say(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    names = ", ".join(JOINTS)
    path.write_text(f"/**:\n  ros__parameters: {{joint_names: [{names}], use_sim_time: true}}\n")
    asked = []

    def look(given: NodeConfig, of_ros: Any) -> Any:
        asked.append((given.stream.commands.joint_names, dict(of_ros)))
        yield ok("topic /x", "there")

    lines = list(Examination(path, {"device": "cpu"}, NODE, look, times=False).lines())
    assert asked == [(tuple(JOINTS), {"use_sim_time": True})]
    assert is_well(lines) and lines[-1].subject == "topic /x"
    found = {line.subject: line for line in lines}
    assert found["latency"].status == "skipped" and found["large messages"].values["bytes"] == 4 * 16 * 128


def test_bytes_of_latents() -> None:
    given = config(preset="tiny_random", latents__horizon=2, latents__dtype="16FC1")
    rows, cols = (side // given.model.patch_size for side in given.model.image_size)
    assert latent_bytes(given) == 2 * rows * cols * given.model.latent_dim * 2
