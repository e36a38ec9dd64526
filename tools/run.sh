#!/usr/bin/env bash
# Runs the Python of .venv with what the demo and the tests need in the environment: tools/run.sh FILE|-m MODULE|-c CODE ...
# With VJEPA_ROS_DISTRO=kilted it is that of .venv-kilted, which `make setup ROS=kilted` makes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD venv=$PWD/.venv
if [ "${VJEPA_ROS_DISTRO:-jazzy}" != jazzy ]; then venv+=-$VJEPA_ROS_DISTRO; fi
source tools/environment.sh
exec "$venv/bin/python" "$@"
