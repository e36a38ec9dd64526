"""A robot description from a file, for recordings without one: as if it were latched, and refused as a topic's is."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import bags, panda, replays

from vjepa_ros.commands import probe as probe_cli

SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 4 * bags.S]
URDF = Path(panda.__file__).parents[1] / "data" / "panda.urdf"
POSES = (
    "pose.source=forward_kinematics", "pose.tip_link=panda_hand", "actions.reduction=pose_delta",
    "encoding=frame_repeat", "num_frames=8", "context_steps=7", "frame_rate=4", "hop=1",
)  # fmt: skip


def described(text: str) -> list[bags.Message]:
    """The recording with a robot description before everything else."""
    data = bags.TYPES.types["std_msgs/msg/String"](data=text)
    return [bags.Message(SAMPLE[0].received_ns - 1, "/robot_description", "std_msgs/msg/String", 0, data), *SHORT]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without a description."""
    return bags.write(tmp_path_factory.mktemp("plain") / "bag", SHORT)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run what must be refused: exit status 1, and the last line of what it said."""
    assert replays.run(*arguments) == 1
    return capsys.readouterr().err.splitlines()[-1].removeprefix("vjepa_replay: ")


def test_a_file_does_what_a_latched_topic_does(bag: Path, tmp_path: Path) -> None:
    options = ("--windows-only", "--set", *POSES)
    with_topic = bags.write(tmp_path / "with_topic", described(panda.URDF))
    other = bags.write(tmp_path / "other", described(panda.URDF.replace('"0 0 0.333"', '"0 0 0.5"')))
    assert replays.run(with_topic, "-o", tmp_path / "topic", *options) == 0
    expected = replays.report(tmp_path / "topic")
    assert expected["counts"]["windows"] > 3 and "urdf" not in expected["topics"]
    for name, path in (("file", bag), ("instead", other)):  # the file counts, whatever the recording says
        assert replays.run(path, "-o", tmp_path / name, "--urdf", URDF, *options) == 0
        found = replays.report(tmp_path / name)
        assert (found["sha256"], found["counts"]) == (expected["sha256"], expected["counts"])
        assert found["topics"]["urdf"] == str(URDF) and "robot_description" not in found["topics"]
    assert replays.run(other, "-o", tmp_path / "another", *options) == 0
    assert replays.report(tmp_path / "another")["sha256"] != expected["sha256"]


def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (bag, "-o", tmp_path / "out", "--windows-only", "--set", *POSES)
    assert "there is no topic for robot_description" in refused(capsys, *options)
    file = tmp_path / "robot.urdf"
    for content, why in (
        (b"<!DOCTYPE robot>", f"--urdf: {file}: it has a DOCTYPE or entities, which a robot description does not need"),
        (b"<robot/>", f"--urdf: {file}: pose.tip_link: there is no link 'panda_hand', only none"),
        (b" " * 6_000_000, f"--urdf: {file}: 6,000,000 characters, at most 2,000,000 (messages."),
        (b"<robot>\xff", f"--urdf: {file}: is not UTF-8 ("),
    ):
        file.write_bytes(content)
        assert refused(capsys, *options, "--urdf", file).startswith(why)
    assert "would replace, or lie in," in refused(capsys, bag, "-o", tmp_path, *options[3:], "--urdf", file, "--force")
    missing = tmp_path / "no.urdf"
    assert refused(capsys, *options, "--urdf", missing).startswith(f"--urdf: {missing}: there is no such file")
    both = ("--urdf", URDF, "--robot-description", "/robot_description")
    said = refused(capsys, *options, *both)
    assert said == "--urdf: the robot description comes from a file or a topic (--robot-description)"
    said = refused(capsys, bag, "-o", tmp_path / "out", "--windows-only", "--urdf", URDF)
    assert said == "--urdf: a robot description is read with pose.source: forward_kinematics only"
    assert not (tmp_path / "out").exists()


def test_the_probe_takes_it_too(bag: Path, tmp_path: Path) -> None:
    written = []
    for path, option in ((bag, ("--urdf", str(URDF))), (bags.write(tmp_path / "bag", described(panda.URDF)), ())):
        out = tmp_path / f"out{len(written)}"
        few = ("--points", "3", "--windows", "1", "--no-picture")
        settings = (*replays.ONE_THREAD, *POSES, "--params", str(replays.PARAMS))
        assert probe_cli.main([str(path), "-o", str(out), *option, *few, *settings]) == 0
        written.append((out / "probe.csv").read_bytes())
    assert written[0] == written[1]
