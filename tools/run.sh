#!/usr/bin/env bash
# Runs the Python of .venv with what the demo and the tests need in the environment: tools/run.sh FILE|-m MODULE|-c CODE ...
# Whatever is written on the way (logs, caches, temporary files) stays inside of the checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if grep -q '^include-system-site-packages = true' .venv/pyvenv.cfg; then
    # A sourced ROS: its variables stay, the checkout comes first.
    export PYTHONPATH="$PWD:$PWD/test${PYTHONPATH:+:$PYTHONPATH}"
else
    # The ROS wheels: nothing of another ROS or another environment with such wheels may be mixed in.
    unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH AMENT_PREFIX_PATH ROS_DISTRO
    export PYTHONPATH="$PWD:$PWD/test" RMW_IMPLEMENTATION=rmw_fastrtps_cpp
fi
unset PYTHONHOME
mkdir -p build/tmp log/ros
export PYTHONNOUSERSITE=1 TMPDIR="$PWD/build/tmp" XDG_CACHE_HOME="$PWD/build/cache" ROS_LOG_DIR="$PWD/log/ros"
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
exec "$PWD/.venv/bin/python" "$@"
