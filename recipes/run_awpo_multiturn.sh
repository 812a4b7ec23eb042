#!/usr/bin/env bash
# AWPO on multi-turn tool use with Qwen3: verl's tool agent loop, stateful tools in the sandbox, the verifier `state` on
# every call of every turn, and a judge that reads the whole trajectory. BFCL's multi-turn rows and tools by default.
#
#   pip install --no-deps bfcl-eval && awpo data bfcl --categories multi_turn --out data/bfcl-multi-turn
#   JUDGE=llm JUDGE_URL=http://judge:8000/v1 JUDGE_MODEL=Qwen/Qwen3-32B bash recipes/run_awpo_multiturn.sh
#   DRY_RUN=1 JUDGE=none bash recipes/run_awpo_multiturn.sh
#
# Tools of your own: recipes/multiturn/ is a small example of the class, the tools file and the rows.
# Training on BFCL's rows means that BFCL's multi-turn categories no longer measure anything: evaluate on others.
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

MODEL="${MODEL:-Qwen/Qwen3-4B-Instruct-2507}"
DATA="${DATA:-data/bfcl-multi-turn}"    # train.parquet, val.parquet, tools.yaml, and overrides.txt with the tools' classes
OUT="${OUT:-outputs/multiturn}"
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# of the calls in the model's chat template, with which the dry run compares it: verl's parser runs them, the verifier reads them
choice FORMAT hermes hermes qwen3_coder gpt-oss glm minimax kimi gemma4
case "$FORMAT" in
    gpt-oss) dialect=harmony ;;
    gemma4) dialect=gemma ;;
    *) dialect="$FORMAT" ;;
esac
whole MAX_STEPS 24 1 1000               # of the model in one trajectory, all turns together
JUDGE="${JUDGE:-llm}"
VERIFIER=state
EVAL=0                                  # `awpo eval tool` asks for one answer; verl's validation plays whole trajectories

for name in overrides.txt tools.yaml; do
    need_file "$DATA/$name" "set DATA, or make it: awpo data bfcl --categories multi_turn --out data/bfcl-multi-turn"
done
mapfile -t of_data <"$DATA/overrides.txt"
source "$(dirname "${BASH_SOURCE[0]}")/gpu_settings.sh"
start \
    actor_rollout_ref.rollout.agent.default_agent_loop=awpo_tool_agent \
    actor_rollout_ref.rollout.multi_turn.enable=True \
    actor_rollout_ref.rollout.multi_turn.format="$FORMAT" \
    +reward.custom_reward_function.reward_kwargs.verifier_kwargs.dialect="$dialect" \
    actor_rollout_ref.rollout.multi_turn.tool_config_path="$DATA/tools.yaml" \
    actor_rollout_ref.rollout.multi_turn.max_assistant_turns="$MAX_STEPS" \
    actor_rollout_ref.rollout.multi_turn.max_parallel_calls=8 \
    actor_rollout_ref.rollout.multi_turn.max_tool_response_length=2048 \
    "${of_data[@]}" \
    data.return_raw_chat=True \
    data.train_batch_size=128 \
    data.max_prompt_length=8192 \
    data.max_response_length=8192 \
    actor_rollout_ref.actor.ppo_max_token_len_per_gpu=32768 \
    "$@"
