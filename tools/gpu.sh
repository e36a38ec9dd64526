#!/usr/bin/env bash
# What only a GPU shows, on a machine with torch and no ROS, or by `make gpu` on any other:
#   tools/gpu.sh [PART ...] [-o FOLDER]       PYTHON=python3 chooses which Python
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD:$PWD/test${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
exec "${PYTHON:-python3}" -m benchmarks.gpu "$@"
