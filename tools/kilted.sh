#!/usr/bin/env bash
# The package on ROS 2 Kilted, in short: the set-up of .venv-kilted, of which all but the ROS wheels is .venv's, and those
# tests that show most of what a node does on a graph. `make test ROS=kilted` runs all of them.
#
#     tools/kilted.sh [arguments of pytest instead of the short selection]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export VJEPA_ROS_DISTRO=kilted
if [ $# -eq 0 ]; then
    set -- -q test/ros/test_lifecycle.py test/ros/test_windows.py test/ros/test_live_parameters.py test/ros/test_security_policy.py
fi
SECONDS=0
tools/setup.sh
tools/run.sh -m pytest "$@"
printf 'Kilted: all is well, after %d s\n' "$SECONDS"
