"""How Sphinx builds these pages: `make docs`, and rosdoc2, which runs this file by its text and in a folder of its own.

The pages are plain Markdown, read on GitHub as they are; MyST reads the same. It knows where pages lie, and nothing of
what stands in them.
"""

from __future__ import annotations

import posixpath
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

project = "vjepa_ros"
author = "vjepa_ros maintainers"
copyright = "vjepa_ros maintainers. License: Apache-2.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["sphinx_output"]  # of rosdoc2, which builds into the folder of its sources
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "sidebar_width": "260px"}

myst_heading_anchors = 4  # named as GitHub names them, for links to a section

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
# Where ROS builds documentation little of this is installed.
NEEDED = (
    "accelerate", "av", "builtin_interfaces", "cv2", "cv_bridge", "diagnostic_msgs", "geometry_msgs", "jinja2",
    "lifecycle_msgs", "lz4", "matplotlib", "numpy", "onnx", "onnxruntime", "openvino", "pyarrow", "rcl_interfaces",
    "rclpy", "rich", "rosbags", "rosgraph_msgs", "safetensors", "sensor_msgs", "std_msgs", "std_srvs", "tensorboardX",
    "torch", "trajectory_msgs", "yaml",
)  # fmt: skip
autodoc_mock_imports = [name for name in NEEDED if find_spec(name) is None]
if find_spec("vjepa_ros") is None:  # run by rosdoc2, whose file names the place that this text is from
    place = re.search(r'exec\(open\("(.+)/docs/conf\.py"', Path(__file__).read_text(encoding="utf-8"))
    sys.path[:0] = [place[1]] if place else []
napoleon_numpy_docstring = False

# rosdoc2 would make the first its own, with other mocks, and load the second once more.
rosdoc2_settings = {"enable_autodoc": False, "support_markdown": False}

PRODUCT = re.compile(r"(?<=[\w')])\*(?=[\w'(])")
LINK = re.compile(r"\[([^\]]*)\]\(((?![a-z]+:|#)[^)\s]+)\)")


def leave_the_folder_out(app: Any, page: str, source: list[str]) -> None:
    """Take links away that lead out of this folder, as to an example: what they lead to is not among the pages."""

    def shown(link: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link[2]))
        return link[0] if place.startswith("docs/") else link[1]

    source[0] = LINK.sub(shown, source[0])


def keep_products(app: Any, kind: str, name: str, what: Any, options: Any, lines: list[str]) -> None:
    """Have ``T*H'*W'`` in a docstring be a product, not the beginning of something emphasised."""
    lines[:] = [PRODUCT.sub(r"\\*", line) for line in lines]


def setup(app: Any) -> None:
    """What Sphinx calls."""
    app.connect("source-read", leave_the_folder_out)
    app.connect("autodoc-process-docstring", keep_products)
