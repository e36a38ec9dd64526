"""rosbag2's own compression, where no metadata.yaml says that it was used: of whole files, and message by message.

It knows zstd, which is all that rosbag2 has, and neither storages nor messages.
"""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd  # rosbags brings it

SUFFIX = ".zstd"
ZstdError = zstd.ZstdError
_MAGIC = b"\x28\xb5\x2f\xfd"
_READ_BYTES = 2**20


def message(data: bytes) -> bytes:
    """A serialised message, decompressed if it is compressed.

    The first byte of a message in CDR, the only serialisation of ROS 2, is 0 whatever its representation, so that none
    begins as zstd does.

    Raises:
        ZstdError: where it is damaged.
    """
    return zstd.decompress(data) if data[:4] == _MAGIC else data


def unpack(path: Path, folder: Path) -> tuple[Path, bool]:
    """Decompress ``NAME.zstd`` to ``NAME`` in a folder.

    Returns:
        The new file, and whether the old one was whole: of one that was cut, the new file has what comes before.

    Raises:
        ZstdError: where it is damaged.
        OSError: where the disk is full or fails.
    """
    out = folder / path.stem
    with path.open("rb") as compressed, out.open("wb") as file:
        decompressor = zstd.ZstdDecompressor()
        while block := compressed.read(_READ_BYTES):
            while block:
                if decompressor.eof:  # a file may be several of these in a row
                    decompressor = zstd.ZstdDecompressor()
                file.write(decompressor.decompress(block))
                block = decompressor.unused_data if decompressor.eof else b""
    return out, decompressor.eof
