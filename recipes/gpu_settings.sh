# Sourced by the recipes for GPUs, after MODEL and OUT are set: `settings`, the verl overrides that they share, and
# `start`, which trains with them and evaluates. What is missing ends the dry run too: these recipes make no data. The values follow docs/method.md ("training setup", a reconstruction).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
DATA="${DATA:-data/toolrl}"             # folder with train.parquet and val.parquet, made by `awpo data`
JUDGE="${JUDGE:-embedding}"             # embedding, llm, none, or package.module:Class
JUDGE_URL="${JUDGE_URL:-}"              # llm: an OpenAI-compatible API; recipes/serve_judge.sh serves one
JUDGE_MODEL="${JUDGE_MODEL:-}"          # llm: the model's name there
VERIFIER="${VERIFIER:-strict}"          # strict, toolrl (the published form), or another of docs/verifiers.md
DIALECT="${DIALECT:-}"                  # strict: the form of a call, such as hermes; empty: the one that DATA is made for
THINKING="${THINKING:-template}"        # opened: the prompt ends in an open thought; auto: it does not; template: as the model's says
switch EVAL 1                           # 1: after training, starting model and last checkpoint on EVAL_DATA, compared
EVAL_DATA="${EVAL_DATA:-$DATA/val.parquet}"
whole NNODES 1 1                        # more than one: docs/recipes.md, "several nodes"
whole GPUS_PER_NODE 8 1
choice ATTENTION auto auto flash_attention_2 sdpa    # auto: flash-attn where it imports, else PyTorch's own
RESUME="${RESUME:-auto}"                # auto: from the last checkpoint in OUT; disable; or a folder global_step_<n>
switch RECORD 1                         # 0: no record of each rollout in OUT/record (docs/record.md)
switch DRY_RUN 0                        # 1: resolve and check the whole configuration; needs no GPU

need_model MODEL
for name in train val; do
    need_file "$DATA/$name.parquet" "set DATA, or make it: awpo data toolrl --out data/toolrl (docs/your_own_data.md for yours)"
done
if ((EVAL)); then need_file "$EVAL_DATA" "set EVAL_DATA to a parquet file of awpo data, or EVAL=0"; fi
[[ $RESUME == auto || $RESUME == disable ]] || need_folder RESUME "auto, disable, or a folder global_step_<n>"

if [[ $ATTENTION == auto ]]; then
    if why="$(python -c 'import flash_attn' 2>&1)"; then
        ATTENTION=flash_attention_2
    else
        ATTENTION=sdpa
        echo "attention: sdpa; flash_attn does not import (${why##*$'\n'})" >&2
    fi
fi

EMBEDDING_MODEL=sentence-transformers/all-MiniLM-L6-v2    # the same small model as on CPU, from the Hugging Face hub
source "$(dirname "${BASH_SOURCE[0]}")/reward_options.sh"

settings=(
    algorithm.adv_estimator=awpo
    actor_rollout_ref.actor.policy_loss.loss_mode=awpo
    +algorithm.awpo.clip_max=0.2
    +algorithm.awpo.clip_min=0.1

    data.train_files="$DATA/train.parquet"
    data.val_files="$DATA/val.parquet"
    data.train_batch_size=512
    data.max_prompt_length=2048
    data.max_response_length=2048
    data.filter_overlong_prompts=True

    actor_rollout_ref.model.path="$MODEL"
    ++actor_rollout_ref.model.override_config.attn_implementation="$ATTENTION"
    actor_rollout_ref.model.enable_gradient_checkpointing=True
    actor_rollout_ref.actor.strategy=fsdp2
    actor_rollout_ref.actor.optim.lr=1e-6
    actor_rollout_ref.actor.ppo_mini_batch_size=64
    actor_rollout_ref.actor.use_dynamic_bsz=True
    actor_rollout_ref.actor.ppo_max_token_len_per_gpu=16384
    actor_rollout_ref.actor.use_kl_loss=False
    actor_rollout_ref.actor.entropy_coeff=0

    actor_rollout_ref.rollout.name=vllm
    actor_rollout_ref.rollout.n=4
    actor_rollout_ref.rollout.temperature=1.0
    actor_rollout_ref.rollout.tensor_model_parallel_size=1
    actor_rollout_ref.rollout.gpu_memory_utilization=0.6
    actor_rollout_ref.rollout.calculate_log_probs=True
    actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=True
    actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu=32768

    "${reward[@]}"

    critic.enable=False
    trainer.nnodes="$NNODES"
    trainer.n_gpus_per_node="$GPUS_PER_NODE"
    trainer.total_epochs=15
    trainer.save_freq=20
    trainer.test_freq=10
    trainer.default_local_dir="$OUT/checkpoints"
    trainer.rollout_data_dir="$OUT/rollouts"
    trainer.project_name=awpo
    trainer.experiment_name="$(basename "$OUT")"
    trainer.logger='["console","file","tensorboard"]'
    +algorithm.awpo.examples.every=10
)
if ((RECORD)); then settings+=(+algorithm.awpo.record.path="$OUT/record"); fi
case "$RESUME" in
    auto | disable) settings+=(trainer.resume_mode="$RESUME") ;;
    *) settings+=(trainer.resume_mode=resume_path trainer.resume_from_path="$RESUME") ;;
esac

# Train with the overrides given, which come after the shared ones and win, then evaluate; with DRY_RUN=1 check both instead.
start() {
    if ((DRY_RUN)); then
        awpo doctor --no-ray --no-reward "${settings[@]}" "$@"
    else
        mkdir -p "$OUT"
        export VERL_FILE_LOGGER_PATH="${VERL_FILE_LOGGER_PATH:-$OUT/metrics-$(date +%Y%m%d-%H%M%S).jsonl}" # `awpo summary`
        python -m verl.trainer.main_ppo "${settings[@]}" "$@"
    fi
    if ((EVAL)); then
        VERIFIER="$VERIFIER" DIALECT="$DIALECT" THINKING="$THINKING" DRY_RUN="$DRY_RUN" bash "$(dirname "${BASH_SOURCE[0]}")/evaluate.sh" \
            "$MODEL" "$OUT/checkpoints" "$EVAL_DATA" "$OUT/eval" \
            --max-tokens 2048 --concurrency 256 --vllm-args "--max-model-len 4096"
    fi
}
