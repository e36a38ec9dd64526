"""cv_bridge: the real one against our own decoding where it is installed, and stand-ins for what can be wrong with it.

The stand-ins are small packages of that name; a child process and this one import them as they would the real one.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import Image

from vjepa_ros.errors import InputError
from vjepa_ros.images import bridge
from vjepa_ros.images.raw import decode_raw

# What every cv_bridge since Humble converts to rgb8; of 8UC1 and the like it says that they are no colours.
COMMON = [f"{order}{bits}" for order in ("rgb", "bgr", "rgba", "bgra", "mono") for bits in (8, 16)]
COMMON += [f"bayer_{pattern}{bits}" for pattern in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)]
COMMON += ["yuv422", "yuv422_yuy2"]


def image(encoding: str, values: np.ndarray, padding: int = 0, is_bigendian: bool = False) -> Image:
    """A message with these rows of values, each with some bytes of rubbish at its end."""
    message = Image(encoding=encoding, height=values.shape[0], width=values.shape[1], is_bigendian=is_bigendian)
    rows = [row.tobytes() + b"\xa5" * padding for row in values]
    message.step = len(rows[0])
    message.data.frombytes(b"".join(rows))
    return message


def ours(message: Image) -> np.ndarray:
    m = message
    return decode_raw(m.encoding, m.height, m.width, m.step, bool(m.is_bigendian), m.data)


def test_ours_equals_cv_bridge() -> None:
    if importlib.util.find_spec("cv_bridge") is None:
        pytest.importorskip("cv_bridge")
    theirs, problem = bridge._bridge()
    assert theirs is not None, problem  # installed, but broken
    for encoding in COMMON:
        dtype, channels = theirs.encoding_to_dtype_with_channels(encoding)
        shape = (14, 18) if channels == 1 else (14, 18, channels)
        values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        for padding in (0, values[0, 0].nbytes * 3):  # whole pixels: anything else it gets wrong
            message = image(encoding, values, padding)
            want = theirs.imgmsg_to_cv2(message, "rgb8")
            # The OpenCV that it was built with may be another one, and round another way.
            np.testing.assert_allclose(ours(message).astype(int), want.astype(int), atol=1, err_msg=encoding)
            np.testing.assert_array_equal(bridge.decode(message), want, err_msg=encoding)
        swapped = image(encoding, values.byteswap(), 1, is_bigendian=True)
        np.testing.assert_allclose(bridge.decode(swapped).astype(int), ours(swapped).astype(int), atol=1)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a package cv_bridge that is found before any other, by this process and its children."""
    package = tmp_path / "cv_bridge"
    (package / "boost").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "boost" / "__init__.py").touch()
    (package / "boost" / "cv_bridge_boost.py").write_text("__file__ = 'cv_bridge_boost.so'", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "cv_bridge"}
    for name in before:
        del sys.modules[name]
    bridge._bridge.cache_clear()
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == "cv_bridge"]:
        del sys.modules[name]
    sys.modules.update(before)
    bridge._bridge.cache_clear()


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import os\nos.abort()", "cannot be used: .*(exit status -6|Aborted)"),
        ("raise ImportError('numpy.core.multiarray failed to import')", "cannot be used: .*multiarray failed"),
        ("class CvBridge: pass", "cannot be used: .*no attribute 'imgmsg_to_cv2'"),
    ],
)
def test_one_that_is_broken_takes_nothing_down_and_is_named(stand_in: Path, source: str, problem: str) -> None:
    (stand_in / "__init__.py").write_text(source, encoding="utf-8")
    message = image("yuv_of_mars", np.zeros((2, 2), np.uint8))
    for _ in range(2):
        with pytest.raises(InputError, match=problem) as caught:
            bridge.decode(message)
        assert caught.value.reason == "unknown_encoding"


