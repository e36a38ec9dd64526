"""What vjepa_replay refuses: one clear sentence each, and no output."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import bags, recorded, replays

SAMPLE = bags.sample()
SHORT = [message for message in SAMPLE if message.received_ns < SAMPLE[0].received_ns + 2 * bags.S]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run what must be refused: exit status 1, and the last line of what it said."""
    assert replays.run(*arguments) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vjepa_replay: ")]
    return lines[-1].removeprefix("vjepa_replay: ")


def test_topics_that_are_missing_wrong_or_ambiguous(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("-o", tmp_path / "out", "--windows-only")
    said = refused(capsys, recorded.BAG, *out, "--image", "/eyes")
    assert said.startswith("--image: there is no topic /eyes; there are ")
    for topic in ("/camera/camera_info (sensor_msgs/msg/CameraInfo)", *bags.TOPICS):
        assert topic in said
    said = refused(capsys, recorded.BAG, *out, "--joint-commands", recorded.CAMERA)
    assert said == (
        f"--joint-commands: {recorded.CAMERA} is sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/JointState"
    )
    said = refused(capsys, recorded.BAG, *out, "--set", "actions.type=JointTrajectory")
    assert said.startswith(
        "/joint_commands is sensor_msgs/msg/JointState, not trajectory_msgs/msg/JointTrajectory: "
        "if joint_commands is another topic, say which with --joint-commands"
    )
    blind = bags.write(tmp_path / "blind", [m for m in SHORT if m.topic != recorded.CAMERA])
    said = refused(capsys, blind, *out)
    assert "no topic for image (sensor_msgs/msg/Image or sensor_msgs/msg/CompressedImage or ffmpeg_image" in said
    seen = [m for m in SHORT if m.topic == recorded.CAMERA]
    eyes = [m._replace(topic=f"/{side}/eye") for m in seen for side in ("left", "right")]
    said = refused(capsys, bags.write(tmp_path / "both", eyes + [m for m in SHORT if m not in seen]), *out)
    assert said.startswith("/left/eye, /right/eye could each be image (")
    assert said.endswith("say which with --image")
    said = refused(capsys, recorded.BAG, *out, "--set", "cameras=[left, right]")
    assert said.startswith("cameras: a recording is read as one camera's: leave it empty")
    assert said.endswith("with --image")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", ["commands", "none"])
def test_states_never_stand_in_for_commands_that_are_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    bag = bags.write(tmp_path / "bag", [m for m in SHORT if m.topic != recorded.COMMANDS])
    said = refused(capsys, bag, "-o", tmp_path / "out", "--windows-only", "--set", f"states.source={source}")
    assert said.startswith("there is no topic named like joint_commands (sensor_msgs/msg/JointState): ")
    assert "say which it is with --joint-commands; there are " in said


def test_topics_are_found_by_name_and_the_camera_by_its_type(tmp_path: Path) -> None:
    other = {recorded.CAMERA: "/eye", recorded.COMMANDS: "/arm/joint_commands", recorded.STATES: "/arm/joint_states"}
    renamed = [m._replace(topic=other.get(m.topic, m.topic)) for m in SHORT]
    assert replays.run(bags.write(tmp_path / "bag", renamed), "-o", tmp_path / "out", "--windows-only") == 0
    report = replays.report(tmp_path / "out")
    assert report["topics"] == {
        "image": "/eye", "joint_commands": "/arm/joint_commands", "joint_states": "/arm/joint_states",
        "transport": "compressed",
    }  # fmt: skip
    assert report["counts"]["windows"] > 0


def test_bags_that_are_empty_or_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = bags.write(tmp_path / "empty", [])
    assert refused(capsys, empty, "-o", tmp_path / "out") == f"{empty}: there is no message in it"
    assert refused(capsys, tmp_path / "no", "-o", tmp_path / "out") == f"{tmp_path / 'no'}: there is no such bag"


def test_a_cut_bag_is_used_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = bags.write(tmp_path / "bag", SAMPLE)
    data = (bag / "bag.mcap").read_bytes()
    (bag / "bag.mcap").write_bytes(data[: len(data) // 2])
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 3
    assert "bag.mcap: was cut off; the first" in capsys.readouterr().err
    report = replays.report(tmp_path / "out")
    assert any("was cut off" in note for note in report["notes"])
    assert 40 < report["counts"]["windows"] < 70
    assert any("was cut off" in found["what"] for found in report["incomplete"])
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only", "--force", "--allow-incomplete") == 0


def test_where_the_cut_took_a_topic_with_it_the_cut_is_said_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = [m._replace(received_ns=m.received_ns + 3 * bags.S) if m.topic == recorded.CAMERA else m for m in SHORT]
    bag = bags.write(tmp_path / "bag", later)
    data = (bag / "bag.mcap").read_bytes()
    (bag / "bag.mcap").write_bytes(data[: data.index(recorded.CAMERA.encode()) - 100])
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vjepa_replay: ")]
    assert "bag.mcap: was cut off; the first" in lines[-2]
    assert lines[-1].startswith("vjepa_replay: there is no topic for image (")


def test_bad_messages_are_counted_by_topic_and_reason(tmp_path: Path) -> None:
    mixed = bags.sample()[: len(SHORT)]
    jpeg = next(m for m in mixed if m.topic == recorded.CAMERA)
    jpeg.data.data = jpeg.data.data[:100]
    next(m for m in mixed if m.topic == recorded.STATES).data.name = ["other"] * 9
    next(m for m in mixed if m.topic == recorded.COMMANDS).data.name = [*recorded.JOINTS, "other"]
    bag = bags.write(tmp_path / "mixed", mixed)
    assert replays.run(bag, "-o", tmp_path / "out", "--windows-only") == 0
    counts = replays.report(tmp_path / "out")["counts"]
    rejected = counts["rejected"]
    assert {topic: sum(by_reason.values()) for topic, by_reason in rejected.items()} == {
        recorded.CAMERA: 1, recorded.COMMANDS: 1
    }  # fmt: skip
    assert rejected[recorded.COMMANDS] == {"length_mismatch": 1}
    assert counts["foreign"] == 1  # of another part of the robot


def test_parameters_that_make_no_sense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("-o", tmp_path / "out", "--windows-only", "--set")
    assert refused(capsys, recorded.BAG, *out, "hop=3").startswith("hop: ")
    assert refused(capsys, recorded.BAG, *out, "hops=2") == "hops: there is no such parameter"
    assert not (tmp_path / "out").exists()


def test_a_refusal_in_a_log_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replays.run(tmp_path / "no", "-o", tmp_path / "out") == 1
    assert capsys.readouterr().err == f"vjepa_replay: {tmp_path / 'no'}: there is no such bag\n"


def test_an_output_that_exists_is_kept_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag, out, dump = bags.write(tmp_path / "bag", SHORT), tmp_path / "out", tmp_path / "dump"
    out.mkdir()
    (out / "precious").touch()
    said = refused(capsys, bag, "-o", out, "--windows-only", "--dump", dump)
    assert said == f"{out}: is there already; --force replaces it"
    assert [path.name for path in out.iterdir()] == ["precious"]
    assert not dump.exists()
    dump.write_text("old")
    assert "dump: is there already" in refused(capsys, bag, "-o", tmp_path / "new", "--windows-only", "--dump", dump)
    assert not (tmp_path / "new").exists()
    assert replays.run(bag, "-o", out, "--windows-only", "--dump", dump, "--force") == 0
    assert [path.name for path in out.iterdir()] == ["report.json"]
    assert len(replays.lines(dump)) > 5
    assert "no folder" in refused(capsys, bag, "-o", tmp_path / "no" / "out", "--windows-only")
    assert "would replace, or lie in," in refused(capsys, bag, "-o", out, "--dump", out, "--force")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "dump", "out"]


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_recording_is_never_replaced_by_what_came_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], force: list[str]
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    bag = bags.write(folder / "bag", SHORT)
    before = {path: path.read_bytes() for path in bag.iterdir()}
    for out in (bag, folder, folder / ".." / "recordings" / "bag"):
        assert replays.run(bag, "-o", out, "--windows-only", *force) == 1
        assert "would replace, or lie in," in capsys.readouterr().err
    inside = tmp_path / "out" / "deep"
    for out, dump, export in (
        (tmp_path / "out", tmp_path / "out", tmp_path / "export"),
        (tmp_path / "out", inside, inside),
        (tmp_path / "out", inside, inside / "export"),
        (tmp_path / "out", tmp_path / "dump", tmp_path / "dump" / "export"),
        (inside, tmp_path / "out", tmp_path / "export"),
        (tmp_path / "out", bag, tmp_path / "export"),
        (tmp_path / "out", folder, tmp_path / "export"),
    ):
        places = ("-o", out, "--dump", dump, "--export", export)
        assert replays.run(bag, *places, "--windows-only", *force) == 1
        assert "would replace, or lie in," in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recordings"]
    assert {path: path.read_bytes() for path in bag.iterdir()} == before


@pytest.mark.parametrize("name", ["report.json", "metadata.yaml", "out.mcap", "report.json/dump"])
@pytest.mark.parametrize("option", ["--dump", "--export"])
def test_what_the_output_needs_itself_is_no_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, name: str
) -> None:
    bag, out = bags.write(tmp_path / "bag", SHORT), tmp_path / "out"
    said = refused(capsys, bag, "-o", out, option, out / name, "--force")
    assert said == f"{out / name}: would replace {name.split('/')[0]} of --out; choose another place"
    assert not out.exists()
