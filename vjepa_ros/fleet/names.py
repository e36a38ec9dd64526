"""How places of recordings are told apart, and what their folders are called. Texts in, texts out."""

from __future__ import annotations

import hashlib
import posixpath
import re

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARACTERS, _DIGITS = 60, 12


def is_address(text: str) -> bool:
    """Whether it is an address such as ``s3://bucket/bags``, and no path."""
    return _ADDRESS.match(text) is not None


def name_of(recording: str) -> str:
    """A name for a folder that stands for a recording: the same for the same place, and for no other."""
    stem = posixpath.basename(recording.rstrip("/")) or "recording"
    plain = _PLAIN.sub("_", stem)[:_NAME_CHARACTERS].strip("._") or "recording"
    digits = hashlib.sha256(recording.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]
    return f"{plain}-{digits}"
