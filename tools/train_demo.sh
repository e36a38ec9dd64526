#!/usr/bin/env bash
# What `make train-demo` does: recordings of a simulated arm, an encoder and a predictor trained on them, and the report.
# Everything lies in train-demo/; called again it goes on where it was. EPISODES, ENCODER_STEPS and STEPS make it
# shorter; where they change, remove train-demo/ first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=train-demo
mkdir -p "$folder"
if [ ! -e "$folder/recordings" ]; then
    tools/run.sh -m vjepa_ros.commands.simulate --episodes "${EPISODES:-300}" --seed 1 --bags 10 --variation fixed \
        --drawn 128 -o "$folder/recordings"
fi
tools/run.sh -m vjepa_ros.commands.train "$folder"/recordings/[0-9] --params examples/train_demo.yaml --train-encoder \
    --encoder-steps "${ENCODER_STEPS:-800}" --steps "${STEPS:-1000}" --lr 2e-3 --rollout 3 --l2 0.5 --resume --force \
    -o "$folder/panda.safetensors" "$@"
