"""The command ``vjepa_doctor``: its arguments, its lines, its JSON and its exit status."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import ROOT

from vjepa_ros.commands import doctor
from vjepa_ros.doctor import examination
from vjepa_ros.doctor.line import Line

QUIET = ["--no-graph", "--no-model", "--set", "device=cpu", "threads=1"]


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out = capsys.readouterr()
    assert out.err == ""
    return out.out.splitlines()


def test_what_is_well_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([*QUIET, "preset=tiny"]) == 0
    lines = said(capsys)
    assert re.fullmatch(r"0 wrong, 0 to look at, of \d+", lines[-1])
    statuses = {line.split(":")[0].split()[1]: line.split()[0] for line in lines[:-1]}
    assert statuses.pop("latency") == statuses.pop("ros") == "SKIPPED"
    assert set(statuses.values()) == {"OK"}
    assert statuses.keys() == {"python", "numpy", "opencv", "torch", "parameters", "checkpoint", "memory"}


def test_what_is_wrong_says_what_to_do_and_is_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([*QUIET, "checkpoint=/nowhere/weights.pt"]) == 1
    lines = said(capsys)
    (number,) = [index for index, line in enumerate(lines) if line.startswith("WRONG")]
    assert lines[number].startswith("WRONG    checkpoint: /nowhere/weights.pt: there is no such file")
    assert lines[number + 1].startswith("           -> set checkpoint to a file of this model")
    assert lines[-1].startswith("1 wrong, ")


def test_a_warning_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([*QUIET, "preset=tiny_random"]) == 0
    lines = said(capsys)
    assert any(line.startswith("WARNING  checkpoint: there is none") for line in lines)
    assert lines[-1].startswith("0 wrong, 1 to look at")


def test_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--json", *QUIET, "preset=nope"]) == 1
    found = json.loads("\n".join(said(capsys)))
    assert found["ok"] is False
    lines = {line["subject"]: line for line in found["lines"]}
    assert all(line.keys() == {"subject", "status", "found", "remedy", "values"} for line in found["lines"])
    assert lines["parameters"]["status"] == "wrong" and "'nope'" in lines["parameters"]["found"]
    assert lines["python"]["values"] == {"version": ".".join(map(str, sys.version_info[:3]))}
    assert all(bool(line["remedy"]) == (line["status"] in ("wrong", "warning")) for line in found["lines"])


def test_a_file_of_parameters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("/arm/eye:\n  ros__parameters: {joint_names: [a], hop: 2}\n")
    assert doctor.main(["--params", str(path), *QUIET]) == 1
    assert any("has nothing for /vjepa_predictor, only arm/eye" in line for line in said(capsys))
    assert doctor.main(["--params", str(path), "--node-name", "/arm/eye", *QUIET]) == 1
    assert any("parameters: joint_names: names 1 joints" in line for line in said(capsys))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--wait", "0"], "argument --wait: '0' is not a number of seconds"),
        (["--wait", "soon"], "argument --wait: 'soon' is not a number of seconds"),
        (["--such"], "unrecognized arguments: --such"),
        (["stray"], "unrecognized arguments: stray"),
        (["--set", "hop"], "argument --set: 'hop' is not parameter=value"),
    ],
)
def test_wrong_arguments(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        doctor.main(arguments)
    assert ended.value.code == 2
    assert f"vjepa_doctor: error: {error}" in capsys.readouterr().err


def test_a_name_that_ros_would_refuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([*QUIET, "--node-name", "1node"]) == 1
    out = capsys.readouterr()
    assert out.out == "" and out.err.startswith("vjepa_doctor: --node-name: ")


def test_an_interrupt_ends_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(examination.Examination, "lines", interrupted)
    assert doctor.main(QUIET) == 130
    assert capsys.readouterr().err == "vjepa_doctor: interrupted; nothing was written\n"


def test_the_graph_is_looked_at_as_the_node_would(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody sends in this test's domain; the topics are those of the arguments."""
    topics = ["--image", "/front/image_raw", "--joint-commands", "/arm/commands", "--wait", "1", "--no-model"]
    settings = ["--set", "device=cpu", "image_transport=compressed"]
    assert doctor.main([*topics, *settings, "--ros-args", "-r", "joint_states:=/arm/states"]) == 1
    lines = [line for line in said(capsys) if line.startswith("WRONG")]
    wanted = {"/front/image_raw/compressed", "/arm/commands", "/arm/states"}
    assert {line.split()[2].rstrip(":") for line in lines} == wanted
    assert all("nobody publishes" in line for line in lines)


def said_without(module: str, folder: Path, *arguments: str) -> str:
    """What the program says where a module cannot be imported; there is something wrong, and no traceback."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text(f"raise ImportError('no {module} here')\n")
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from vjepa_ros.commands.doctor import main; sys.exit("
    code += f"main({['--set', 'device=cpu', 'preset=tiny', *arguments]!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert (done.returncode, done.stderr) == (1, "")
    return done.stdout


def test_as_a_program_without_ros(tmp_path: Path) -> None:
    """An rclpy that cannot be imported is a line, not a traceback; so is what the option says of it."""
    text = said_without("rclpy", tmp_path, "--no-model")
    assert "rclpy cannot be imported: ImportError: no rclpy here" in text
    assert "leave the graph out with --no-graph" in text
    assert "SKIPPED  topics: ROS comes first" in text


def test_as_a_program_without_numpy(tmp_path: Path) -> None:
    text = said_without("numpy", tmp_path)
    assert "WRONG    numpy: " in text and "no numpy here" in text
    for line in ("parameters: NumPy comes first", "latency: the parameters come first"):
        assert f"SKIPPED  {line}" in text
    assert "topics: " in text and "SKIPPED" in text.partition("topics: ")[0].splitlines()[-1], "to the end"


def test_as_a_program_without_opencv(tmp_path: Path) -> None:
    text = said_without("cv2", tmp_path)
    assert "WRONG    opencv: " in text and "no cv2 here" in text
    assert "OK       checkpoint: " in text
    for subject in ("latency", "topics"):
        assert f"SKIPPED  {subject}: OpenCV comes first" in text


def test_the_page_has_every_argument_and_every_line() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    options = {option for action in doctor.parser()._actions for option in action.option_strings if option[1] == "-"}
    by_topic = {option for option in options if option.removeprefix("--").replace("-", "_") in doctor._TOPICS}
    assert [option for option in options - by_topic - {"--help"} if f"`{option}" not in page] == []
    assert "`--image TOPIC` and so on" in page
    source = "".join(path.read_text() for path in (ROOT / "vjepa_ros" / "doctor").glob("*.py"))
    source += (ROOT / "vjepa_ros" / "ros" / "looking.py").read_text()
    subjects = set(re.findall(r'(?:ok|warning|wrong)\(\s*"([a-z_ ]+)"', source)) | {"torch"}
    assert len(subjects) >= 15
    assert [name for name in sorted(subjects) if f"`{name}`" not in page] == []


def test_lines_are_one_line_and_what_to_do() -> None:
    assert Line("x", "ok", "fine").text == "OK       x: fine"
    assert Line("x", "wrong", "broken", "mend it").text == "WRONG    x: broken\n           -> mend it"
