#!/usr/bin/env bash
# An ablation: presets of the estimator x judges x seeds on any recipe, from one sweep file; one table, one figure.
# Stop it whenever you like: started again, it goes on with what is not done. A run that fails does not stop the others.
#
#   bash recipes/run_ablation.sh recipes/ablation/qwen3.yaml
#   DRY_RUN=1 bash recipes/run_ablation.sh recipes/ablation/qwen3.yaml     checks every run's configuration
#   awpo ablation table recipes/ablation/qwen3.yaml                        the table of what is done so far
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
SWEEP="${1:-}"
[[ -n $SWEEP ]] || fail "which sweep? such as recipes/ablation/qwen3.yaml"
need_file "$SWEEP" "give a sweep, such as recipes/ablation/qwen3.yaml"
switch DRY_RUN 0
shift

if ((DRY_RUN)); then
    set -- --dry-run "$@"
fi
exec awpo ablation run "$SWEEP" "$@"
