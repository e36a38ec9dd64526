#!/usr/bin/env bash
# What `make tiny` does: trains the preset `tiny` from nothing, puts its weights into the package, and evaluates them
# (docs/models/tiny.md, docs/adr/0006-what-tiny-learns-from.md). Everything it goes through lies in build/tiny; called
# again it goes on where it was.
#
# A try, with fewer of everything, is told by TINY_VARIED, TINY_WIDE (episodes), TINY_VARIED_BAGS, TINY_WIDE_BAGS,
# TINY_ENCODER_STEPS and TINY_STEPS. It needs TINY_OUT, the folder that its weights go to: those of the package are of
# the recipe alone. TINY_FOLDER is where it works, TINY_GOALS how many goals are evaluated (0 for none).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

set_ones=(${!TINY_VARIED*} ${!TINY_WIDE*} ${!TINY_ENCODER_STEPS*} ${!TINY_STEPS*})
if [ "${#set_ones[@]}" != 0 ] && [ -z "${TINY_OUT:-}" ]; then
    echo "tools/tiny.sh: ${set_ones[*]} make this a try, whose weights do not go into the package: set TINY_OUT" >&2
    exit 2
fi
folder=${TINY_FOLDER:-build/tiny}
if [ "${#set_ones[@]}" != 0 ]; then folder=${TINY_FOLDER:-build/tiny-try}; fi
out=${TINY_OUT:-vjepa_ros/weights}
mkdir -p "$folder" "$out"

simulate() {  # variation, seed, episodes, bags; the shell becomes the command
    exec tools/run.sh tools/simulate_once.py --variation "$1" --seed "$2" --episodes "$3" --bags "$4" -o "$folder/$1"
}
simulate varied 1 "${TINY_VARIED:-2400}" "${TINY_VARIED_BAGS:-12}" &
varied=$!
trap 'kill "$varied" 2>/dev/null && wait "$varied"' EXIT  # where the other one fails, or somebody interrupts
(simulate wide 2 "${TINY_WIDE:-1600}" "${TINY_WIDE_BAGS:-8}")
wait "$varied"
trap - EXIT

held_back() { printf '%s\n' "$folder/$1"/[0-9]* | tail -n 1; }
tools/run.sh -m vjepa_ros.commands.train "$folder"/varied/[0-9]* "$folder"/wide/[0-9]* \
    --hold-back "$(held_back varied)" --hold-back "$(held_back wide)" --set preset=tiny --train-encoder \
    --encoder-steps "${TINY_ENCODER_STEPS:-4000}" --steps "${TINY_STEPS:-5000}" --lr 2e-3 --rollout 3 --l2 0.5 \
    --evaluate-every 500 --checkpoint-every 500 --resume --force -o "$folder/tiny.safetensors"
cp "$folder/tiny.safetensors" "$folder/tiny.json" "$out/"
if [ "${TINY_GOALS:-100}" != 0 ]; then
    tools/run.sh tools/eval_tiny.py --goals "${TINY_GOALS:-100}" --seed 1000 --checkpoint "$out/tiny.safetensors"
    tools/run.sh tools/eval_tiny.py --goals "${TINY_GOALS:-100}" --seed 1000 --checkpoint "$out/tiny.safetensors" --wide
fi
