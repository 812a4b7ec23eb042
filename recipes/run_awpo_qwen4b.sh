#!/usr/bin/env bash
# The headline recipe: AWPO on Qwen3-4B-Instruct-2507, all parameters, 8 GPUs. run_awpo_qwen3.sh has the settings and all
# that can be set.
#
#   bash recipes/run_awpo_qwen4b.sh
#   DRY_RUN=1 bash recipes/run_awpo_qwen4b.sh
set -euo pipefail
SIZE=4b exec bash "$(dirname "${BASH_SOURCE[0]}")/run_awpo_qwen3.sh" "$@"
