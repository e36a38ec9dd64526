"""What the node is started with and does not have is named in its log."""

from __future__ import annotations

from pathlib import Path

from support.harness import DEEP, RELIABLE, Predictor, Robot


def test_what_there_is_not_is_named(log_path: Path, tmp_path: Path) -> None:
    """Parameters, files for nodes of other names, qualities of service of topics."""
    ours, others = tmp_path / "ours.yaml", tmp_path / "others.yaml"
    ours.write_text(
        "/**: {ros__parameters: {action: {timeout_s: 2.0}, hop: 4, 'qos_overrides./1.subscription.depth': 3}}\n",
        encoding="utf-8",
    )
    others.write_text("other_node: {ros__parameters: {hop: 8}}\n", encoding="utf-8")
    arguments = (
        "--params-file",
        str(ours),
        "--params-file",
        str(others),
        "-p",
        "joint_name:=[a]",
        "-r",
        "__node:=named",
        "-r",
        "image:=/camera/image_raw",
    )
    right = ("/camera/image_raw.subscription", "/named/latent_info.publisher", "/clock.subscription",
             "/diagnostics.publisher", "/named/goal_image.subscription", "/parameter_events.publisher")  # fmt: skip
    wrong = ("/image.subscription", "/named/latent_infos.publisher")
    parameters = {f"qos_overrides.{end}.depth": 7 for end in (*right, *wrong)}
    # The harness's own are for nodes of its name, but for what is read.
    ours_too = dict.fromkeys(DEEP) | {name: None for name in RELIABLE if "/robot/" in name}
    predictor = Predictor(log_path, {"use_sim_time": False, **ours_too, **parameters}, arguments)
    robot = Robot("/named")
    try:
        assert robot.state() == "unconfigured"
        assert robot.spin(lambda: "/others.yaml" in predictor.log, 5.0), predictor.log
    finally:
        robot.close()
        assert predictor.stop() == 0, predictor.log
    warned = [line for line in predictor.log.splitlines() if "[WARN]" in line]
    of_qos = [line for line in warned if "qos_overrides" in line]
    warned = [line for line in warned if line not in of_qos]
    assert len(warned) == 3, predictor.log
    assert all("it is ignored; topics are named as remapped; did you mean" in line for line in of_qos)
    assert {line.split("did you mean ")[1] for line in of_qos} == {
        "qos_overrides./camera/image_raw.subscription.depth?",
        "qos_overrides./camera/image_raw.subscription.reliability?",  # of the harness, for /image
        "qos_overrides./clock.subscription.depth?",  # for what no topic may be called
        "qos_overrides./named/latent_info.publisher.depth?",
    }
    assert len(of_qos) == 4
    assert "there is no parameter 'action.timeout_s': it is ignored; did you mean actions.timeout_s?" in warned[0]
    assert "there is no parameter 'joint_name': it is ignored; did you mean joint_names?" in warned[1]
    assert "others.yaml: is for nodes of other names ('/other_node'); this one is /named" in warned[2]
