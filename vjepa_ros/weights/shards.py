"""Weights that are cut into several ``.safetensors``, and the index in JSON that says which tensor stands in which.

It knows nothing of models.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from vjepa_ros.documents import Unreadable, from_json
from vjepa_ros.errors import brief, named
from vjepa_ros.weights import safetensors_file
from vjepa_ros.weights.opened import JoinedTensor, OpenedFile

SUFFIX = ".safetensors.index.json"
"""The ending of an index."""
_SHARD = re.compile(r"(.+)-\d+-of-\d+\.safetensors")
MOST_SHARDS = 1000
MOST_BYTES = safetensors_file.MOST_HEADER_BYTES


def read_content(index: OpenedFile, stack: ExitStack) -> dict[str, JoinedTensor]:
    """The tensors of all shards, by name; the shards stay open as long as the stack.

    Raises:
        CheckpointError: where the index or a shard is missing, damaged, or not what the other says.
    """
    shards = _map(index)
    content: dict[str, JoinedTensor] = {}
    for name in sorted(set(shards.values())):
        opened = stack.enter_context(OpenedFile(index.path.with_name(name)))
        stack.callback(opened.require_unchanged)
        found = safetensors_file.read_content(opened)
        wanted = {tensor for tensor, shard in shards.items() if shard == name}
        for tensor in sorted(wanted ^ found.keys()):
            what = "which is not in it" if tensor in wanted else "of which the index knows nothing there"
            raise opened.refusal(f"is another shard than {named(index.path.name)} says: {named(tensor)}, {what}")
        content |= {tensor: JoinedTensor(((opened, stored),)) for tensor, stored in found.items()}
    return content


def advice(path: Path) -> str:
    """Of a shard, named as if it were the whole: what to name instead, to be put behind what it lacks; else nothing."""
    shard = _SHARD.fullmatch(path.name)
    return f"; this is one of several shards: name their index, {named(shard[1] + SUFFIX)}" if shard else ""


def _map(index: OpenedFile) -> dict[str, str]:
    """Names of tensors to names of files that lie beside the index."""
    if index.size > MOST_BYTES:
        raise index.refusal(f"is no index of shards: it has {index.size:,} bytes, more than {MOST_BYTES:,}")
    try:
        found = from_json(index.read_at(0, index.size).decode("utf-8"))
    except (UnicodeDecodeError, Unreadable) as error:
        raise index.refusal(f"cannot be read as an index of shards ({error})") from error
    shards = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(shards, dict) or not shards:
        raise index.refusal("is no index of shards: it has no weight_map")
    for tensor, name in shards.items():
        fits = isinstance(name, str) and name.endswith(".safetensors") and PurePosixPath(name).name == name
        if not fits or "\0" in name:
            raise index.refusal(f"puts {named(tensor)} into {brief(name)}, which is no .safetensors beside it")
    if len(set(shards.values())) > MOST_SHARDS:
        raise index.refusal(f"names more than {MOST_SHARDS:,} shards")
    return shards
