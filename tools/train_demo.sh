#!/usr/bin/env bash
# What `make train-demo` does: recordings of a simulated arm, an encoder and a predictor trained on them, and the report.
# Everything lies in train-demo/; called again it goes on where it was. TRAIN_DEMO_EPISODES, TRAIN_DEMO_ENCODER_STEPS and
# TRAIN_DEMO_STEPS make it shorter; where they change, remove train-demo/ first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=train-demo
mkdir -p "$folder"
tools/run.sh tools/simulate_once.py --episodes "${TRAIN_DEMO_EPISODES:-300}" --seed 1 --bags 10 --variation fixed \
    --drawn 128 -o "$folder/recordings"
tools/run.sh -m vjepa_ros.commands.train "$folder"/recordings/[0-9] --params examples/train_demo.yaml --train-encoder \
    --encoder-steps "${TRAIN_DEMO_ENCODER_STEPS:-800}" --steps "${TRAIN_DEMO_STEPS:-1000}" --lr 2e-3 --rollout 3 \
    --l2 0.5 --resume --force -o "$folder/panda.safetensors" "$@"
