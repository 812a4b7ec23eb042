#!/usr/bin/env bash
# Makes the CPU environment (`.venv`, reused) and runs all tests in it, end-to-end runs included.
#
#   bash tests/run.sh                   everything but tests marked slow
#   bash tests/run.sh -m "not e2e"      the fast part, under two minutes
#   AWPO_TEST_PROFILE=deep bash tests/run.sh tests/awpo_ext
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash recipes/cpu/setup_env.sh
source recipes/cpu/env.sh
.venv/bin/ruff check .
exec .venv/bin/python -m pytest --durations=5 "$@"
