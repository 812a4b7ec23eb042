#!/usr/bin/env bash
# AWPO on a machine without a GPU, from nothing: environment, small model, data, cold start, training, table and figure.
# A demonstration of the whole chain with a 135M model, not a result. About half an hour on two cores; reruns reuse all
# but the training.
#
#   bash recipes/run_awpo_cpu.sh
#   STEPS=30 JUDGE=none VERIFIER=toolrl bash recipes/run_awpo_cpu.sh +algorithm.awpo.gate=none
#   DATA=data/mine EVAL=1 bash recipes/run_awpo_cpu.sh       your own rows: docs/your_own_data.md
#   DRY_RUN=1 bash recipes/run_awpo_cpu.sh                      checks the configuration and makes nothing
#
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

STEPS="${STEPS:-12}"                    # training steps of 4 prompts x 4 rollouts, two updates each
JUDGE="${JUDGE:-scorer}"                # reasoning judge: scorer, embedding, llm, none, or package.module:Class
SCORER="${SCORER:-}"                    # scorer: a folder of `awpo scorer train`; empty: trained here, from the data
JUDGE_URL="${JUDGE_URL:-}"              # llm: an OpenAI-compatible API; recipes/serve_judge.sh serves one
JUDGE_MODEL="${JUDGE_MODEL:-}"          # llm: the model's name there
VERIFIER="${VERIFIER:-strict}"          # outcome verifier: strict, toolrl (the published form), or another of docs/verifiers.md
DATA="${DATA:-}"                        # a folder with train.parquet and val.parquet, prompts of 512 tokens; empty: BFCL's rows
EVAL="${EVAL:-0}"                       # 1: at the end, the model before and after on EVAL_DATA, compared row by row
EVAL_DATA="${EVAL_DATA:-}"              # a parquet file; empty: the validation rows
OUT="${OUT:-outputs/cpu}"               # where everything below is made
MODEL="${MODEL:-}"                      # a Hugging Face folder to train; empty: SmolLM2-135M with a cold start
DRY_RUN="${DRY_RUN:-0}"
PYTHON="${PYTHON:-python3}"

cd "$(dirname "${BASH_SOURCE[0]}")/.."
OUT="$(realpath -m "$OUT")"
TRAIN_SCORER=0
if [[ $JUDGE == scorer && -z $SCORER ]]; then SCORER="$OUT/scorer" TRAIN_SCORER=1; fi
EMBEDDING_MODEL=""  # the embedding judge finds the packaged one
source recipes/reward_options.sh
BFCL="$OUT/data"                        # what scorer and cold start learn from
DATA="$(realpath -m "${DATA:-$BFCL}")"
EVAL_DATA="${EVAL_DATA:-$DATA/val.parquet}"
for name in train val; do
    [[ $DATA == "$BFCL" || -f $DATA/$name.parquet ]] || { echo "DATA=$DATA has no $name.parquet; awpo data makes one" >&2; exit 1; }
done
RUN="$OUT/runs/$(date +%Y%m%d-%H%M%S)"
source recipes/cpu/env.sh
mapfile -t cpu_overrides < <(grep -v '^#' recipes/cpu/verl_overrides.txt)
overrides=(
    algorithm.adv_estimator=awpo
    actor_rollout_ref.actor.policy_loss.loss_mode=awpo
    data.train_files="$DATA/train.parquet"
    data.val_files="$DATA/val.parquet"
    data.train_batch_size=4
    data.max_prompt_length=512
    data.max_response_length=160
    data.filter_overlong_prompts=True
    actor_rollout_ref.model.path="${MODEL:-$OUT/cold_start}"
    actor_rollout_ref.actor.optim.lr=3e-5
    actor_rollout_ref.actor.ppo_mini_batch_size=2
    actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8
    actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=8
    actor_rollout_ref.rollout.n=4
    actor_rollout_ref.rollout.max_model_len=672
    actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8
    "${reward[@]}"
    trainer.total_epochs=1000
    trainer.total_training_steps="$STEPS"
    trainer.test_freq="$STEPS"
    trainer.save_freq="$STEPS"
    actor_rollout_ref.actor.checkpoint.save_contents='[hf_model]'
    trainer.default_local_dir="$RUN/checkpoints"
    trainer.rollout_data_dir="$RUN/rollouts"
    trainer.validation_data_dir="$RUN/validation"
    trainer.project_name=awpo trainer.experiment_name=cpu
    trainer.logger='["console","file"]'
    hydra.run.dir="$RUN/hydra"
    "${cpu_overrides[@]}"
)
evaluate() { # <starting model> <trained model>
    VERIFIER="$VERIFIER" DIALECT="$DIALECT" DRY_RUN="$DRY_RUN" bash recipes/evaluate.sh "$1" "$2" "$EVAL_DATA" "$RUN/eval" \
        --max-tokens 160 --vllm-args "--max-model-len 672 --enforce-eager --max-num-seqs 16"
}
TRAINED="$RUN/checkpoints/global_step_$STEPS/actor/huggingface"
if [[ $DRY_RUN == 1 ]]; then
    awpo doctor --no-ray --no-reward "${overrides[@]}" "$@"
    if [[ $EVAL == 1 ]]; then evaluate "${MODEL:-$OUT/cold_start}" "$TRAINED"; fi
    exit
fi

started=$SECONDS
say() { printf '\n== %s (after %d min %02d s)\n' "$*" $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)); }

say "environment"
PYTHON="$PYTHON" bash recipes/cpu/setup_env.sh
export PATH="$PWD/.venv/bin:$PATH"

say "data: BFCL's simple_python, as compact prompts"
awpo data bfcl --out "$BFCL" --categories simple_python --tool-format compact --val-rows 48 --sft-rows 96

if [[ $TRAIN_SCORER == 1 ]]; then
    say "scorer: trained on the data's rows and what spoils them (cached), and measured on others"
    bash recipes/cpu/scorer.sh "$BFCL/train.parquet" "$SCORER"
fi

if [[ -z $MODEL ]]; then
    say "model: SmolLM2-135M-Instruct"
    python recipes/cpu/make_model.py "$OUT/smollm2"
    say "cold start: verl's SFT trainer on 96 rows (cached)"
    bash recipes/cpu/cold_start.sh "$OUT/smollm2" "$BFCL" "$OUT/cold_start"
    MODEL="$OUT/cold_start"
fi

say "training: $STEPS steps of AWPO with judge=$JUDGE and verifier=$VERIFIER"
mkdir -p "$RUN"
echo "verl's whole log: $RUN/console.log"
export VERL_FILE_LOGGER_PATH="$RUN/metrics.jsonl"
python -m verl.trainer.main_ppo "${overrides[@]}" "$@" 2>&1 | awpo follow --log "$RUN/console.log" || {
    tail -n 40 "$RUN/console.log" >&2
    echo "Training failed; the whole log: $RUN/console.log" >&2
    exit 1
}

say "what happened"
awpo summary "$RUN/metrics.jsonl" --png "$RUN/awpo.png"
echo "The trained model: $TRAINED"

if [[ $EVAL == 1 ]]; then
    say "before and after on $EVAL_DATA"
    evaluate "$MODEL" "$TRAINED"
fi
