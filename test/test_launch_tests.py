"""Every launch file has a test for launch_testing, of the same form; `test/launch` runs them where there is launch."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = sorted((ROOT / "test" / "launch" / "launch_tests").glob("*.py"))


def test_each_launch_file_has_one() -> None:
    files = {file.name.removesuffix(".launch.py") for file in (ROOT / "launch").glob("*.launch.py")}
    assert files == {file.stem for file in TESTS}
    run = (ROOT / "test" / "launch" / "test_launch_testing.py").read_text(encoding="utf-8")
    assert [name for name in files if f'"{name}"' not in run] == []


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_it_looks_at_a_running_node_and_at_its_end(file: Path) -> None:
    """Its own launch file is started, topics are waited for, and after SIGINT the processes are judged."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    assert functions == {"generate_test_description"} and set(classes) == {"Running", "Ended"}
    assert [ast.unparse(decorator) for decorator in classes["Ended"].decorator_list] == ["post_shutdown_test()"]
    text = ast.unparse(tree)
    assert f"describe('{file.stem}.launch.py'" in text and "assert_clean_ends(self, proc_info, proc_output" in text
    assert "self.need_topics(" in text
    assert ("self.need_state('active')" in text and "self.change(transition)" in text) == (file.stem != "panda_sim")
