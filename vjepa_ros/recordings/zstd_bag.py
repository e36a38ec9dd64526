"""rosbag2's own compression, whether or not a metadata.yaml says that it was used: of whole files, and message by
message.

It knows zstd, which is all that rosbag2 has, and neither storages nor messages.
"""

from __future__ import annotations

from pathlib import Path

from vjepa_ros.recordings.expanding import ZSTD_MAGIC, expand, zstd
from vjepa_ros.recordings.storage import MOST_MESSAGE_BYTES, Unreadable

SUFFIX = ".zstd"
MOST_FILE_BYTES = 2**30
MOST_FILE_RATIO = 200
"""What a file may decompress to: that many bytes, or that many times its size where this is more. Recordings shrink to
a tenth, those of a camera that sees nothing to a hundredth."""
_READ_BYTES = 2**20
_WRITE_BYTES = 2**24


def message(data: bytes) -> bytes:
    """A serialised message, decompressed if it is compressed.

    The first byte of a message in CDR, the only serialisation of ROS 2, is 0 whatever its representation, so that none
    begins as zstd does.

    Raises:
        ExpandError: where it is damaged, or too large.
    """
    return expand(data, "zstd", MOST_MESSAGE_BYTES) if data[:4] == ZSTD_MAGIC else data


def unpack(path: Path, folder: Path) -> tuple[Path, bool]:
    """Decompress ``NAME.zstd`` to ``NAME`` in a folder.

    Returns:
        The new file, and whether the old one was whole: of one that was cut or is damaged further on, the new file has
        what comes before.

    Raises:
        Unreadable: where it is damaged from its start, or becomes too large.
        OSError: where the disk is full or fails.
    """
    out, written, decompressor = folder / path.stem, 0, zstd.ZstdDecompressor()
    most = max(MOST_FILE_BYTES, MOST_FILE_RATIO * path.stat().st_size)
    with path.open("rb") as compressed, out.open("wb") as file:
        block = compressed.read(_READ_BYTES)
        while block or not (decompressor.needs_input or decompressor.eof):
            if decompressor.eof:  # a file may be several of these in a row
                decompressor = zstd.ZstdDecompressor()
            try:
                part = decompressor.decompress(block, _WRITE_BYTES)
            except zstd.ZstdError as error:
                if written:
                    return out, False
                raise Unreadable("its compressed data is damaged") from error
            written += len(part)
            if written > most:
                raise Unreadable(f"it decompresses to more than {most:,} bytes, which no recording of its size does")
            file.write(part)
            if decompressor.eof:
                block = decompressor.unused_data or compressed.read(_READ_BYTES)
            else:
                block = compressed.read(_READ_BYTES) if decompressor.needs_input else b""
    return out, decompressor.eof
