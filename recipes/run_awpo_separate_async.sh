#!/usr/bin/env bash
# AWPO with generation and training on GPUs of their own (verl's separate_async): neither waits for the other, and the
# weights travel by NCCL every UPDATES updates. Gate and radius are then those of each mini-batch, see docs/own_recipe.md.
#
#   bash recipes/run_awpo_separate_async.sh
#   DRY_RUN=1 GPUS_PER_NODE=2 ROLLOUT_GPUS=6 bash recipes/run_awpo_separate_async.sh
#
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

MODEL="${MODEL:-Qwen/Qwen3-4B-Instruct-2507}"
OUT="${OUT:-outputs/separate-async}"
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
whole GPUS_PER_NODE 4 1                 # that train
whole ROLLOUT_GPUS 4 1                  # that generate, on each of ROLLOUT_NODES
whole ROLLOUT_NODES 1 1
whole UPDATES 4 1                       # updates of MINI_BATCH prompts between two weight syncs
whole MINI_BATCH 64 1

export VERL_LOGGING_LEVEL="${VERL_LOGGING_LEVEL:-WARN}"  # at INFO, verl 0.9.1 fails in a log line of its own here
source "$(dirname "${BASH_SOURCE[0]}")/gpu_settings.sh"
start \
    trainer.v1.trainer_mode=separate_async \
    trainer.v1.separate_async.parameter_sync_step="$UPDATES" \
    data.train_batch_size=$((UPDATES * MINI_BATCH)) \
    actor_rollout_ref.actor.ppo_mini_batch_size="$MINI_BATCH" \
    actor_rollout_ref.hybrid_engine=False \
    actor_rollout_ref.rollout.nnodes="$ROLLOUT_NODES" \
    actor_rollout_ref.rollout.n_gpus_per_node="$ROLLOUT_GPUS" \
    actor_rollout_ref.rollout.gpu_memory_utilization=0.85 \
    actor_rollout_ref.rollout.checkpoint_engine.backend=nccl \
    algorithm.rollout_correction.rollout_is=token \
    algorithm.rollout_correction.rollout_is_threshold=2.0 \
    "$@"
