#!/usr/bin/env bash
# Any of the GPU recipes on several nodes by SLURM: Ray's head on the first node, workers on the others, then the recipe.
#
#   sbatch recipes/slurm.sh recipes/run_awpo_qwen3.sh data.train_batch_size=1024
#   SIZE=8b sbatch --nodes=4 recipes/slurm.sh recipes/run_awpo_qwen3.sh
#   DRY_RUN=1 NNODES=2 bash recipes/slurm.sh recipes/run_awpo_qwen3.sh     checks the configuration; needs neither SLURM nor GPU
#
# Start it in the repository, on a file system and with an environment (`awpo` and `python` on PATH) that all nodes share.
# A job that is requeued resumes from its last checkpoint. Whatever follows the recipe is passed to verl as it is.
#SBATCH --job-name=awpo
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --exclusive
#SBATCH --requeue
#SBATCH --output=awpo-%j.log
set -euo pipefail

# SLURM runs a copy of this file, so the folder is the one that the job was started in.
[[ -f recipes/lib.sh ]] || { echo "error: start this in the repository, where recipes/ is" >&2; exit 2; }
source recipes/lib.sh
RECIPE="${1:-}"
[[ -n $RECIPE ]] || fail "which recipe? such as recipes/run_awpo_qwen3.sh"
need_file "$RECIPE" "give a recipe, such as recipes/run_awpo_qwen3.sh"
shift
whole NNODES "${SLURM_NNODES:-1}" 1
whole GPUS_PER_NODE "${SLURM_GPUS_ON_NODE:-8}" 1
whole PORT 6379 1 65535
whole WAIT_S 300 1
switch DRY_RUN 0
export NNODES GPUS_PER_NODE DRY_RUN

if ((DRY_RUN)); then
    exec bash "$RECIPE" "$@"
fi

[[ -n ${SLURM_JOB_NODELIST:-} ]] || fail "this is no SLURM job: start it by sbatch, or with DRY_RUN=1; on one node start $RECIPE"
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head="${nodes[0]}"
address="$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname -I | awk '{print $1}'):$PORT"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --port="$PORT" --num-gpus="$GPUS_PER_NODE" --block &
if ((NNODES > 1)); then
    srun --overlap --nodes=$((NNODES - 1)) --ntasks=$((NNODES - 1)) --exclude="$head" \
        ray start --address="$address" --num-gpus="$GPUS_PER_NODE" --block &
fi

# verl stops at once where a GPU is missing, so wait for all nodes
count='import ray; ray.init(logging_level="ERROR"); print(sum(node["Alive"] for node in ray.nodes()))'
joined=0
for ((waited = 0; waited < WAIT_S && joined < NNODES; waited += 5)); do
    sleep 5
    joined="$(RAY_ADDRESS="$address" python -c "$count" 2>/dev/null || echo 0)"
done
((joined >= NNODES)) || { echo "$joined of $NNODES nodes joined Ray at $address within WAIT_S=$WAIT_S s" >&2; exit 1; }
RAY_ADDRESS="$address" bash "$RECIPE" "$@"
