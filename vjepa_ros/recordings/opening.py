"""What a path is: a bag's folder, one of its files, a dataset's folder, or something else, of which it is said what to
do with it instead.

It looks at names and first bytes, and leaves the reading to those that know a format.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from vjepa_ros.errors import BagError, listed, place
from vjepa_ros.recordings import metadata as metadata_file
from vjepa_ros.recordings import zstd_bag
from vjepa_ros.recordings.expanding import ZSTD_MAGIC
from vjepa_ros.recordings.mcap_file import McapFile
from vjepa_ros.recordings.mcap_records import MAGIC as MCAP_MAGIC
from vjepa_ros.recordings.metadata import Metadata
from vjepa_ros.recordings.sqlite_file import MAGIC as SQLITE_MAGIC
from vjepa_ros.recordings.sqlite_file import SqliteFile
from vjepa_ros.recordings.storage import Flaw, Storage, Unreadable

SUFFIXES = (".mcap", ".db3")
"""Of files of messages, but for the suffix of compressed ones."""
DATASET = Path("meta", "info.json")
"""What the folder of a LeRobotDataset has in it."""
_OF_A_DATASET = (".json", ".parquet", ".mp4")
_ROS1_MAGIC = b"#ROSBAG V"
_ROS1 = "is a ROS 1 bag: convert it with rosbags-convert, which rosbags brings, and give what that writes"

Identity = tuple[int, int]
"""Of a file, whatever it is called: device and number."""


@dataclass
class Bag:
    """A path that was given, opened.

    Attributes:
        path: as it was given.
        storages: the files that can be read, in order.
        metadata: what the bag says about all of them together, if it does.
        flaws: (path, what is wrong) with what is no storage.
        notes: whole sentences.
        identities: of the files.
    """

    path: Path
    storages: list[Storage] = field(default_factory=list)
    metadata: Metadata | None = None
    flaws: list[tuple[Path, Flaw]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)

    def every_flaw(self) -> Iterator[tuple[Path, Flaw]]:
        """All of them, with those of the storages."""
        yield from self.flaws
        for storage in self.storages:
            for flaw in storage.flaws:
                yield storage.path, flaw


def open_bag(path: Path, stack: ExitStack, known: Collection[Identity]) -> Bag:
    """Open what a path names.

    Args:
        path: a folder or a file.
        stack: closes it.
        known: files that are read already.

    Raises:
        BagError: for what is no recording at all, with what to do instead; what is one and cannot be read is
            a flaw.
        OSError: where it may not be looked at, or there is no room to decompress it.
    """
    if not path.exists():
        raise BagError(f"{place(path)}: there is no such bag")
    bag = Bag(path)
    if path.is_dir():
        _open_folder(bag, stack, known)
    else:
        _refuse_others(path)
        _open_file(bag, path, stack, known)
    return bag


def _open_folder(bag: Bag, stack: ExitStack, known: Collection[Identity]) -> None:
    folder = bag.path
    entries = sorted(folder.iterdir())
    there = list(filter(_is_storage, entries))
    description = folder / metadata_file.NAME
    if not there and not description.exists() and (folder / DATASET).exists():
        _open_dataset(bag, stack)
        return
    why = "it has no metadata.yaml"
    if description.is_file():
        try:
            bag.metadata = metadata_file.read(description)
        except Unreadable as error:
            why = f"of its metadata.yaml {error}"
    files = there
    if bag.metadata is not None:
        files = _announced_files(bag, there)
    elif there:
        bag.notes.append(f"{folder}: its files are read one by one, because {why}")
        for path in entries:
            if _has_name_of_storage(path) and not path.is_dir() and not path.is_file():
                said = f"is a link that leads nowhere, to {os.readlink(path)}" if path.is_symlink() else "is no file"
                bag.flaws.append((path, Flaw(f"cannot be read: it {said}", None, None, 0)))
    if not there:
        raise BagError(f"{folder}: {_what_else(folder, description)}")
    for file in files:
        _open_file(bag, file, stack, known)


def _open_dataset(bag: Bag, stack: ExitStack) -> None:
    try:
        from vjepa_ros.recordings.lerobot_dataset import LerobotDataset  # here, because an extra brings what it needs
    except ImportError as error:
        raise BagError(
            f"{place(bag.path)}: is a LeRobotDataset, and these need the packages pyarrow and av ({error}): install "
            "them, or the package with its extra `lerobot`"
        ) from error
    try:
        storage = LerobotDataset(bag.path)
    except Unreadable as error:
        raise BagError(f"{place(bag.path)}: {error}") from error
    stack.callback(storage.close)
    bag.storages.append(storage)


def _announced_files(bag: Bag, there: list[Path]) -> list[Path]:
    """The files that the metadata names; where one is not there, those too that it does not name."""
    assert bag.metadata is not None
    files, missing = [], []
    for name in bag.metadata.files:
        plain = name.removesuffix(zstd_bag.SUFFIX)
        found = next((p for n in (name, plain, f"{plain}{zstd_bag.SUFFIX}") if (p := bag.path / n).is_file()), None)
        if found is None:
            missing.append(name)
        elif found not in files:
            files.append(found)
    others = [path for path in there if path not in files]
    for name in missing:
        count = bag.metadata.file_counts.get(name)
        bag.flaws.append((bag.path / name, Flaw("is not there, and metadata.yaml names it", None, count, 0)))
    if others and (missing or not files):
        bag.notes.append(f"{bag.path}: {listed(p.name for p in others)} is read, which metadata.yaml does not name")
        files += others
    elif others:
        bag.notes.append(f"{bag.path}: {listed(p.name for p in others)} is not read: metadata.yaml does not name it")
    return files


def _open_file(bag: Bag, path: Path, stack: ExitStack, known: Collection[Identity]) -> None:
    status = path.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in known or identity in bag.identities:
        bag.notes.append(f"{path}: was given twice, and is read once")
        if bag.metadata is not None:  # which counts it
            bag.metadata = replace(bag.metadata, counts={}, total=None)
        return
    bag.identities.append(identity)
    try:
        bag.storages.append(_storage(path, stack))
    except Unreadable as error:
        count = None if bag.metadata is None else bag.metadata.file_counts.get(path.name)
        bag.flaws.append((path, Flaw(f"cannot be read: {error}", None, count, 0)))


def _storage(path: Path, stack: ExitStack) -> Storage:
    """Open a file of messages as what its first bytes say that it is.

    Raises:
        Unreadable: where nothing can be read of it.
        OSError: where there is no room to decompress it.
    """
    file, whole, magic = path, True, _first_bytes(path)
    if magic.startswith(ZSTD_MAGIC) or path.suffix == zstd_bag.SUFFIX:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="vjepa_ros_")))
        file, whole = zstd_bag.unpack(path, folder)
        magic = _first_bytes(file)
    storage: Storage
    is_mcap = magic.startswith(MCAP_MAGIC) or (file.suffix == ".mcap" and not magic.startswith(SQLITE_MAGIC))
    if is_mcap:
        storage = McapFile(file, path)
    elif not whole:
        raise Unreadable("it was cut off")
    else:
        storage = SqliteFile(file, path)
    stack.callback(storage.close)
    if not whole and not storage.flaws:
        storage.flaw(Flaw("was cut off behind its last message", frozenset()))
    return storage


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _is_storage(path: Path) -> bool:
    """Whether it is a file of messages, and none that another system keeps beside one (``._name``); one that lies there
    decompressed too is not counted twice."""
    if not _has_name_of_storage(path) or not path.is_file():
        return False
    return path.suffix != zstd_bag.SUFFIX or not path.with_suffix("").exists()


def _has_name_of_storage(path: Path) -> bool:
    plain = path.with_suffix("") if path.suffix == zstd_bag.SUFFIX else path
    return plain.suffix in SUFFIXES and not path.name.startswith(".")


def _refuse_others(path: Path) -> None:
    """Refuse a file that is no storage, saying what to do instead."""
    if path.name == metadata_file.NAME:
        raise BagError(f"{path}: describes a bag and holds no messages: give its folder, {path.parent}")
    if not stat.S_ISREG(path.stat().st_mode):
        raise BagError(f"{path}: is neither a folder nor a file")
    dataset = next((folder for folder in path.parents if (folder / DATASET).exists()), None)
    if dataset is not None and path.suffix in _OF_A_DATASET:
        raise BagError(f"{place(path)}: is a part of a LeRobotDataset: give its folder, {place(dataset)}")
    if _first_bytes(path).startswith(_ROS1_MAGIC):
        raise BagError(f"{path}: {_ROS1}")
    plain = path.with_suffix("") if path.suffix == zstd_bag.SUFFIX else path
    known = (MCAP_MAGIC, SQLITE_MAGIC, ZSTD_MAGIC)
    if plain.suffix not in SUFFIXES and not any(map(_first_bytes(path).startswith, known)):
        raise BagError(f"{path}: is neither an .mcap nor a .db3 file, nor a folder with such files")


def _what_else(folder: Path, description: Path) -> str:
    """What a folder without files of messages is."""
    entries = sorted(folder.iterdir())
    bags = [entry.name for entry in entries if entry.is_dir() and any(map(_is_storage, _entries(entry)))]
    if bags:
        return f"holds bags and is none: give one of them, or several that are one recording: {listed(bags)}"
    datasets = [entry.name for entry in entries if (entry / DATASET).exists()]
    if datasets:
        return f"holds datasets and is none: give one of them: {listed(datasets)}"
    if any(entry.is_file() and _first_bytes(entry).startswith(_ROS1_MAGIC) for entry in entries):
        return f"what lies in it {_ROS1}"
    if description.exists():
        return "holds a metadata.yaml and none of the files that it names"
    return "holds neither a metadata.yaml nor .mcap or .db3 files, nor a LeRobotDataset's meta/info.json"


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # one that may not be entered
        return []
