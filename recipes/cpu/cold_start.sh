#!/usr/bin/env bash
# Teaches the small model the form of a tool call, with verl's own SFT trainer on CPU: cold_start.sh MODEL DATA_DIR OUT
# SmolLM2-135M does not know the form by itself, so RL alone would hardly see a reward to learn from.
#
#   recipes/cpu/cold_start.sh outputs/cpu/smollm2 outputs/cpu/data outputs/cpu/cold_start [verl overrides ...]
#
# DATA_DIR/sft.parquet has a column `messages` (system, user, assistant). OUT becomes an ordinary Hugging Face folder,
# with OUT.json beside it: the hash of what it was made from. With the same inputs a second call does nothing.
set -euo pipefail

if [ $# -lt 3 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
MODEL=$(realpath "$1")
DATA_DIR=$(realpath "$2")
OUT=$(realpath -m "$3")
shift 3

ROWS="${ROWS:-96}"          # of sft.parquet, from the start: 12 steps of 8; more would leave RL little to improve
EPOCHS="${EPOCHS:-1}"
BATCH="${BATCH:-8}"
LR="${LR:-1e-4}"
MAX_LENGTH="${MAX_LENGTH:-1024}"  # tokens; a longer row is an error, not a silently cut call
THREADS="${THREADS:-$(nproc)}"

HERE=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
BIN="$HERE/../../.venv/bin"
WORK="$OUT.work"            # verl's checkpoint, until the model in it becomes OUT
VERSION=1                   # raise it when the training command below changes, so that cached models are made anew

source "$HERE/env.sh"
# Everything that decides the result; the number of threads does not.
inputs=$({
    cat "$MODEL"/config.json "$MODEL"/tokenizer.json "$MODEL"/*.safetensors "$DATA_DIR/sft.parquet"
    echo "$VERSION $ROWS $EPOCHS $BATCH $LR $MAX_LENGTH $CPU_DTYPE $*"
} | sha256sum | cut -d' ' -f1)
if [ -f "$OUT/model.safetensors" ] && grep -qs "$inputs" "$OUT.json"; then
    echo "[cold start] $OUT is there, made from the same inputs"
    exit 0
fi

export HYDRA_FULL_ERROR=1
export OMP_NUM_THREADS="$THREADS"
# Large tensors come and go every step: huge pages, and no giving back in between, save a fifth of the time.
export THP_MEM_ALLOC_ENABLE=1 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_MMAP_THRESHOLD_=33554432
# Left to itself Python holds back what a pipe gets, and the loss would come in one piece at the end.
export PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore

rm -rf "$WORK" "$OUT.json"
mkdir -p "$WORK"
cd "$WORK"                  # hydra and verl leave their folders here
started=$SECONDS
echo "[cold start] $ROWS rows x $EPOCHS epoch(s), batch $BATCH, lr $LR, $THREADS threads; log: $OUT.log"

# CPU_DTYPE is the type of the products; the weights are float32 (verl's default).
# Padded batches instead of packed ones: without flash attention a packed batch attends over all of itself.
train() {
    "$BIN/torchrun" --standalone --nproc_per_node=1 -m verl.trainer.sft_trainer \
        model.path="$MODEL" \
        +model.override_config.attn_implementation=sdpa \
        model.use_remove_padding=False \
        model.enable_gradient_checkpointing=False \
        engine.strategy=fsdp2 \
        +engine.mixed_precision.param_dtype="$CPU_DTYPE" \
        engine.reshard_after_forward=False \
        engine.use_torch_compile=False \
        data.train_files="$DATA_DIR/sft.parquet" \
        data.train_max_samples="$ROWS" \
        data.train_batch_size="$BATCH" \
        data.micro_batch_size_per_gpu="$BATCH" \
        data.use_dynamic_bsz=False \
        data.max_length="$MAX_LENGTH" \
        data.num_workers=0 \
        optim.lr="$LR" \
        optim.lr_warmup_steps=3 \
        checkpoint.save_contents='[hf_model]' \
        trainer.device=cpu \
        trainer.total_epochs="$EPOCHS" \
        trainer.resume_mode=disable \
        trainer.default_local_dir="$WORK/checkpoint" \
        trainer.logger='[console]' \
        trainer.project_name=awpo-cpu \
        trainer.experiment_name=cold_start \
        "$@"
}

# The whole output goes to the log; a line a step is shown.
set +e
train "$@" 2>&1 | sed -u 's/\r/\n/g' | tee "$OUT.log" |
    sed -un 's/.*step:\([0-9]*\) .*train\/loss:\([0-9.]*\).*/[cold start] step \1  loss \2/p'
status=${PIPESTATUS[0]}
set -e
if [ "$status" -ne 0 ]; then
    echo "[cold start] verl's trainer failed (exit code $status). The end of $OUT.log:" >&2
    tail -n 30 "$OUT.log" >&2
    exit "$status"
fi

step=$(cat "$WORK/checkpoint/latest_checkpointed_iteration.txt")
made="$WORK/checkpoint/global_step_$step/huggingface"
test -f "$made/model.safetensors"
rm -rf "$OUT"
mv "$made" "$OUT"
rm -rf "$WORK"
printf '{"inputs": "%s", "steps": %s, "seconds": %s}\n' "$inputs" "$step" "$((SECONDS - started))" >"$OUT.json"
echo "[cold start] $OUT: $step steps in $((SECONDS - started)) s"
