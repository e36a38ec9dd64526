#!/usr/bin/env bash
# Holds the set-up and the tests to what a robot with Ubuntu 24.04 and ROS 2 Jazzy has, on a machine without either: a
# Python with the versions of requirements/ubuntu-24.04.txt and the ROS wheels stands in for the system's, as if that ROS
# were sourced, and a copy of the checkout is set up next to it.
#
#     tools/robot_standin.sh [--model yes|no|auto] [PYTHON] [-- arguments of pytest instead of the short selection]
#
# PYTHON is 3.10 to 3.12, by default the one that .venv was made with. Where pip has no small CPU build of torch for it,
# `auto` leaves the model out, and with it `make setup`: what the system itself has is then tested as it is. Everything
# is written to build/robot of the checkout. It takes about four minutes with the model, one without.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

model=auto python="" tests=()
while [ $# -gt 0 ]; do
    case $1 in
        --model) model=$2; shift ;;
        --) shift; tests=("$@"); break ;;
        *) python=$1 ;;
    esac
    shift
done
if [ -z "$python" ]; then python=$(sed -n 's/^python //p' .venv/set-up); fi
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH ROS_DISTRO
export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1

version=$("$python" -c 'import platform; print(platform.python_version())')
folder=$PWD/build/robot/$version
say() { printf 'stand-in for a robot, Python %s: %s\n' "$version" "$*"; }
pip_install() {
    "$system" -m pip install --no-cache-dir --progress-bar off "$@" >> "$folder/pip.log" 2>&1 || {
        tail -n 20 "$folder/pip.log" >&2
        exit 1
    }
}
SECONDS=0

# --- What stands in for the system -----------------------------------------------------------------------------------
say "numpy, OpenCV, PyYAML and pytest of Ubuntu 24.04, and the ROS 2 Jazzy wheels"
rm -rf "$folder"
mkdir -p "$folder/checkout" "$folder/tmp"
export TMPDIR=$folder/tmp
"$python" -m venv "$folder/system"
system=$folder/system/bin/python
grep -E '^(ros-|empy|lark)' requirements/constraints.txt > "$folder/constraints.txt"
requirements=(-r requirements/ubuntu-24.04.txt -r requirements/ros-jazzy.txt -c "$folder/constraints.txt")
pip_install "${requirements[@]}"
git ls-files -z --cached --others --exclude-standard -- . ':!.venv' | xargs -0 tar -cf - | tar -xf - -C "$folder/checkout"
cd "$folder/checkout"
# As a ROS that is sourced.
export AMENT_PREFIX_PATH=$folder/system ROS_DISTRO=jazzy

# Whether the torch that pip takes is the small one: the other brings CUDA, of several GB.
torch_is_small() {
    "$system" -m pip install --quiet --dry-run --no-deps --ignore-installed --report - \
        "$(grep '^torch==' requirements/constraints.txt)" 2>/dev/null | "$system" -c '
import json, sys
(torch,) = json.load(sys.stdin)["install"]
wanted = " ".join(torch["metadata"].get("requires_dist", []))
sys.exit("nvidia" in wanted or "cuda" in wanted)
'
}
if [ "$model" = auto ]; then
    if torch_is_small; then model=yes; else model=no; fi
fi

# --- The set-up and the tests ----------------------------------------------------------------------------------------
are_the_systems='
import cv2, numpy, pytest, yaml
found = (numpy.__version__, cv2.__version__, yaml.__version__, pytest.__version__)
assert found == ("1.26.4", "4.6.0", "6.0.1", "7.4.4"), found
'
short=(test/kinematics test/images/test_raw.py test/images/test_compressed.py test/images/test_bridge.py
    test/stream/test_actions.py test/stream/test_align.py test/stream/test_end_effector.py test/stream/test_intake.py
    test/stream/test_intake_images.py test/stream/test_window_jumps.py test/simulation/test_live_arm.py)
if [ "$model" = yes ]; then
    PYTHON=$system make --no-print-directory setup lint
    tools/run.sh -c "$are_the_systems"
    run=(tools/run.sh)
    everywhere=(test -q --collect-only -p support.launch_testing_hook)
    short=("${short[@]}" test/test_latents.py test/forecast/test_forecaster.py test/ros/test_windows.py
        test/ros/test_panda_sim.py test/ros/test_player_clock.py test/test_skip_policy.py)
else
    say "no small build of torch for it: what needs no model, without a set-up of its own"
    "$system" -c "$are_the_systems"
    pip_install -r requirements/ubuntu-24.04.txt hypothesis pytest-timeout 'rosbags>=0.11.7,<0.12'
    run=(env "PYTHONPATH=$PWD:$PWD/test" "$system")
    everywhere=(test/stream test/kinematics test/images -q --collect-only -p support.launch_testing_hook
        --ignore test/images/test_preprocess.py)
fi
if [ ${#tests[@]} -eq 0 ]; then
    say "does every test file import, as launch_testing's plugin has it? then a short selection"
    "${run[@]}" -m pytest "${everywhere[@]}" > "$folder/collected.txt" || { tail -n 40 "$folder/collected.txt"; exit 1; }
    tests=("${short[@]}" -q)
fi
"${run[@]}" -m pytest "${tests[@]}"
cd "$folder/../../.."
rm -rf "$folder"
say "all is well, after $SECONDS s"
