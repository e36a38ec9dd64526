"""How Sphinx builds these pages: `make docs`, and rosdoc2, which runs this file by its text and in a folder of its own.

The pages are plain Markdown, read on GitHub as they are; MyST reads the same. It knows where pages lie, and nothing of
what stands in them.
"""

from __future__ import annotations

import posixpath
import re
from importlib.util import find_spec
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
# Where ROS builds documentation nothing is installed that rosdep does not know.
autodoc_mock_imports = [name for name in ("torch", "safetensors", "rosbags", "cv2") if find_spec(name) is None]
napoleon_numpy_docstring = False

# rosdoc2 would make the first its own, with other mocks, and load the second once more.
rosdoc2_settings = {"enable_autodoc": False, "support_markdown": False}

PRODUCT = re.compile(r"(?<=[\w')])\*(?=[\w'(])")
LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)\s]*)\)")


def leave_the_folder_out(app: Any, page: str, source: list[str]) -> None:
    """Take links away that lead out of this folder, as to an example: what they lead to is not among the pages."""

    def shown(link: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page), link[2]))
        return link[1] if place.startswith("..") else link[0]

    source[0] = LINK.sub(shown, source[0])


def keep_products(app: Any, kind: str, name: str, what: Any, options: Any, lines: list[str]) -> None:
    """Have ``T*H'*W'`` in a docstring be a product, not the beginning of something emphasised."""
    lines[:] = [PRODUCT.sub(r"\\*", line) for line in lines]


def setup(app: Any) -> None:
    """What Sphinx calls."""
    app.connect("source-read", leave_the_folder_out)
    app.connect("autodoc-process-docstring", keep_products)
