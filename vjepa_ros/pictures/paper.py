"""What pages for people are made with: figures of matplotlib, templates of jinja2, and pictures inside of the page.

It knows no figures and no templates of its own. Both packages are extras: whoever lacks one is told which.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

from vjepa_ros.errors import ConfigError

_DPI = 110


@dataclass(frozen=True)
class Paper:
    """Makes figures and templates for a page.

    Attributes:
        name: of the page, as errors call it.
        extra: of the package that brings what it needs.
    """

    name: str
    extra: str

    def require(self) -> None:
        """Refuse before hours are spent.

        Raises:
            ConfigError: naming the package that is not installed.
        """
        self.figure(1, 1)
        self.template("")

    def figure(self, width: float, height: float) -> Any:
        """An empty figure; in inches.

        Raises:
            ConfigError: where matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise self._missing("matplotlib", error) from error
        return Figure(figsize=(width, height), layout="constrained")

    def template(self, text: str) -> Any:
        """A template of HTML, which escapes what it is given.

        Raises:
            ConfigError: where jinja2 is not installed.
        """
        try:
            from jinja2 import Environment, StrictUndefined
        except ImportError as error:
            raise self._missing("jinja2", error) from error
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        environment.filters["figure"] = lambda value, digits=2: "-" if value is None else f"{value:.{digits}f}"
        environment.filters["percent"] = lambda value: f"{value:.0%}"
        environment.filters["short"] = lambda value: f"{value:.3g}"
        return environment.from_string(text)

    def _missing(self, package: str, error: ImportError) -> ConfigError:
        return ConfigError(self.name, f"needs the package {package} ({error}): pip install 'vjepa_ros[{self.extra}]'")


def png(figure: Any) -> bytes:
    """A figure as a file, its panels without frames and with small letters."""
    for panel in figure.axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.title.set_fontsize(9)
        panel.xaxis.label.set_fontsize(8)
        panel.yaxis.label.set_fontsize(8)
        panel.tick_params(labelsize=8)
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=_DPI, metadata={"Software": None})
    return held.getvalue()


def embedded(file: bytes, form: str = "png") -> str:
    """A file of a picture as the address of an image, so that the page needs nothing else."""
    return f"data:image/{form};base64,{base64.b64encode(file).decode('ascii')}"
