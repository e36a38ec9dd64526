# Sourced, with `root` the folder of a checkout and `venv` that of its .venv: sets what the Python in there needs. Whatever is
# written on the way (logs, caches, temporary files) stays inside of the checkout.
if grep -q '^include-system-site-packages = true' "$venv/pyvenv.cfg"; then
    # A sourced ROS: its variables stay, the checkout comes first. tools/setup.sh writes down what that ROS does not
    # set for a Python other than its own.
    if [ -f "$venv/ros.sh" ]; then source "$venv/ros.sh"; fi
    export PYTHONPATH="$root:$root/test${PYTHONPATH:+:$PYTHONPATH}"
else
    # The ROS wheels: nothing of another ROS or another environment with such wheels may be mixed in.
    unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH AMENT_PREFIX_PATH ROS_DISTRO
    export PYTHONPATH="$root:$root/test" RMW_IMPLEMENTATION=rmw_fastrtps_cpp
fi
# Without kept bytecode each process would compile the whole package first: 0.4 s for a node.
unset PYTHONHOME PYTHONDONTWRITEBYTECODE
mkdir -p "$root/build/tmp" "$root/log/ros"
export PYTHONNOUSERSITE=1 TMPDIR="$root/build/tmp" XDG_CACHE_HOME="$root/build/cache" ROS_LOG_DIR="$root/log/ros"
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
