#!/usr/bin/env bash
# AWPO on Qwen3 with tool-use data, all parameters: one node of 8 GPUs, or NNODES of them over Ray.
#
#   pip install -e '.[gpu]' && bash recipes/run_awpo_qwen3.sh
#   SIZE=8b bash recipes/run_awpo_qwen3.sh          1.7b, 4b or 8b; MODEL=... takes any other
#   DRY_RUN=1 bash recipes/run_awpo_qwen3.sh        resolve and check the whole configuration; needs no GPU
#   JUDGE=llm JUDGE_URL=http://judge:8000/v1 JUDGE_MODEL=Qwen/Qwen3-32B bash recipes/run_awpo_qwen3.sh
#
# Data: ToolRL's 4k split, brought into verl's schema once:
#   awpo data toolrl <ToolRL's train.parquet> --out data/toolrl
# A run that was interrupted resumes from its last checkpoint when started again. Several nodes: docs/recipes.md.
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
choice SIZE 4b 1.7b 4b 8b               # MODEL takes any other model
case "$SIZE" in
    1.7b) known=Qwen/Qwen3-1.7B tokens=32768 ;;
    4b) known=Qwen/Qwen3-4B-Instruct-2507 tokens=16384 ;;
    8b) known=Qwen/Qwen3-8B tokens=8192 ;;
esac
MODEL="${MODEL:-$known}"
OUT="${OUT:-outputs/qwen3-$SIZE}"       # checkpoints, metrics, rollouts
whole TOKENS_PER_GPU "$tokens" 1         # of one micro-batch; halve it where memory runs out

source "$(dirname "${BASH_SOURCE[0]}")/gpu_settings.sh"
start \
    actor_rollout_ref.actor.ppo_max_token_len_per_gpu="$TOKENS_PER_GPU" \
    actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu=$((2 * TOKENS_PER_GPU)) \
    "$@"
