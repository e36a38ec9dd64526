"""vjepa_probe on the sample bag: its numbers against the engine and the oracle, its files, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support import bags, panda, probes, recorded, replays
from support.probes import NORMALISED, SAMPLE, SHORT, STD, refused, run

import vjepa_ros
from vjepa_ros.commands import probe, replay
from vjepa_ros.probe import probing
from vjepa_ros.probe.plan import Plan
from vjepa_ros.replay import export

TOLERANCE = 5e-7


def report(out: Path, name: str = "probe.json") -> dict[str, Any]:
    return probes.report(out, name)


@pytest.fixture(scope="module")
def probed(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That bag probed: a coarse, wide grid on three windows."""
    out = tmp_path_factory.mktemp("probed") / "out"
    options = ("--points", 3, "--span", "2,3", "--windows", 3, "--dims", "panda_joint6,0")
    assert run(bag, "-o", out, *options, *NORMALISED) == 0
    return out


def test_the_energies_are_the_engines(bag: Path, probed: Path, tmp_path: Path) -> None:
    """Windows, contexts and goals from vjepa_replay's export; each action forecast by itself, by the preset's rules."""
    assert replays.run(bag, "-o", tmp_path / "out", "--export", tmp_path / "export", *NORMALISED) == 0
    examples = list(export.load(tmp_path / "export"))
    model, found = vjepa_ros.load("tiny_random"), report(probed)
    assert found["windows_there"] == len(examples) - 1
    chosen = [(2 * part + 1) * (len(examples) - 1) // 6 for part in range(3)]
    stamps_ns = [int(examples[index].frame_stamps_ns[-1]) for index in chosen]
    assert [row["stamp_ns"] for row in found["windows"]] == stamps_ns
    contexts = [np.asarray(example.context).reshape(-1, 16, 128) for example in examples]  # (T', H'*W', D) each
    for index, row in zip(chosen, found["windows"], strict=True):
        here, goal = examples[index], contexts[index + 1][-1]
        context = torch.from_numpy(contexts[index].reshape(1, -1, 128).copy())
        for first, along_joint6 in enumerate((-2, 0, 2)):
            for second, along_joint1 in enumerate((-3, 0, 3)):
                action = here.actions[-1].copy()
                action[5] += along_joint6
                action[0] += along_joint1
                past, future = here.actions[None, :-1] / STD, action[None, None] / STD
                forecast = model.rollout(context, past, here.states[None], future)
                energy = np.abs(forecast[0, 0].numpy() - goal).mean()
                assert row["energies"][first][second] == pytest.approx(energy, abs=TOLERANCE)
        print(f"energies differ by {np.ptp(row['energies']):.1e}")
        assert np.ptp(row["energies"]) > 20 * TOLERANCE, "or the comparison would say little"
        assert row["energy_recorded"] == row["energies"][1][1]
        published = np.asarray(here.predicted).reshape(16, 128)
        assert row["energy_recorded"] == pytest.approx(np.abs(published - goal).mean())
        assert row["energy_no_change"] == pytest.approx(np.abs(contexts[index][-1] - goal).mean())
        np.testing.assert_array_equal(row["action"], here.actions[-1])
        lowest = np.unravel_index(np.argmin(row["energies"]), (3, 3))
        for name, index_of, at, span in (("panda_joint6", 5, lowest[0], 2), ("panda_joint1", 0, lowest[1], 3)):
            assert row[f"recorded_{name}"] == here.actions[-1][index_of]
            assert row[f"offset_{name}"] == (-span, 0, span)[at]


def test_the_files_say_the_same_and_the_picture_is_drawn(probed: Path) -> None:
    found = report(probed)
    assert sorted(path.name for path in probed.iterdir()) == ["probe.csv", "probe.json", "probe.png"]
    with (probed / "probe.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["epoch"] for line in lines] == ["0", "0", "0", "median"]
    for line, row in zip(lines, found["windows"], strict=False):
        assert {name: json.loads(text) for name, text in line.items()} == {name: row[name] for name in line}
    for name, middle in found["medians"].items():
        assert float(lines[-1][name]) == middle == np.median([row[name] for row in found["windows"]])
    assert found["says"][0].startswith("UNTRAINED: ")
    assert (found["parameters"]["hop"], found["latent_info"]["trained"]) == (2, False)
    assert found["dims"][1] == {"index": 0, "name": "panda_joint1", "unit": "rad or m", "span": 3.0}
    picture = cv2.imread(str(probed / "probe.png"))
    assert picture.shape[0] > 300 and picture.shape[1] > 800
    right = picture[:, picture.shape[1] // 2 :]
    for part in (picture[:, : picture.shape[1] // 2], right):  # the mean, and the windows
        assert len(np.unique(part.reshape(-1, 3), axis=0)) > 100
        assert (np.abs(part.astype(int) - (0, 0, 255)).sum(axis=2) == 0).sum() > 20, "a red circle at the minimum"


def test_the_same_bag_twice_gives_the_same_files(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contents = []
    for name in ("one", "two"):
        options = ("--points", 3, "--windows", 2, "--set", "hop=4", "latents.horizon=2")
        assert run(bag, "-o", tmp_path / name, *options) == 0
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]
    said = capsys.readouterr()
    assert "E no change" in said.out and "median" in said.out and "UNTRAINED: the weights" in said.out


def test_it_tells_how_far_it_has_come(bag: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    values = {"joint_names": list(recorded.JOINTS), "device": "cpu", "threads": 1}
    plan = Plan([bag], values, tmp_path / "out", points=3, windows=2, draws=False)
    probing.probe(plan, lambda *progress: told.append(progress))
    messages = 2 * sum(m.topic in bags.TOPICS for m in SHORT)
    for what, total in (("messages", messages), ("forecasts", 2 * 9)):
        done = [step for name, step, of in told if name == what and of == total]
        assert done == sorted(done) and done[-1] == total
    assert {name for name, _, _ in told} == {"messages", "forecasts"}


def test_the_dimensions_that_move_most_are_scanned(bag: Path, tmp_path: Path) -> None:
    windows = replays.expected(bag)
    moves = sum(np.abs(np.subtract(later["actions"][-1], later["actions"][-2])) for later in windows[1:])
    most = sorted(np.argsort(moves)[-2:].tolist())
    options = ("-o", tmp_path / "out", "--points", 3, "--windows", 1, "--no-picture", "--force")
    std = [moves[index] / (10 if index in (2, 4) else 1) for index in range(7)]  # 2 and 4 move most in these units
    assert most != [2, 4]
    for settings, dims in (([], most), (["--set", f"actions.std={list(map(float, std))}"], [2, 4])):
        assert run(bag, *options, *settings) == 0
        assert [axis["index"] for axis in report(tmp_path / "out")["dims"]] == dims
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["probe.csv", "probe.json"]


def test_poses_by_forward_kinematics(tmp_path: Path) -> None:
    """The true action is the one that was measured, by the oracle; the window's own last one is a guess."""
    text = bags.TYPES.types["std_msgs/msg/String"](data=panda.URDF)
    first_ns = SAMPLE[0].received_ns - 1
    described = bags.Message(first_ns, "/robot_description", "std_msgs/msg/String", 0, text)
    bag = bags.write(tmp_path / "bag", [described, *SAMPLE])
    poses = (
        "pose.source=forward_kinematics", "pose.tip_link=panda_hand", "actions.reduction=pose_delta",
        "encoding=frame_repeat", "num_frames=8", "context_steps=7", "frame_rate=4", "hop=1",
    )  # fmt: skip
    options = ("--points", 3, "--windows", 4, "--no-picture")
    assert run(bag, "-o", tmp_path / "out", *options, "--set", *poses) == 0
    found, windows = report(tmp_path / "out"), panda.oracle_windows(panda.oracle_poses(), panda.oracle_poses())
    by_stamp = {window["frame_stamps"][-1]: number for number, window in enumerate(windows)}
    guesses = []
    for row in found["windows"]:
        number = by_stamp[row["stamp_ns"]]
        np.testing.assert_allclose(row["action"], windows[number + 1]["actions"][-2], atol=1e-6)
        guesses.append(np.abs(np.subtract(row["action"], windows[number]["actions"][-1])).max())
    assert max(guesses) > 1e-3
    moves = sum(np.abs(later["actions"][-2][:3]) for later in windows[1:])
    names = [("x", "y", "z")[index] for index in sorted(np.argsort(moves)[-2:])]
    assert [(axis["name"], axis["unit"], axis["span"]) for axis in found["dims"]] == [(n, "m", 0.075) for n in names]
    assert names[0] in found["says"][1] and "[m]" in found["says"][1]


def test_the_page_names_every_option_column_and_key(probed: Path) -> None:
    page = (replays.PARAMS.parents[1] / "docs" / "probe.md").read_text(encoding="utf-8")
    of_replay = {option for action in replay.parser()._actions for option in action.option_strings} - {"--force"}
    options = {option for action in probe.parser()._actions for option in action.option_strings}
    section = page.split("## Options")[1].split("\n## ")[0]
    assert options - of_replay == set(re.findall(r"^\| `(--[\w-]+)", section, re.MULTILINE))
    files = page.split("## The files")[1]
    for name in report(probed)["windows"][0]:
        assert f"`{re.sub('panda_joint[16]', 'NAME', name)}`" in files, name
    for key in set(report(probed)) - {"vjepa_ros"}:
        assert f"`{key}`" in files, key


# -- refusals


def test_what_makes_no_sense_is_refused_in_one_sentence(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("-o", tmp_path / "out")
    said = refused(capsys, bag, *out, "--dims", "elbow,0")
    assert said.startswith("--dims: 'elbow' is no dimension of the action; there are 0: panda_joint1, 1: panda_joint2,")
    assert refused(capsys, bag, *out, "--set", "num_frames=2").startswith("num_frames: is one step")
    assert refused(capsys, bag, *out, "--set", "hops=2") == "hops: there is no such parameter"
    assert refused(capsys, tmp_path / "no", *out) == f"{tmp_path / 'no'}: there is no such bag"
    assert refused(capsys, bag, *out, "--image", "/eyes").startswith("--image: there is no topic /eyes")
    assert "would replace, or lie in," in refused(capsys, bag, "-o", bag, "--force")
    assert not (tmp_path / "out").exists()
    for wrong in (["--points", "4"], ["--points", "1"], ["--span", "0"], ["--span", "1,2,3"], ["--windows", "0"]):
        with pytest.raises(SystemExit) as stopped:
            run(bag, *out, *wrong)
        assert stopped.value.code == 2
        assert f"argument {wrong[0]}: " in capsys.readouterr().err


def test_too_short_a_recording_is_refused_with_its_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start_ns = SAMPLE[0].received_ns
    brief = bags.write(tmp_path / "brief", [m for m in SAMPLE if m.received_ns < start_ns + 0.5 * bags.S])
    said = refused(capsys, brief, "-o", tmp_path / "out")
    frames = sum(m.topic == recorded.CAMERA and m.received_ns < start_ns + 0.5 * bags.S for m in SAMPLE)
    assert said.startswith(f"no window is followed by one that observes its next step: {frames} frames made 0 windows")
    assert not (tmp_path / "out").exists()


def test_without_matplotlib_it_says_so_before_it_begins(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = refused(capsys, bag, "-o", tmp_path / "out")
    assert said.startswith("probe.png: needs the package matplotlib (")
    assert said.endswith("; install it, or leave the picture out by --no-picture")
    assert not (tmp_path / "out").exists()


def test_an_output_is_kept_unless_forced_and_an_interrupt_leaves_it(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").touch()
    assert refused(capsys, bag, "-o", out) == f"{out}: is there already; --force replaces it"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(probing, "survey", interrupt)
        assert run(bag, "-o", out, "--force") == 130
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["precious"]
    assert run(bag, "-o", out, "--force", "--points", 3, "--windows", 1, "--no-picture") == 0
    assert sorted(path.name for path in out.iterdir()) == ["probe.csv", "probe.json"]


def test_energies_that_are_not_finite_are_refused(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forecast = vjepa_ros.WorldModel.rollout_from
    monkeypatch.setattr(vjepa_ros.WorldModel, "rollout_from", lambda *a, **k: forecast(*a, **k) * float("nan"))
    said = refused(capsys, bag, "-o", tmp_path / "out", "--points", 3, "--windows", 1)
    assert said.endswith("of epoch 0 gave energies that are not finite")
    assert not (tmp_path / "out").exists()
