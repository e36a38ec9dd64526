#!/usr/bin/env bash
# Runs the Python of .venv with what the demo and the tests need in the environment: tools/run.sh FILE|-m MODULE|-c CODE ...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
source tools/environment.sh
exec "$root/.venv/bin/python" "$@"
