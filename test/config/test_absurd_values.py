"""No configuration asks for absurd memory or times: each number has its limits, and all of them together too."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import vjepa_ros
from vjepa_ros.config import ros_file
from vjepa_ros.config.model import MOST, ModelConfig
from vjepa_ros.config.node import resolve
from vjepa_ros.config.normalization import LEAST_STD
from vjepa_ros.config.parameter import UNSET
from vjepa_ros.config.presets import load_preset, model_config, preset_names
from vjepa_ros.config.sidecar import Sidecar
from vjepa_ros.config.table import TABLE, check
from vjepa_ros.errors import CheckpointError, ConfigError, VjepaError

JOINTS = [f"panda_joint{number}" for number in range(1, 8)]
HUGE = [2**40, 2**63, 10**30, 10**400]


def refused(values: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        resolve({"joint_names": JOINTS, **values})
    assert len(str(caught.value)) < 700 and "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.kind in ("int", "int[]") and not row.choices], ids=lambda row: row.name
)
def test_every_whole_number_has_limits(row: Any) -> None:
    for value in (*HUGE, *(-value for value in HUGE)):
        number = [value] * 4 if row.kind == "int[]" else value
        if row.name == "seed" and 0 <= value < 2**63:
            continue
        with pytest.raises(ConfigError) as caught:
            check(row.name, number)
        assert caught.value.parameter == row.name and len(str(caught.value)) < 300


@pytest.mark.parametrize("row", [row for row in TABLE if row.unit == "s"], ids=lambda row: row.name)
@pytest.mark.parametrize("value", [1e300, -1e300, 1e10, -1e10, float("inf"), float("nan"), 10**400])
def test_every_time_has_limits(row: Any, value: float) -> None:
    with pytest.raises(ConfigError) as caught:
        check(row.name, value)
    assert caught.value.parameter == row.name and len(str(caught.value)) < 300


@pytest.mark.parametrize("kind", ["float", "float[]"])
@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan")])
def test_every_number_is_finite(kind: str, value: float) -> None:
    for row in TABLE:
        if row.kind == kind:
            with pytest.raises(ConfigError, match="finite"):
                check(row.name, [value] if kind == "float[]" else value)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_far_from_the_limits(name: str) -> None:
    config = model_config(name)
    for size, most in MOST.items():
        numbers = getattr(config, size)
        assert all(number <= most / 4 for number in (numbers if isinstance(numbers, tuple) else (numbers,)))
    assert model_config(name, num_frames=64, image_size=384).steps >= 32 or config.encoder_dim > 0


@pytest.mark.parametrize(("changes", "parameter"), [
    ({"num_frames": 1024, "image_size": (512, 512)}, "image_size"),
    ({"num_frames": 1024, "patch_size": 4}, "patch_size"),
    ({"encoder_dim": 16384, "encoder_depth": 256, "encoder_heads": 128}, "encoder_dim"),
    ({"predictor_dim": 16384, "predictor_depth": 256, "predictor_heads": 128}, "encoder_dim"),
    ({"mlp_ratio": 64.0, "encoder_dim": 8192, "encoder_depth": 100}, "encoder_dim"),
    ({"mlp_ratio": 65}, "mlp_ratio"), ({"mlp_ratio": 1e300}, "mlp_ratio"), ({"mlp_ratio": 10**400}, "mlp_ratio"),
    ({"image_size": (4096 + 16, 64)}, "image_size"), ({"image_size": True}, "image_size"),
    ({"encoder_depth": True}, "encoder_depth"), ({"encoder_depth": 257}, "encoder_depth"),
    ({"context_steps": 10**400}, "context_steps"), ({"image_size": "64"}, "image_size"), ({"image_size": [64,
    "x" * 10**6]}, "image_size"),
])  # fmt: skip
def test_models_that_are_too_large(changes: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ConfigError) as caught:
        model_config("tiny_random", **changes)
    assert caught.value.parameter == parameter and len(str(caught.value)) < 400
    assert isinstance(model_config("tiny_random"), ModelConfig)


def test_latents_that_no_message_holds() -> None:
    error = refused({"preset": "vitg", "latents.horizon": 1000, "states.source": "none"})
    assert error.parameter == "latents.horizon" and "GB of a message" in error.reason


def test_a_rate_that_is_slower_than_anything() -> None:
    assert refused({"frame_rate": 1e-300}).parameter == "frame_rate"


@pytest.mark.parametrize("std", [1e-7, 1e-30, 5e-324, 0.0, -1.0])
def test_a_standard_deviation_below_the_bound_is_refused(std: float) -> None:
    error = refused({"actions.std": [1.0] * 6 + [std]})
    assert error.parameter == "actions.std" and "at least 1e-06" in error.reason
    assert resolve({"joint_names": JOINTS, "states.std": [LEAST_STD] * 7}).normalization.states.std == (LEAST_STD,) * 7


# -- files and names


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, "a: &a [x]\nb: *a", "9" * 5000, "a: 2001-99-99", "\ud800", '"\\ud800"', "- 1", "{a: {b: 1}}"],
)
def test_presets_and_parameter_files_of_strangers(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    for read in (load_preset, lambda name: ros_file.read(Path(name), "/node"), lambda name: vjepa_ros.load(name)):
        with pytest.raises(ConfigError) as caught:
            read(str(path))
        assert len(str(caught.value)) < 700 and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["~nosuchuser/x", "a\0b", "\ud800", "n" * 300, "/dev/zero/x", "n/" * 3000, "."])
def test_paths_that_lead_nowhere(name: str) -> None:
    for call in (
        lambda: load_preset(f"{name}.yaml"),
        lambda: ros_file.read(Path(f"{name}.yaml"), "/node"),
        lambda: vjepa_ros.load("tiny_random", checkpoint=f"{name}.safetensors"),
        lambda: vjepa_ros.load("tiny_random", checkpoint=f"{name}.pt"),
        lambda: (
            resolve({"joint_names": JOINTS, "checkpoint": f"{name}.safetensors"})
            and vjepa_ros.load("tiny_random", checkpoint=f"{name}.pt")
        ),
        lambda: Sidecar.read(Path(f"{name}.json")),
    ):
        with pytest.raises(VjepaError) as caught:
            call()
        assert len(str(caught.value)) < 2_500 and "\n" not in str(caught.value)


def test_a_sidecars_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    """Not "no sidecar": with it, what no shape shows would go unnoticed."""
    weights = tmp_path / "weights.safetensors"
    weights.with_suffix(".json").symlink_to(tmp_path / "gone.json")
    with pytest.raises(CheckpointError) as caught:
        Sidecar.of_checkpoint(weights)
    assert "there is no such file" in str(caught.value) and f"a link to {tmp_path / 'gone.json'}" in str(caught.value)
    assert refused({"checkpoint": str(weights)}).parameter == "checkpoint"


def test_names_of_100000_parts_take_no_time(tmp_path: Path) -> None:
    path = tmp_path / "parameters.yaml"
    for name in ("/**" * 50_000, "/*" * 100_000, "/a" * 100_000, "/**/a" * 40_000 + "/b"):
        path.write_text(f"? {name}\n: {{ros__parameters: {{hop: 4}}}}\nnode: {{ros__parameters: {{hop: 2}}}}\n")
        started = time.monotonic()
        assert ros_file.read(path, "/node")[0]["hop"] in (2, 4)
        assert ros_file.read(path, "/a/b/c/a/b/" + "a/" * 50 + "node") if name == "/**" * 50_000 else True
        assert time.monotonic() - started < 20


@pytest.mark.parametrize(("pattern", "name", "fits"), [
    ("/**", "/a", True), ("/**", "/a/b/c", True), ("/**/b", "/b", True), ("/**/b", "/a/a/b", True), ("/**/b", "/b/a",
    False),
    ("/*", "/a", True), ("/*", "/a/b", False), ("/*/b", "/a/b", True), ("/a/**/c", "/a/c", True), ("/a/**/c",
    "/a/b/b/c", True),
    ("/a/**/c", "/b/c", False), ("/**/**", "/a", True), ("/**/*/c", "/c", False), ("/**/*/c", "/a/c", True), ("/a",
    "/a/b", False),
    ("/a/b", "/a", False),
])  # fmt: skip
def test_patterns_of_names(tmp_path: Path, pattern: str, name: str, fits: bool) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text(f"{pattern}: {{ros__parameters: {{hop: 4}}}}\n")
    if fits:
        assert ros_file.read(path, name) == ({"hop": 4}, [])
    else:
        with pytest.raises(ConfigError, match="has nothing for"):
            ros_file.read(path, name)


def test_the_table_says_what_unset_is() -> None:
    assert all(row.is_set(UNSET[row.kind]) is False for row in TABLE if row.from_preset)
