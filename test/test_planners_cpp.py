"""The C++ reader of docs/planners.md: its functions, compiled against stub headers, read what is written."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vjepa_ros import latents

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "planners.md").read_text(encoding="utf-8")
IMAGE = """
#pragma once
#include <cstdint>
#include <string>
#include <vector>
namespace sensor_msgs::msg {
struct Image {
  uint32_t height, width, step;
  uint8_t is_bigendian;
  std::string encoding;
  std::vector<uint8_t> data;
};
}
"""
MAIN = """
#include <cstdio>
#include <cstdlib>
int main(int, char ** argv) {  // height, width, step, is_bigendian, encoding, rows, cols; data in, values out
  sensor_msgs::msg::Image m;
  m.height = std::atoi(argv[1]), m.width = std::atoi(argv[2]), m.step = std::atoi(argv[3]);
  m.is_bigendian = std::atoi(argv[4]), m.encoding = argv[5];
  for (int byte; (byte = std::getchar()) != EOF;) m.data.push_back(static_cast<uint8_t>(byte));
  try {
    const Latents out = read_latents(m, std::atoi(argv[6]), std::atoi(argv[7]));
    for (size_t s = 0; s < out.steps; ++s)
      for (size_t r = 0; r < out.rows; ++r)
        for (size_t c = 0; c < out.cols; ++c)
          for (size_t d = 0; d < out.dim; ++d) {
            const float value = out.at(s, r, c, d);
            std::fwrite(&value, sizeof value, 1, stdout);
          }
  } catch (const std::runtime_error & error) {
    std::fputs(error.what(), stderr);
    return 3;
  }
}
"""

pytestmark = pytest.mark.compiler
Read = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Reads a message by the functions of the page, on a grid of 3 x 4."""
    folder = tmp_path_factory.mktemp("reader")
    (code,) = re.findall(r"^```cpp\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    functions, rest = code.split("\nclass Planner ")
    assert "half_to_float(" in functions and "read_latents(" in functions and "int main(" in rest
    for header in re.findall(r"#(?:include |if __has_include\()<([\w/]+\.(?:hpp|h))>", functions):
        (folder / header).parent.mkdir(parents=True, exist_ok=True)
        (folder / header).write_text(IMAGE if header == "sensor_msgs/msg/image.hpp" else "", encoding="utf-8")
    (folder / "reader.cpp").write_text(functions + MAIN, encoding="utf-8")
    strict = ("-std=c++17", "-Wall", "-Wextra", "-Werror")
    subprocess.run(["g++", *strict, "-I", folder, folder / "reader.cpp", "-o", folder / "reader"], check=True)

    def run(message: SimpleNamespace, rows: int = 3, cols: int = 4) -> subprocess.CompletedProcess[bytes]:
        fields = (message.height, message.width, message.step, int(message.is_bigendian), message.encoding, rows, cols)
        return subprocess.run([folder / "reader", *map(str, fields)], input=bytes(message.data), capture_output=True)

    return run


def written(array: np.ndarray) -> SimpleNamespace:
    empty = SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace()), data=b"")
    message: SimpleNamespace = latents.write(empty, latents.Latents(array, 7, "camera"))
    return message


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_it_reads_what_is_written(read: Read, dtype: type) -> None:
    array = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(dtype)
    done = read(written(array))
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.float32), array.astype(np.float32).ravel())


def test_every_half_that_is_finite(read: Read) -> None:
    """Zeros of both signs and the subnormal ones among them."""
    every = np.arange(65_536, dtype=np.uint16).view(np.float16)
    array = every[np.isfinite(every)].reshape(-1, 4, 4, 8)
    done = read(written(array), 4, 4)
    assert done.returncode == 0, done.stderr
    assert done.stdout == array.astype(np.float32).tobytes()


def test_what_is_not_latents_of_the_grid_is_refused(read: Read) -> None:
    array = np.zeros((2, 3, 4, 5), np.float32)
    good = vars(written(array))
    for change in (
        {"encoding": "rgb8"}, {"encoding": "16FC1"}, {"is_bigendian": not good["is_bigendian"]}, {"step": 24},
        {"data": bytes(good["data"])[:-4]}, {"height": 23}, {"rows": 5}, {"rows": 0}, {"cols": 0},
    ):  # fmt: skip
        grid = {name: change[name] for name in ("rows", "cols") if name in change}
        fields = {name: value for name, value in change.items() if name not in grid}
        done = read(SimpleNamespace(**{**good, **fields}), **grid)
        assert (done.returncode, done.stderr, done.stdout) == (3, b"not latents of this grid", b""), change
