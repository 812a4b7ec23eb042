#!/usr/bin/env bash
# AWPO on one GPU: LoRA adapters on Qwen3-4B, a smaller batch, and vLLM beside the trainer in the same memory.
#
#   bash recipes/run_awpo_lora.sh
#   DRY_RUN=1 RANK=16 bash recipes/run_awpo_lora.sh
#
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

MODEL="${MODEL:-Qwen/Qwen3-4B-Instruct-2507}"
OUT="${OUT:-outputs/lora}"
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
whole RANK 32 1 1024
whole GPUS_PER_NODE 1 1

source "$(dirname "${BASH_SOURCE[0]}")/gpu_settings.sh"
start \
    actor_rollout_ref.model.lora_rank="$RANK" \
    actor_rollout_ref.model.lora_alpha="$RANK" \
    actor_rollout_ref.model.target_modules=all-linear \
    actor_rollout_ref.rollout.load_format=safetensors \
    actor_rollout_ref.rollout.gpu_memory_utilization=0.4 \
    actor_rollout_ref.actor.optim.lr=2e-5 \
    actor_rollout_ref.actor.ppo_mini_batch_size=32 \
    actor_rollout_ref.actor.ppo_max_token_len_per_gpu=8192 \
    actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu=16384 \
    data.train_batch_size=128 \
    "$@"
