"""What the node is started with and does not have is named in its log."""

from __future__ import annotations

from pathlib import Path

from support.harness import Predictor, Robot


def test_parameters_that_there_are_not_and_files_of_other_nodes_are_named(log_path: Path, tmp_path: Path) -> None:
    ours, others = tmp_path / "ours.yaml", tmp_path / "others.yaml"
    ours.write_text("/**: {ros__parameters: {action: {timeout_s: 2.0}, hop: 4}}\n", encoding="utf-8")
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
    )
    predictor = Predictor(log_path, {"use_sim_time": False}, arguments)
    robot = Robot("/named")
    try:
        assert robot.state() == "unconfigured"
        assert robot.spin(lambda: "/others.yaml" in predictor.log, 5.0), predictor.log
    finally:
        robot.close()
        assert predictor.stop() == 0, predictor.log
    warned = [line for line in predictor.log.splitlines() if "[WARN]" in line]
    assert len(warned) == 3, predictor.log
    assert "there is no parameter 'action.timeout_s': it is ignored; did you mean actions.timeout_s?" in warned[0]
    assert "there is no parameter 'joint_name': it is ignored; did you mean joint_names?" in warned[1]
    assert "others.yaml: is for nodes of other names ('/other_node'); this one is /named" in warned[2]
