"""Which recordings folders, patterns, lists and addresses mean; and that those behind an address are the same."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest
from support import fleets, trainings

from vjepa_ros import work_folder
from vjepa_ros.errors import BagError, ConfigError
from vjepa_ros.fleet import running
from vjepa_ros.fleet.names import is_address, name_of
from vjepa_ros.fleet.places import brought, find
from vjepa_ros.fleet.store import Store


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Bags, a dataset, a file that is a bag, and other things, at different depths."""
    for name in ("a/metadata.yaml", "a/a_0.mcap", "b/deep/x.db3", "b/deep/y.db3", "b/notes.md", "c/meta/info.json",
                 "c/data/chunk-000/file-000.parquet", "c/old.mcap", ".hidden/._a.mcap", "d/e.mcap.zstd"):  # fmt: skip
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / name).write_bytes(b"")
    return tmp_path / "all"


def test_a_folder_is_a_recording_or_has_some_in_it(tree: Path) -> None:
    inside = [str(tree / name) for name in ("a", "b/deep", "c", "d")]
    assert find([str(tree)]) == inside
    assert find([str(tree / "a")]) == [str(tree / "a")]
    assert find([str(tree / "c")]) == [str(tree / "c")], "what lies in a dataset is a part of it"
    assert find([str(tree / "a/a_0.mcap")]) == [str(tree / "a/a_0.mcap")]
    assert find([str(tree / "b"), str(tree)]) == [inside[1], inside[0], *inside[2:]], "each once, in the order given"


def test_links_are_followed_each_once(tree: Path) -> None:
    (tree.parent / "links").mkdir()
    (tree.parent / "links" / "one").symlink_to(tree / "a")
    (tree.parent / "links" / "round").symlink_to(tree.parent / "links")
    assert find([str(tree.parent / "links")]) == [str(tree.parent / "links" / "one")]


