"""What launch_testing's plugin for pytest does to every test file, as a plugin: ``-p support.launch_testing_hook``.

It imports each file while pytest collects the folder, so that one whose import raises takes the folder out. Only this
is imitated, to see without a ROS installation that no file does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from _pytest.pathlib import import_path


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> None:
    """Import the file; pytest makes the module then, as without this."""
    options: Any = {"root": None, "consider_namespace_packages": False}
    if tuple(map(int, pytest.__version__.split(".")[:2])) < (8, 1):
        options.pop("consider_namespace_packages")
    import_path(module_path, **options)
