"""Writes docs/parameters.md from the parameter table: python -m docs.make_parameters"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vjepa_ros.config.parameter import UNSET, Parameter
from vjepa_ros.config.presets import load_preset, preset_names
from vjepa_ros.config.table import TABLE

PAGE = Path(__file__).with_name("parameters.md")
HEAD = """\
# Parameters

Written by `python -m docs.make_parameters` from the table in `vjepa_ros/config/table.py`; a test fails when the two
differ. `ros2 param describe /vjepa_predictor NAME` shows the same on a running node.

Parameters are validated together when the node is configured: what makes no sense is refused with the parameter's name
and the reason. While the node is configured only those marked *live* can be changed: a new epoch begins where windows
or latents change, and `latent_info` is sent again. The others are refused then (clean up first). Where the default is
*the preset's*, the value shown after it means "as the preset says", and the second table has what the presets say.
Further parameters, `qos_overrides.<topic>.<publisher|subscription>.<history|depth|reliability|durability>`, change the
quality of service of each topic, called as it is remapped; they are read once, when the node starts. What fits no topic
is named in the log.
"""


def default(row: Parameter) -> str:
    """The default as it is written in a parameter file."""
    return f"the preset's (`{text(UNSET[row.kind])}`)" if row.from_preset else f"`{text(row.default)}`"


def text(value: Any) -> str:
    """A value in YAML's words."""
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)


def allowed(row: Parameter) -> str:
    """Choices or range."""
    if row.choices:
        return ", ".join(f"`{choice}`" for choice in row.choices)
    low = "" if row.minimum is None else f"{bound(row, row.minimum)} ≤"
    high = "" if row.maximum is None else f"≤ {bound(row, row.maximum)}"
    return " ".join(part for part in (low, high) if part)


def bound(row: Parameter, value: float) -> str:
    """A bound as somebody may set it: a whole number to its last digit."""
    return str(int(value)) if row.kind.startswith("int") else f"{value:g}"


def line(row: Parameter) -> str:
    """A row as a row of a page."""
    cells = (
        f"`{row.name}`",
        row.kind,
        default(row),
        row.unit,
        allowed(row),
        f"{row.description} *Live.*" if row.live else row.description,
    )
    return "| " + " | ".join(cells) + " |"


def page() -> str:
    """The whole page."""
    lines = [HEAD, "| parameter | type | default | unit | allowed | what it does |", "|---|---|---|---|---|---|"]
    lines += map(line, TABLE)
    names = preset_names()
    presets = {name: load_preset(name) for name in names}
    lines += ["", "## What the presets say", "", "| parameter | " + " | ".join(f"`{name}`" for name in names) + " |"]
    lines.append("|---|" + "---|" * len(names))
    for row in TABLE:
        if row.from_preset:
            lines.append(
                f"| `{row.name}` | "
                + " | ".join(f"`{text(presets[n].get(row.name, row.fallback))}`" for n in names)
                + " |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