def test_patterns_and_lists(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find([f"{tree}/*"]) == [str(tree / name) for name in ("a", "b/deep", "c", "d")]
    assert find([f"{tree}/*/*/x.db3", f"{tree}/b/*/x.db3"]) == [str(tree / "b/deep/x.db3")]
    listing = tree / "some.txt"
    listing.write_text(f"# two of them\n\nb/deep\n{tree}/a\n")
    assert find([str(listing)]) == [str(tree / "b/deep"), str(tree / "a")]
    monkeypatch.chdir(tree)
    assert find(["a", "b/*"]) == [str(tree / "a"), str(tree / "b/deep")]
    (tree / "q[1]").mkdir()
    (tree / "q[1]" / "q.mcap").write_bytes(b"")
    assert find(["q[1]"]) == [str(tree / "q[1]")], "a name that is there is no pattern"


def test_what_is_not_there_is_said(tree: Path) -> None:
    (tree / "empty.txt").write_text("# nothing\n")
    (tree / "lists.txt").write_text("empty.txt\n")
    for given, said in (
        ("nowhere", "nowhere: there is no such bag"), ("n*where", "n*where: nothing is called so"),
        ("b/notes", "b/notes: there is no such bag"), ("empty.txt", "empty.txt: names no recording"),
        ("none.txt", "none.txt: there is no such list"), ("lists.txt", "empty.txt: is a list in a list"),
    ):  # fmt: skip
        with pytest.raises(BagError) as raised:
            find([str(tree / given)])
        assert said in str(raised.value)
    (tree / "other").mkdir()
    (tree / "other" / "a.txt").write_text("")
    with pytest.raises(BagError, match=r"other: has no recording in it; what lies there: '\.txt'"):
        find([str(tree / "other")])
    for address in ("nosuch://bucket/bags", "s4://bucket/bags", "zip://b::/all/x.zip", "memory://b::file:///x"):
        with pytest.raises(ConfigError, match="^bags: "):
            find([address])
    with pytest.raises(BagError, match="nothing that is called so is a recording, or has one in it"):
        find([f"{tree}/b/n*"])


def test_what_an_address_begins_with_stays(tree: Path) -> None:
    (tree / "a::b").mkdir()
    (tree / "a::b" / "x.mcap").write_bytes(b"")
    assert find([f"{tree}/a::b"]) == [f"{tree}/a::b"], "a path is no address"
    assert find([f"file://{tree}/a", f"{tree}/a"]) == find([f"local://{tree}/a"]) == [str(tree / "a")]

    class Remote(fsspec.get_filesystem_class("memory")):  # type: ignore[misc]
        """A host stands in its addresses, and in none of its paths, as with sftp."""

        protocol = "remote"

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return "/" + path.partition("://")[2].partition("/")[2].rstrip("/") if "://" in path else path.rstrip("/")

    fsspec.register_implementation("remote", Remote, clobber=True)
    memory = fsspec.filesystem("memory")
    memory.put(str(tree / "a"), "/host/bags/a", recursive=True)
    try:
        given = ["remote://me@robot/host", "remote://me@robot/host/bags/", "remote://me@robot/host/*"]
        assert find(given) == ["remote://me@robot/host/bags/a"]
    finally:
        memory.rm("/host", recursive=True)


def test_names_are_of_places(tmp_path: Path) -> None:
    assert name_of("/data/run 1/bag.mcap").startswith("bag.mcap-") and name_of("/data/ä/ß").startswith("recording-")
    assert len({name_of(place) for place in ("/a/bag", "/b/bag", "s3://a/bag")}) == 3
    assert is_address("s3://a/bag") and not is_address("/a/s3://bag")
    assert name_of("/a/bag") == name_of("/a/bag") and len(name_of("/" + "x" * 500)) < 80


def hashes(given: str, out: Path) -> tuple[str, str]:
    """Of the one recording that is meant, and of what comes of it; no copy of it stays."""
    running.run(fleets.plan(out, given))
    (name,) = Store(out).names()
    report = Store(out).report(name)
    assert report is not None and os.listdir(out / ".work") == [work_folder.LOCK]
    return report["bag_hash"], report["sha256"]


def test_a_fleet_behind_an_address(tmp_path: Path) -> None:
    """memory:// is a file system of this process, read by the same calls as any other."""
    (bag,) = trainings.write(tmp_path, trainings.cut(4, 6))
    memory = fsspec.filesystem("memory")
    memory.put(str(bag), "/fleet/one/bag0", recursive=True)
    try:
        assert find(["memory://fleet"]) == find(["memory://fleet/*"]) == ["memory:///fleet/one/bag0"]
        with brought("memory:///fleet/one/bag0", tmp_path) as copy:
            assert copy.parent.parent == tmp_path
            assert sorted(path.name for path in copy.iterdir()) == sorted(path.name for path in bag.iterdir())
        assert not copy.exists()
        with pytest.raises(BagError, match="there is no such bag"), brought("memory:///fleet/none"):
            pass
        assert hashes("memory://fleet", tmp_path / "there") == hashes(str(bag), tmp_path / "here")
    finally:
        memory.rm("/fleet", recursive=True)


def test_a_fleet_in_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """s3:// by a server of this machine."""
    server = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("s3fs")
    (bag,) = trainings.write(tmp_path, trainings.cut(4, 6))
    for name, value in (("ACCESS_KEY_ID", "none"), ("SECRET_ACCESS_KEY", "none"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    running_server = server.ThreadedMotoServer("127.0.0.1", port=0)
    running_server.start()
    try:
        host, port = running_server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        bucket = boto3.client("s3")
        bucket.create_bucket(Bucket="robot")
        for path in bag.iterdir():
            bucket.upload_file(str(path), "robot", f"day/bag0/{path.name}")
        assert find(["s3://robot"]) == find(["s3://robot/day/*"]) == ["s3://robot/day/bag0"]
        assert hashes("s3://robot/day", tmp_path / "there") == hashes(str(bag), tmp_path / "here")
        with pytest.raises(BagError, match="there is no such bag"):
            find(["s3://robot/night"])
    finally:
        running_server.stop()
