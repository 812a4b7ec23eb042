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

STEPS="${STEPS:-8}"                     # training steps of 4 prompts x 4 trajectories, two updates each
JUDGE="${JUDGE:-embedding}"             # reasoning judge: embedding, llm, none, or package.module:Class
JUDGE_URL="${JUDGE_URL:-}"              # llm: an OpenAI-compatible API; recipes/serve_judge.sh serves one
JUDGE_MODEL="${JUDGE_MODEL:-}"          # llm: the model's name there
OUT="${OUT:-outputs/multiturn-cpu}"     # where everything below is made
MODEL="${MODEL:-}"                      # a Hugging Face folder to train; empty: SmolLM2-135M with a cold start
DRY_RUN="${DRY_RUN:-0}"
PYTHON="${PYTHON:-python3}"

cd "$(dirname "${BASH_SOURCE[0]}")/.."
EMBEDDING_MODEL=""  # the embedding judge finds the packaged one
VERIFIER=state
source recipes/reward_options.sh
OUT="$(realpath -m "$OUT")"
if [[ -d $MODEL ]]; then MODEL="$(realpath "$MODEL")"; fi
DATA="$OUT/data"
RUN="$OUT/runs/$(date +%Y%m%d-%H%M%S)"
say() { printf '\n== %s\n' "$*"; }

source recipes/cpu/env.sh
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"  # the tools are recipes.multiturn.bank:Bank, here and in Ray's workers
mapfile -t cpu_overrides < <(grep -v '^#' recipes/cpu/verl_overrides.txt)
overrides=(
    algorithm.adv_estimator=awpo
    actor_rollout_ref.actor.policy_loss.loss_mode=awpo
    data.train_files="$DATA/train.parquet"
    data.val_files="$DATA/val.parquet"
    data.train_batch_size=4
    data.max_prompt_length=128
    data.max_response_length=320
    data.return_raw_chat=True
    actor_rollout_ref.model.path="${MODEL:-$OUT/cold_start}"
    actor_rollout_ref.actor.optim.lr=3e-5
    actor_rollout_ref.actor.ppo_mini_batch_size=2
    actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8
    actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=8
    actor_rollout_ref.rollout.n=4
    actor_rollout_ref.rollout.max_model_len=448
    actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8
    actor_rollout_ref.rollout.agent.default_agent_loop=awpo_tool_agent
    actor_rollout_ref.rollout.multi_turn.enable=True
    actor_rollout_ref.rollout.multi_turn.format=hermes
    +reward.custom_reward_function.reward_kwargs.verifier_kwargs.dialect=hermes
    actor_rollout_ref.rollout.multi_turn.tool_config_path="$PWD/recipes/multiturn/tools.yaml"
    actor_rollout_ref.rollout.multi_turn.max_assistant_turns=8
    actor_rollout_ref.rollout.multi_turn.max_parallel_calls=4
    "${reward[@]}"
    +reward.custom_reward_function.reward_kwargs.verifier_kwargs.classes.Bank=recipes.multiturn.bank:Bank
    trainer.total_epochs=1000
    trainer.total_training_steps="$STEPS"
    trainer.test_freq="$STEPS"
    trainer.save_freq=-1
    trainer.default_local_dir="$RUN/checkpoints"
    trainer.rollout_data_dir="$RUN/rollouts"
    trainer.project_name=awpo trainer.experiment_name=multiturn-cpu
    trainer.logger='["console","file"]'
    hydra.run.dir="$RUN/hydra"
    "${cpu_overrides[@]}"
)
if [[ $DRY_RUN == 1 ]]; then
    exec awpo doctor --no-ray --no-reward "${overrides[@]}" "$@"
fi

say "environment"
PYTHON="$PYTHON" bash recipes/cpu/setup_env.sh
export PATH="$PWD/.venv/bin:$PATH"
mkdir -p "$RUN"

say "data: two turns on a bank account"
python recipes/multiturn/make_data.py "$DATA"

if [[ -z $MODEL ]]; then
    say "model: SmolLM2-135M-Instruct"
    python recipes/cpu/make_model.py "$OUT/smollm2"
    say "cold start: verl's SFT trainer on 96 perfect trajectories (cached)"
    bash recipes/cpu/cold_start.sh "$OUT/smollm2" "$DATA" "$OUT/cold_start"
fi

say "training: $STEPS steps of AWPO with judge=$JUDGE and verifier=state; verl's whole log: $RUN/console.log"
export VERL_FILE_LOGGER_PATH="$RUN/metrics.jsonl"
python -m verl.trainer.main_ppo "${overrides[@]}" "$@" 2>&1 | awpo follow --log "$RUN/console.log" || {
    tail -n 40 "$RUN/console.log" >&2
    echo "Training failed; the whole log: $RUN/console.log" >&2
    exit 1
}

say "what happened"
awpo summary "$RUN/metrics.jsonl" --png "$RUN/awpo.png"
echo "Trajectories: $RUN/rollouts"
