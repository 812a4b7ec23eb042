#!/usr/bin/env bash
# Multi-turn tool use without a GPU, end to end: a bank account, two user turns, verl's tool agent loop with stateful tools
# in the sandbox, the verifier `state` on every call of every turn, and a judge that reads the whole trajectory.
# A demonstration of the chain with a 135M model on a toy task, not a result. Reruns reuse all but the training.
#
#   bash recipes/run_multiturn_cpu.sh
#   STEPS=20 JUDGE=none bash recipes/run_multiturn_cpu.sh +algorithm.awpo.preset=outcome_only
#   DRY_RUN=1 bash recipes/run_multiturn_cpu.sh     checks the configuration and makes nothing
#
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source recipes/lib.sh
whole STEPS 8 1                         # training steps of 4 prompts x 4 trajectories, two updates each
JUDGE="${JUDGE:-embedding}"             # reasoning judge: embedding, llm, none, or package.module:Class
JUDGE_URL="${JUDGE_URL:-}"              # llm: an OpenAI-compatible API; recipes/serve_judge.sh serves one
JUDGE_MODEL="${JUDGE_MODEL:-}"          # llm: the model's name there
OUT="${OUT:-outputs/multiturn-cpu}"     # where everything below is made
MODEL="${MODEL:-}"                      # a Hugging Face folder to train; empty: SmolLM2-135M with a cold start
switch DRY_RUN 0
PYTHON="${PYTHON:-python3}"

source recipes/cpu/common.sh
VERIFIER=state
source recipes/reward_options.sh
DATA="$OUT/data"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"  # the tools are recipes.multiturn.bank:Bank, here and in Ray's workers
overrides=(
    "${shared[@]}"
    data.train_files="$DATA/train.parquet"
    data.val_files="$DATA/val.parquet"
    data.max_prompt_length=128
    data.max_response_length=320
    data.return_raw_chat=True
    actor_rollout_ref.rollout.max_model_len=448
    actor_rollout_ref.rollout.agent.default_agent_loop=awpo_tool_agent
    actor_rollout_ref.rollout.multi_turn.enable=True
    actor_rollout_ref.rollout.multi_turn.format=hermes
    +reward.custom_reward_function.reward_kwargs.verifier_kwargs.dialect=hermes
    actor_rollout_ref.rollout.multi_turn.tool_config_path="$PWD/recipes/multiturn/tools.yaml"
    actor_rollout_ref.rollout.multi_turn.max_assistant_turns=8
    actor_rollout_ref.rollout.multi_turn.max_parallel_calls=4
    "${reward[@]}"
    +reward.custom_reward_function.reward_kwargs.verifier_kwargs.classes.Bank=recipes.multiturn.bank:Bank
    trainer.save_freq=-1
    trainer.experiment_name=multiturn-cpu
)
if ((DRY_RUN)); then
    check_configuration "${overrides[@]}" "$@"
    exit
fi

make_environment
say "data: two turns on a bank account"
python recipes/multiturn/make_data.py "$DATA"
make_model "$DATA"
say "training: $STEPS steps of AWPO with judge=$JUDGE and verifier=state"
train "${overrides[@]}" "$@"
echo "Trajectories: $RUN/rollouts"
say_how_to_look
