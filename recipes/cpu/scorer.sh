#!/usr/bin/env bash
# Trains the scorer that judges reasoning in a run, and refuses one that is no better than chance: scorer.sh ROWS OUT
#
#   recipes/cpu/scorer.sh outputs/cpu/data/train.parquet outputs/cpu/scorer
#
# It learns from all kinds of spoilt rows, and then from the texts that a search finds against it (`awpo judge attack`).
# ROWS is a parquet file of `awpo data bfcl`. OUT becomes the scorer's folder, with OUT.data (training and evaluation
# rows), OUT.attack (what the search found), OUT.eval (the report) and OUT.json (the hash of what it was made from)
# beside it. With the same inputs a second call only measures again. `awpo` must be on the PATH.
set -euo pipefail

if [ $# -ne 2 ]; then
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
ROWS=$(realpath "$1")
OUT=$(realpath -m "$2")

TRAIN_ROWS="${TRAIN_ROWS:-110}" # source rows to learn from, at most; each comes with its spoilt forms
EVAL_ROWS="${EVAL_ROWS:-60}"    # source rows kept for evaluation
MIN_AUC="${MIN_AUC:-0.6}"       # the low end of its interval must be above, else there is no training
THREADS="${THREADS:-$(nproc)}"
ATTACKED="${ATTACKED:-110}"     # wrong calls that the search tries; 0: none
BUDGET="${BUDGET:-20}"          # texts for each of them
ENCODER="${ENCODER:-static}"    # as `awpo scorer train` takes it
VERSION=2                       # raise it when the commands below change, so that cached scorers are made anew

# Everything that decides the result; the number of threads does not.
inputs=$({
    cat "$ROWS" "$(dirname "${BASH_SOURCE[0]}")"/../../reward_models/{scorers/{,*/}*,judge_eval/search*}.py
    echo "$VERSION $TRAIN_ROWS $EVAL_ROWS $ATTACKED $BUDGET $ENCODER"
} | sha256sum | cut -d' ' -f1)
if [ -f "$OUT/awpo_scorer.json" ] && grep -qs "$inputs" "$OUT.json"; then
    echo "[scorer] $OUT exists, made from the same inputs"
else
    rm -rf "$OUT" "$OUT".{json,data,eval,attack,unhardened} "$OUT"*.features
    # --hold-out '': holding kinds out is for measuring; what a run uses learns from all of them.
    awpo scorer data --from bfcl "$ROWS" --out "$OUT.data" --train-rows "$TRAIN_ROWS" --eval-rows "$EVAL_ROWS" \
        --hold-out '' --encoder none
    train() { awpo scorer train "$OUT.data/train.jsonl" "$@" --threads "$THREADS"; }
    if ((ATTACKED)); then
        train --out "$OUT.unhardened" --encoder "$ENCODER"
        awpo judge attack --judge scorer --judge-kwargs "{\"scorer\": \"$OUT.unhardened\"}" --data "$OUT.data/train.jsonl" \
            --out "$OUT.attack" --targets "$ATTACKED" --budget "$BUDGET"
        [[ $ENCODER == none ]] || ENCODER="$OUT.unhardened" # has the table that was made for it
        train "$OUT.attack/attacks.jsonl" --out "$OUT" --encoder "$ENCODER"
    else
        train --out "$OUT" --encoder "$ENCODER"
    fi
    printf '{"inputs": "%s"}\n' "$inputs" >"$OUT.json"
fi
awpo judge eval --judge scorer --judge-kwargs "{\"scorer\": \"$OUT\"}" --data "$OUT.data/eval.jsonl" --out "$OUT.eval" \
    --min-auc "$MIN_AUC" || {
    echo "[scorer] $OUT tells good reasoning from bad no better than MIN_AUC=$MIN_AUC asks: no training with it." >&2
    echo "[scorer] Look at $OUT.eval, or choose JUDGE=embedding, llm or none." >&2
    exit 1
}