@pytest.mark.parametrize("place", ["", "."])
def test_a_file_of_that_name_in_the_working_folder_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Neither in the trial nor in this process: whoever may write there could run code in the node."""
    ran = tmp_path / "ran"
    (tmp_path / "cv_bridge.py").write_text(f"open({str(ran)!r}, 'w')\nclass CvBridge: pass\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(place and str(tmp_path))  # as python -c and python -m have it
    monkeypatch.delitem(sys.modules, "cv_bridge", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    bridge._bridge.cache_clear()
    try:
        with pytest.raises(InputError, match="cv_bridge cannot be used"):
            bridge.decode(image("yuv_of_mars", np.zeros((2, 2), np.uint8)))
    finally:
        bridge._bridge.cache_clear()
    assert not ran.exists()


def test_one_before_the_real_one_is_not_used(stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (stand_in / "__init__.py").write_text(WORKING, encoding="utf-8")
    here = tmp_path / "here"
    here.mkdir()
    (here / "cv_bridge.py").write_text("raise SystemExit", encoding="utf-8")
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))
    with pytest.raises(InputError, match=f"{here}/cv_bridge.py stands before {stand_in}"):
        bridge.decode(image("wide16", np.zeros((2, 3, 2), np.uint16)))


def test_the_port_to_plain_python_is_not_used(stand_in: Path) -> None:
    (stand_in / "__init__.py").write_text("class CvBridge: pass", encoding="utf-8")
    (stand_in / "boost" / "cv_bridge_boost.py").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="not the one of ROS 2"):
        bridge.decode(image("yuv_of_mars", np.zeros((2, 2), np.uint8)))


# It knows bgr8; "wide16", two values of 16 bits a pixel, of which it shows the upper bytes and their sum; and "flat8",
# which stays as it is. It reads rows without padding, in this machine's byte order.
WORKING = """
import numpy as np
class CvBridge:
    def encoding_to_dtype_with_channels(self, encoding):
        if encoding not in ("bgr8", "wide16", "flat8"):
            raise TypeError(f"Unrecognized image encoding [{encoding}]")
        return {"bgr8": ("uint8", 3), "wide16": ("uint16", 2), "flat8": ("uint8", 1)}[encoding]
    def imgmsg_to_cv2(self, message, desired_encoding):
        assert desired_encoding == "rgb8" and not message.is_bigendian
        dtype, channels = self.encoding_to_dtype_with_channels(message.encoding)
        pixels = np.ndarray((message.height, message.width, channels), dtype, buffer=message.data)
        if message.encoding == "flat8":
            return pixels[..., 0]
        if message.encoding == "bgr8":
            return pixels[..., ::-1]
        a, b = pixels[..., 0] >> 8, pixels[..., 1] >> 8
        return np.stack([a, b, a + b], axis=-1).astype(np.uint8)
"""


@pytest.mark.parametrize("padding", [0, 1, 4, 50])
@pytest.mark.parametrize("is_bigendian", [False, True])
def test_it_gets_messages_that_it_understands(stand_in: Path, padding: int, is_bigendian: bool) -> None:
    (stand_in / "__init__.py").write_text(WORKING, encoding="utf-8")
    number = np.arange(12).reshape(2, 3, 2)
    values = (number * 256 + 77).astype(">u2" if is_bigendian else "<u2")
    got = bridge.decode(image("wide16", values, padding, is_bigendian))
    np.testing.assert_array_equal(got, np.stack([number[..., 0], number[..., 1], number.sum(-1)], axis=-1))


@pytest.mark.parametrize(
    ("encoding", "change", "reason", "detail"),
    [
        ("yuv_of_mars", {}, "unknown_encoding", r"cv_bridge: 'Unrecognized image encoding \[yuv_of_mars\]"),
        ("flat8", {}, "unknown_encoding", r"cv_bridge gives \(2, 3\) uint8"),
        ("wide16", {"step": 11}, "bad_layout", "step 11"),
        ("wide16", {"height": 3}, "bad_layout", "24 bytes of data"),
        ("wide16", {"height": 0}, "bad_layout", "3x0 px"),
        ("wide16", {"width": 0}, "bad_layout", "0x2 px"),
    ],
)
def test_what_it_cannot_use_is_an_input_error(
    stand_in: Path, encoding: str, change: dict[str, int], reason: str, detail: str
) -> None:
    (stand_in / "__init__.py").write_text(WORKING, encoding="utf-8")
    message = image(encoding, np.zeros((2, 3, 2), np.uint16))
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(InputError, match=detail) as caught:
        bridge.decode(message)
    assert caught.value.reason == reason
