#!/usr/bin/env bash
# Makes the CPU environment (`.venv`, reused) and runs all tests in it, end-to-end runs included.
#
#   bash tests/run.sh                     everything but tests marked slow
#   bash tests/run.sh -n 2 -m "not e2e and not slow"   the fast part
#   AWPO_TEST_PROFILE=deep bash tests/run.sh tests/awpo_ext
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash recipes/cpu/setup_env.sh
bash tests/install_browser.sh
source recipes/cpu/env.sh
.venv/bin/ruff check .

tests() { .venv/bin/python -m pytest --durations=10 "$@"; }
if [ $# -gt 0 ]; then
    tests "$@"
    exit
fi
# Two at a time, but for the end-to-end runs: each of those takes the machine's memory.
status=0
tests -n 2 --dist loadfile -m "not e2e and not slow" || status=$?
tests -m "e2e and not slow" || status=$?
exit "$status"
