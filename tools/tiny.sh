#!/usr/bin/env bash
# What `make tiny` does: trains the preset `tiny` from nothing, puts its weights into the package, and evaluates them
# (docs/models/tiny.md, docs/adr/0006-what-tiny-learns-from.md). Everything it goes through lies in build/tiny; called
# again it goes on where it was. With smaller numbers of episodes and steps it is a try, and OUT says where that goes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=${FOLDER:-build/tiny}
out=${OUT:-vjepa_ros/weights}
mkdir -p "$folder" "$out"
simulate() {  # variation, seed, episodes, bags
    if [ ! -e "$folder/$1" ]; then
        tools/run.sh -m vjepa_ros.commands.simulate --variation "$1" --seed "$2" --episodes "$3" --bags "$4" -o "$folder/$1"
    fi
}
simulate varied 1 "${VARIED:-2400}" "${VARIED_BAGS:-12}" &
simulate wide 2 "${WIDE:-1600}" "${WIDE_BAGS:-8}"
wait $!

held_back() { printf '%s\n' "$folder/$1"/[0-9]* | tail -n 1; }
tools/run.sh -m vjepa_ros.commands.train "$folder"/varied/[0-9]* "$folder"/wide/[0-9]* \
    --hold-back "$(held_back varied)" --hold-back "$(held_back wide)" --set preset=tiny --train-encoder \
    --encoder-steps "${ENCODER_STEPS:-4000}" --steps "${STEPS:-5000}" --lr 2e-3 --rollout 3 --l2 0.5 \
    --evaluate-every 500 --checkpoint-every 500 --resume --force -o "$folder/tiny.safetensors"
cp "$folder/tiny.safetensors" "$folder/tiny.json" "$out/"
if [ "${GOALS:-100}" != 0 ]; then
    tools/run.sh tools/eval_tiny.py --goals "${GOALS:-100}" --seed 1000 --checkpoint "$out/tiny.safetensors"
    tools/run.sh tools/eval_tiny.py --goals "${GOALS:-100}" --seed 1000 --checkpoint "$out/tiny.safetensors" --wide
fi
