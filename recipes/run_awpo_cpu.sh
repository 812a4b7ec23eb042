#!/usr/bin/env bash
# AWPO on a machine without a GPU, from nothing: environment, small model, data, cold start, training, table and figure.
# A demonstration of the whole chain with a 135M model, not a result. Half an hour to an hour on two cores; reruns reuse all
# but the training.
#
#   bash recipes/run_awpo_cpu.sh
#   STEPS=30 JUDGE=none VERIFIER=toolrl bash recipes/run_awpo_cpu.sh +algorithm.awpo.gate=none
#   DATA=data/mine EVAL=1 bash recipes/run_awpo_cpu.sh       your own rows: docs/your_own_data.md
#   DRY_RUN=1 bash recipes/run_awpo_cpu.sh                      checks the configuration and makes nothing
#
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source recipes/lib.sh
whole STEPS 12 1                        # training steps of 4 prompts x 4 rollouts, two updates each
JUDGE="${JUDGE:-scorer}"                # reasoning judge: scorer, embedding, llm, none, or package.module:Class
SCORER="${SCORER:-}"                    # scorer: a folder of `awpo scorer train`; empty: trained here, from the data
JUDGE_URL="${JUDGE_URL:-}"              # llm: an OpenAI-compatible API; recipes/serve_judge.sh serves one
JUDGE_MODEL="${JUDGE_MODEL:-}"          # llm: the model's name there
VERIFIER="${VERIFIER:-strict}"          # outcome verifier: strict, toolrl (the published form), or another of docs/verifiers.md
DIALECT="${DIALECT:-}"                  # strict: the form of a call; empty: the one that DATA is made for
THINKING="${THINKING:-template}"        # opened: the prompt ends in an open thought; auto: it does not; template: as the model's says
DATA="${DATA:-}"                        # a folder with train.parquet and val.parquet, prompts of 512 tokens; empty: BFCL's rows
switch EVAL 0                           # 1: at the end, the model before and after on EVAL_DATA, compared row by row
EVAL_DATA="${EVAL_DATA:-}"              # a parquet file; empty: the validation rows
OUT="${OUT:-outputs/cpu}"               # where everything below is made
MODEL="${MODEL:-}"                      # a Hugging Face folder to train; empty: SmolLM2-135M with a cold start
switch DRY_RUN 0
PYTHON="${PYTHON:-python3}"

source recipes/cpu/common.sh
BFCL="$OUT/data"                        # what scorer and cold start learn from; made here
if [[ -n $DATA ]]; then
    for name in train val; do need_file "$DATA/$name.parquet" "DATA needs train.parquet and val.parquet; awpo data makes them"; done
fi
if [[ -n $EVAL_DATA ]]; then need_file "$EVAL_DATA" "set EVAL_DATA to a parquet file of awpo data, or leave it empty"; fi
DATA="$(realpath -m "${DATA:-$BFCL}")"
EVAL_DATA="${EVAL_DATA:-$DATA/val.parquet}"
TRAIN_SCORER=0
if [[ $JUDGE == scorer && -z $SCORER ]]; then
    SCORER="$OUT/scorer" TRAIN_SCORER=1
elif [[ $JUDGE == scorer ]]; then
    need_folder SCORER "a folder of awpo scorer train, or leave it empty to train one here"
fi
source recipes/reward_options.sh
overrides=(
    "${shared[@]}"
    data.train_files="$DATA/train.parquet"
    data.val_files="$DATA/val.parquet"
    data.max_prompt_length=512
    data.max_response_length=160
    data.filter_overlong_prompts=True
    actor_rollout_ref.rollout.max_model_len=672
    "${reward[@]}"
    trainer.save_freq="$STEPS"
    actor_rollout_ref.actor.checkpoint.save_contents='[hf_model]'
    trainer.validation_data_dir="$RUN/validation"
    trainer.experiment_name=cpu
)
TRAINED="$RUN/checkpoints/global_step_$STEPS/actor/huggingface"
evaluate() {
    VERIFIER="$VERIFIER" DIALECT="$DIALECT" THINKING="$THINKING" DRY_RUN="$DRY_RUN" bash recipes/evaluate.sh "$START" "$TRAINED" "$EVAL_DATA" "$RUN/eval" \
        --max-tokens 160 --vllm-args "--max-model-len 672 --enforce-eager --max-num-seqs 16"
}
if ((DRY_RUN)); then
    check_configuration "${overrides[@]}" "$@"
    if ((EVAL)); then evaluate; fi
    exit
fi

make_environment
say "data: BFCL's simple_python, as compact prompts"
awpo data bfcl --out "$BFCL" --categories simple_python --tool-format compact --val-rows 48 --sft-rows 96
if ((TRAIN_SCORER)); then
    say "scorer: trained on the data's rows and what spoils them (cached), and measured on others"
    bash recipes/cpu/scorer.sh "$BFCL/train.parquet" "$SCORER"
fi
make_model "$BFCL"
say "training: $STEPS steps of AWPO with judge=$JUDGE and verifier=$VERIFIER"
train "${overrides[@]}" "$@"
echo "The trained model: $TRAINED"
if ((EVAL)); then
    say "before and after on $EVAL_DATA"
    evaluate
fi
say_how_to_look
