#!/usr/bin/env bash
# AWPO on Qwen3-4B-Instruct-2507 with tool-use data: one node of 8 GPUs, or NNODES of them over Ray.
# The settings follow docs/method.md ("training setup", a reconstruction).
#
#   pip install -e '.[gpu]' && bash recipes/run_awpo_qwen4b.sh
#   DRY_RUN=1 bash recipes/run_awpo_qwen4b.sh       resolve and check the whole configuration; needs no GPU
#   JUDGE=llm JUDGE_URL=http://judge:8000/v1 JUDGE_MODEL=Qwen/Qwen3-32B bash recipes/run_awpo_qwen4b.sh
#
# Data: ToolRL's 4k split, brought into verl's schema once:
#   awpo data toolrl <ToolRL's train.parquet> --out data/toolrl
# Several nodes: `ray start --head` on the first, `ray start --address=...` on the others, then this script on the first
# with NNODES set. A run that was interrupted resumes from its last checkpoint when started again.
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

MODEL="${MODEL:-Qwen/Qwen3-4B-Instruct-2507}"
DATA="${DATA:-data/toolrl}"             # folder with train.parquet and val.parquet
OUT="${OUT:-outputs/qwen4b}"            # checkpoints, metrics, rollouts
JUDGE="${JUDGE:-embedding}"             # embedding, llm, none, or package.module:Class
JUDGE_URL="${JUDGE_URL:-}"              # llm: an OpenAI-compatible API; recipes/serve_judge.sh serves one
JUDGE_MODEL="${JUDGE_MODEL:-}"          # llm: the model's name there
VERIFIER="${VERIFIER:-strict}"          # strict, toolrl (the published form), or another of docs/verifiers.md
NNODES="${NNODES:-1}"
GPUS_PER_NODE="${GPUS_PER_NODE:-8}"
DRY_RUN="${DRY_RUN:-0}"

EMBEDDING_MODEL=sentence-transformers/all-MiniLM-L6-v2    # the same small model as on CPU, from the Hugging Face hub
source "$(dirname "${BASH_SOURCE[0]}")/reward_options.sh"

overrides=(
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
    trainer.resume_mode=auto
    trainer.default_local_dir="$OUT/checkpoints"
    trainer.rollout_data_dir="$OUT/rollouts"
    trainer.project_name=awpo
    trainer.experiment_name=qwen4b
    trainer.logger='["console","tensorboard"]'
)

if [[ $DRY_RUN == 1 ]]; then
    exec awpo doctor --no-ray --no-reward "${overrides[@]}" "$@"
fi
exec python -m verl.trainer.main_ppo "${overrides[@]}" "$@"
