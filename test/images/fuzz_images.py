"""``fuzz_images.py SEED COUNT``: damaged files through the decoder; a crash, or anything but InputError, ends it badly.

What became of them stands as JSON in the last line. A process of its own: what it looks for ends processes.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from support.hostile_images import damaged

from vjepa_ros.errors import InputError
from vjepa_ros.images.compressed import decode_compressed


def main(seed: int, count: int) -> None:
    """Decode as many; print what became of them."""
    outcomes: Counter[str] = Counter()
    slowest_s = 0.0
    for file in damaged(seed, count):
        began_s = time.process_time()
        try:
            pixels = decode_compressed("jpeg", file)
            assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
            outcomes["decoded"] += 1
        except InputError as error:
            outcomes[error.reason] += 1
        slowest_s = max(slowest_s, time.process_time() - began_s)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak_mb = int(status.split("VmHWM:")[1].split()[0]) / 1e3
    print(json.dumps({"outcomes": outcomes, "slowest_ms": round(slowest_s * 1e3, 1), "peak_mb": round(peak_mb)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
