#!/usr/bin/env bash
# Makes .venv, the virtual environment of this checkout, unless it is there and up to date: a fitting Python, ROS 2 (the
# sourced one where its rclpy can be imported, else the Jazzy wheels), requirements/, and the commands in .venv/bin.
# Nothing is written outside of the checkout. PYTHON=... names the Python to use. With VJEPA_ROS_DISTRO=kilted it makes
# .venv-kilted beside it, with the wheels of ROS 2 Kilted, whatever is sourced.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

distro=${VJEPA_ROS_DISTRO:-jazzy} venv=.venv
if [ "$distro" != jazzy ]; then venv=.venv-$distro; fi
stamp="$venv/set-up" # what the environment was made from; written last, so that an interrupted set-up does not count
fail() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

case $distro in
    jazzy) ;;
    kilted) unset AMENT_PREFIX_PATH PYTHONPATH LD_LIBRARY_PATH ROS_DISTRO ;; # its wheels, and nothing of what is sourced
    *) fail "there are wheels for ROS=jazzy and ROS=kilted, not for ROS=$distro." ;;
esac

exec 9<.  # two set-ups of one checkout wait for each other; the kernel drops the lock with the process
if command -v flock >/dev/null; then flock 9; fi

# What another virtual environment with ROS wheels exports would make a python here load that one's libraries.
if [ -n "${_ROS_WHEELS_BOOTSTRAP_COMPLETE:-}" ]; then unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH; fi
export PYTHONNOUSERSITE=1
unset PYTHONHOME

# --- Which Python, and which ROS -------------------------------------------------------------------------------------
# Prints the interpreter behind $1 (behind a shim or a virtual environment), "" where it has no venv module; fails where
# it does not run or is none of 3.10, 3.11, 3.12.
interpreter_behind() {
    "$1" -I -c '
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 12):
    sys.exit(1)
try:
    import ensurepip, venv
    print(getattr(sys, "_base_executable", None) or sys.executable)
except ImportError:
    print("")
' 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
    candidates=("$PYTHON")
else
    candidates=(python3 python3.12 python3.11 python3.10 /usr/bin/python3)
    made_with=$(sed -n 's/^python //p' "$stamp" 2>/dev/null || true)
    if [ -n "$made_with" ]; then candidates=("$made_with" "${candidates[@]}"); fi
fi

python="" ros=wheels without_venv=""
for candidate in "${candidates[@]}"; do
    behind=$(interpreter_behind "$candidate") || continue
    if [ -z "$behind" ]; then without_venv=${without_venv:-$candidate}; continue; fi
    python=${python:-$behind}
    if [ -z "${AMENT_PREFIX_PATH:-}" ]; then break; fi  # no ROS is sourced: the first that fits
    # The interpreter behind it first; a virtual environment with a ROS of its own is taken as it is.
    for one in "$behind" "$candidate"; do
        if "$one" -c 'import rclpy' 2>/dev/null; then python=$one ros=${ROS_DISTRO:-sourced}; break 2; fi
    done
done
if [ -z "$python" ] && [ -n "$without_venv" ]; then
    fail "$without_venv lacks the venv module: install it (Debian and Ubuntu: the package python3-venv), then try again."
elif [ -z "$python" ]; then
    fail "no Python 3.10, 3.11 or 3.12 among: ${candidates[*]}. Install one, or name it: make PYTHON=/path/to/python3.12 ..."
fi

# What the system has of these stays as it is: the sourced ROS was compiled against its numpy, and the plugins of
# launch_testing fit its pytest. One line each: what pip calls it, ==, its version.
packages_of_the_system() {
    "$python" -c '
from importlib import import_module, metadata
from importlib.util import find_spec
opencv = [f"opencv-{kind}" for kind in ("python-headless", "python", "contrib-python-headless", "contrib-python")]
for module, names in (("numpy", ["numpy"]), ("cv2", opencv), ("yaml", ["PyYAML"]), ("pytest", ["pytest"])):
    if find_spec(module) is None:
        continue
    version = None
    for name in names:
        try:
            version = version or metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    version = version or import_module(module).__version__  # apt does not say that cv2 is one of these
    if module == "pytest" and not 7 <= int(version.split(".")[0]) < 9:
        continue  # too old for the tests, or too new for launch_testing
    for name in names:
        print(f"{name}=={version}")
'
}

