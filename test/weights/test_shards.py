"""Folders of Hugging Face whose weights are cut into shards: the index and the files must agree on every tensor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.folders import Folder, clip_of, load, refused


def test_shards_with_an_index(tmp_path: Path) -> None:
    whole, cut = Folder(tmp_path / "hub"), Folder(tmp_path / "cut", shard_bytes=100_000)
    assert len(list(cut.path.glob("model-*-of-*.safetensors"))) > 3 and not (cut.path / "model.safetensors").exists()
    layer = json.loads((cut.path / "model.safetensors.index.json").read_text())["weight_map"]
    spread = {
        layer[f"encoder.layer.{n}.attention.{part}.weight"] for n in range(3) for part in ("query", "key", "value")
    }
    assert len(spread) > 1, "a query and its key stand in different files"
    one, other, clip = load(whole.path), load(cut.path), clip_of()
    assert one.encoder_hash == other.encoder_hash
    assert torch.equal(one.encode(clip), other.encode(clip))
    assert load(cut.path / "model.safetensors.index.json").encoder_hash == one.encoder_hash


def damaged(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "weight_map": {**content["weight_map"], **values}}))


@pytest.mark.parametrize(
    ("name", "shard", "said"),
    [
        ("encoder.layernorm.bias", "../model.safetensors", "puts encoder.layernorm.bias into '../model.safetensors'"),
        ("encoder.layernorm.bias", "/etc/passwd", "puts encoder.layernorm.bias into '/etc/passwd', which is no"),
        ("encoder.layernorm.bias", 3, "puts encoder.layernorm.bias into 3, which is no .safetensors beside it"),
        ("encoder.layernorm.bias", "a.safetensors", "a.safetensors: "),
        ("encoder.more", "model-00001-of", "is another shard than model.safetensors.index.json says: encoder.more"),
    ],
)  # fmt: skip
def test_an_index_that_is_wrong(tmp_path: Path, name: str, shard: Any, said: str) -> None:
    cut = Folder(tmp_path / "cut", shard_bytes=100_000)
    if shard == "model-00001-of":
        (shard,) = (path.name for path in cut.path.glob("model-00001-of-*"))
    damaged(cut.path / "model.safetensors.index.json", **{name: shard})
    assert said in refused(cut.path)


@pytest.mark.parametrize("content", ["", "[]", '{"weight_map": {}}', '{"weight_map": 3}', "{" * 50, "\xff"])
def test_what_is_no_index(tmp_path: Path, content: str) -> None:
    cut = Folder(tmp_path / "cut", shard_bytes=100_000)
    (cut.path / "model.safetensors.index.json").write_text(content, encoding="latin-1")
    assert refused(cut.path).startswith(f"{cut.path / 'model.safetensors.index.json'}: ")


def test_a_shard_that_is_missing_or_cut(tmp_path: Path) -> None:
    cut = Folder(tmp_path / "cut", shard_bytes=100_000)
    first, second, *_ = sorted(cut.path.glob("model-*.safetensors"))
    second.write_bytes(second.read_bytes()[:-10])
    assert refused(cut.path).startswith(f"{second}: is a truncated or damaged safetensors file")
    first.unlink()
    assert refused(cut.path).startswith(f"{first}: ")


def test_a_shard_that_is_named_as_if_it_were_the_whole(tmp_path: Path) -> None:
    cut = Folder(tmp_path / "cut", shard_bytes=100_000)
    for shard in cut.path.glob("model-*.safetensors"):
        said = refused(shard)
        assert said.endswith("; this is one of several shards: name their index, model.safetensors.index.json")
