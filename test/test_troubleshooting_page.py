"""docs/troubleshooting.md: what it says that people see is what the package says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vjepa_ros.config.table import BY_NAME

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def sentences() -> Iterator[str]:
    """Whatever stands in backquotes in a first column."""
    for line in PAGE.splitlines():
        if line.startswith("| ") and not line.startswith("| what you see"):
            yield from re.findall(r"`([^`]+)`", line.split(" | ")[0])


def texts() -> str:
    """Every text in the package's code, a line each; what is put into one stands as a gap."""
    found = []
    for file in (ROOT / "vjepa_ros").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values]
                found.append("".join(parts))
    return "\n".join(found)


TEXTS = texts()


def pieces(sentence: str) -> list[str]:
    """What of a sentence does not differ: between capitals, quotes, dots, topics and numbers."""
    words = re.split(
        r"cannot configure|\(|[A-Z]{2,}|'[^']*'|\.\.\.|/\w[\w/]*|\b\d+\b|[:;,] |\w+/msg/\w+|\w+_\w+", sentence
    )
    return [word.strip(" :;,()-") for word in words if len(word.strip(" :;,()-")) > 3]


SENTENCES = sorted(set(sentences()))


def test_the_page_has_sentences() -> None:
    assert len(SENTENCES) >= 35


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_package_says_it(sentence: str) -> None:
    for piece in pieces(sentence):
        assert piece in TEXTS, piece
    for name in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", re.sub(r"/\w[\w/]*", "", sentence)):
        plain = re.sub(r"_p\d+_ms$", "", name)
        assert name in TEXTS or name in BY_NAME or f'"{plain}"' in TEXTS or plain in TEXTS, name


def test_the_parameters_that_it_names_are_there() -> None:
    """Whatever is spelled as one, with a dot or a colon behind it."""
    named = set(re.findall(r"`((?:actions|states|candidates|latents|view|time|window)\.\w+)", PAGE))
    named |= {name for name in re.findall(r"`(\w+): \w+`", PAGE) if name not in ("inputs", "use_sim_time")}
    unknown = [
        name for name in sorted(named) if name not in BY_NAME and not any(row.startswith(f"{name}.") for row in BY_NAME)
    ]
    assert unknown == []