# --- Is the environment there already? -------------------------------------------------------------------------------
system=""
if [ "$ros" != wheels ]; then system=$(packages_of_the_system); fi
wanted="ros $ros
python $python
system $(echo $system)
files $(cat requirements/*.txt tools/setup.sh | sha256sum | cut -d ' ' -f 1)"
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    tools/commands.sh "$venv/bin" # there may be others since
    exit 0
fi
if [ -e "$venv" ] && [ ! -e "$stamp" ]; then fail "$venv is there, but was not made by this script: move it away."; fi

# --- Make it ---------------------------------------------------------------------------------------------------------
SECONDS=0
version=$("$python" -c 'import platform; print(platform.python_version())')
printf 'set-up 1/4: %s with Python %s (%s)\n' "$venv" "$version" "$python"
rm -rf "$venv"
mkdir -p "$venv/tmp"
echo unfinished > "$stamp"
export TMPDIR="$PWD/$venv/tmp" # pip unpacks here what may be too much for a small /tmp

requirements=(-r requirements/dev.txt)
if [ "$ros" = wheels ]; then
    unset PYTHONPATH LD_LIBRARY_PATH AMENT_PREFIX_PATH # of a sourced ROS that this Python cannot use
    if [ "$venv" != .venv ] && [ "$(cat .venv/set-up 2>/dev/null)" = "$wanted" ]; then
        # All but the ROS wheels is the same: a copy by links, of which pip replaces what differs, and writes into none.
        rm -rf "$venv"
        cp -al .venv "$venv"
        rm -f "$stamp" "$venv"/{pip.log,constraints.txt} && echo unfinished > "$stamp"
        mkdir -p "$venv/tmp"
        copied=yes
    else
        "$python" -m venv "$venv"
    fi
    requirements+=(-r "requirements/ros-$distro.txt" -r requirements/pinocchio.txt)
    cp requirements/constraints.txt "$venv/constraints.txt"
    if [ "$distro" != jazzy ]; then # packages of the same names, in other versions
        grep -v '^ros-' requirements/constraints.txt | cat - "requirements/constraints-$distro.txt" > "$venv/constraints.txt"
    fi
    origin="the ROS 2 ${distro^} wheels"
else
    "$python" -m venv --system-site-packages "$venv"
    # The packages of a virtual environment are not among those that one made from it sees.
    "$venv/bin/python" -c '
import sys, sysconfig
folder = sys.argv[1]
if folder not in sys.path:
    with open(sysconfig.get_path("purelib") + "/of_the_system.pth", "w") as file:
        file.write(f"import site; site.addsitedir({folder!r})\n")
' "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    # The ROS wheels set this for the environment that they lie in, and for no other.
    libraries=$("$python" -c 'import os; print(os.environ.get("LD_LIBRARY_PATH", ""))')
    if [ "$libraries" != "${LD_LIBRARY_PATH:-}" ]; then
        printf 'export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1 LD_LIBRARY_PATH=%q\n' "$libraries" > "$venv/ros.sh"
    fi
    names=$(sed 's/==.*//' <<< "$system" | paste -s -d '|')
    # What colcon takes of pytest's plugins is pinned to fit the pinned pytest.
    if grep -q '^pytest==' <<< "$system"; then names+='|pytest-cov|pytest-repeat|pytest-rerunfailures'; fi
    grep -viE "^(${names:-none})(==|\$)" requirements/constraints.txt > "$venv/constraints.txt"
    cat >> "$venv/constraints.txt" <<< "$system"
    # Not asked for: pip would not find it where apt does not say which of the four it is.
    if grep -q '^opencv' <<< "$system"; then grep -v '^opencv' requirements/dev.txt; else cat requirements/dev.txt; fi > "$venv/dev.txt"
    requirements=(-r "$venv/dev.txt")
    origin="the sourced ROS 2 ($ros)"
fi

# As variables, not as options: pip starts further ones to build a package. Its cache would lie in the user's home.
export PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0
pip_install() {
    "$venv/bin/python" -m pip install --progress-bar off "$@" >> "$venv/pip.log" 2>&1 || {
        tail -n 20 "$venv/pip.log" >&2
        fail "pip failed; the whole log is $venv/pip.log"
    }
}
printf 'set-up 2/4: packages, next to %s: some minutes, about 2 GB\n' "$origin"
if [ -n "${copied:-}" ]; then
    "$venv/bin/python" -m pip freeze | grep -o '^ros-[^=]*' | xargs "$venv/bin/python" -m pip uninstall --yes >> "$venv/pip.log"
fi
pip_install -c "$venv/constraints.txt" "${requirements[@]}"
printf 'set-up 3/4: the reference implementation for the tests\n'
pip_install --no-deps -r requirements/reference.txt

printf 'set-up 4/4: does it run?\n'
if [ "$ros" != wheels ] && [ "$(python="$venv/bin/python"; packages_of_the_system)" != "$system" ]; then
    fail "pip has installed others next to the system's packages, which must stay as they are: $(echo $system)"
fi
tools/run.sh -c '
import cv2, numpy, rclpy, torch, yaml
import diagnostic_msgs.msg, geometry_msgs.msg, lifecycle_msgs.msg, sensor_msgs.msg, std_msgs.msg, std_srvs.srv, trajectory_msgs.msg
rclpy.init()
middleware = rclpy.get_rmw_implementation_identifier()
rclpy.shutdown()
print(f"            {middleware}, torch {torch.__version__}, numpy {numpy.__version__}, OpenCV {cv2.__version__}")
if torch.version.cuda:
    print("            pip found no CPU build of torch and took a CUDA build of several GB, which works as well. To have the")
    print("            small one, let pip see it (PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS), then: make clean setup")
' || fail "the new environment does not run (see above)."

tools/commands.sh "$venv/bin"
rm -rf "$TMPDIR"
printf '%s\n' "$wanted" > "$stamp"
printf 'set-up done in %d s\n' "$SECONDS"
