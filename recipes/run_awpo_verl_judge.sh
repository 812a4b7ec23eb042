#!/usr/bin/env bash
# AWPO with a judging model that verl itself serves: its reward-model server, on GPUs of its own in the same Ray cluster.
# Nothing else has to be started; the judge finds the server's address by judge_kwargs.base_url=verl.
#
#   bash recipes/run_awpo_verl_judge.sh
#   DRY_RUN=1 JUDGE_MODEL=Qwen/Qwen3-8B JUDGE_GPUS=1 JUDGE_TP=1 bash recipes/run_awpo_verl_judge.sh
#
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

MODEL="${MODEL:-Qwen/Qwen3-4B-Instruct-2507}"
OUT="${OUT:-outputs/verl-judge}"
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
whole GPUS_PER_NODE 6 1                 # that train and generate
JUDGE=llm
JUDGE_URL=verl
JUDGE_MODEL="${JUDGE_MODEL:-Qwen/Qwen3-30B-A3B-Instruct-2507}"
whole JUDGE_GPUS 2 1                    # that serve the judge, on each of JUDGE_NODES
whole JUDGE_NODES 1 1
whole JUDGE_TP 2 1                      # GPUs that one copy of it takes
multiple JUDGE_GPUS JUDGE_TP

source "$(dirname "${BASH_SOURCE[0]}")/gpu_settings.sh"
start \
    reward.reward_model.enable=True \
    reward.reward_model.enable_resource_pool=True \
    reward.reward_model.nnodes="$JUDGE_NODES" \
    reward.reward_model.n_gpus_per_node="$JUDGE_GPUS" \
    reward.reward_model.model_path="$JUDGE_MODEL" \
    reward.reward_model.rollout.name=vllm \
    reward.reward_model.rollout.tensor_model_parallel_size="$JUDGE_TP" \
    reward.reward_model.rollout.gpu_memory_utilization=0.85 \
    reward.reward_model.rollout.prompt_length=8192 \
    reward.reward_model.rollout.response_length=2048 \
    "$@"
