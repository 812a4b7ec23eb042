#!/usr/bin/env bash
# What did training gain? The starting model and the trained one answer the same rows, and are compared row by row. The
# recipes call it at their end (EVAL=0: not); stopped, the same command goes on.
#
#   bash recipes/evaluate.sh BEFORE AFTER ROWS OUT [options of `awpo eval tool` ...]
#   bash recipes/evaluate.sh Qwen/Qwen3-1.7B outputs/qwen3-1.7b/checkpoints data/toolrl/val.parquet outputs/qwen3-1.7b/eval
#
# BEFORE and AFTER: Hugging Face folders, hub ids, or verl's global_step_<n>; of verl's whole folder of checkpoints the
# last is taken. ROWS: a parquet file of `awpo data`. DRY_RUN=1 checks the options, and the rows where they are there.
set -euo pipefail

if [ $# -lt 4 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
BEFORE="$1" AFTER="$2" ROWS="$3" OUT="$4"
shift 4
VERIFIER="${VERIFIER:-strict}"          # as in the training
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
DIALECT="${DIALECT:-$(of_manifest "$(dirname "$ROWS")" dialect toolrl)}" # strict: the form of a call
choice THINKING template template auto opened # an answer without any tag of a thought; template: as the model's chat template says
switch DRY_RUN 0

options='{}'
if [[ $VERIFIER == strict ]]; then options="{\"dialect\": \"$DIALECT\"}"; fi
if [[ -f $AFTER/latest_checkpointed_iteration.txt ]]; then
    AFTER="$AFTER/global_step_$(<"$AFTER/latest_checkpointed_iteration.txt")"
fi
after="$(basename "$AFTER")"
evaluate() { # <checkpoint> <name>
    awpo eval tool --checkpoint "$1" --out "$OUT/$2" "${common[@]}"
}
common=(--data "$ROWS" --verifier "$VERIFIER" --verifier-kwargs "$options" --thinking "$THINKING" --merge-to "$OUT/$after.merged" "$@")

if ((DRY_RUN)); then
    common+=(--dry-run)
fi
evaluate "$BEFORE" before
evaluate "$AFTER" "$after"
if ((!DRY_RUN)); then
    awpo eval compare "$OUT/before/result.json" "$OUT/$after/result.json" --out "$OUT/compare.json"
fi
