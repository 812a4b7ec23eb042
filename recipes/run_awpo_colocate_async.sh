#!/usr/bin/env bash
# AWPO with generation ahead of training on the same GPUs (verl's colocate_async): while one batch is trained, the
# prompts of the next are already drawn, so long responses hold up nobody. Rollouts are then up to AHEAD batches old.
#
#   bash recipes/run_awpo_colocate_async.sh
#   DRY_RUN=1 AHEAD=2 bash recipes/run_awpo_colocate_async.sh
#
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

MODEL="${MODEL:-Qwen/Qwen3-4B-Instruct-2507}"
OUT="${OUT:-outputs/colocate-async}"
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
whole AHEAD 1 1 64                      # batches that generation runs ahead

source "$(dirname "${BASH_SOURCE[0]}")/gpu_settings.sh"
start \
    trainer.v1.trainer_mode=colocate_async \
    trainer.v1.colocate_async.num_warmup_batches="$AHEAD" \
    algorithm.rollout_correction.rollout_is=token \
    algorithm.rollout_correction.rollout_is_threshold=2.0 \
    "$@"
