#!/usr/bin/env bash
# AWPO with two ideas of DAPO (arXiv 2503.14476): dynamic sampling, and clip-higher on AWPO's moving radius.
# Groups whose rollouts are alike in outcome and reasoning are drawn anew: there, no advantage says anything. Filtering by
# the outcome alone would throw away the groups where AWPO leans on the judge.
#
#   bash recipes/run_awpo_dapo.sh
#   DRY_RUN=1 CLIP_HIGHER=1.2 bash recipes/run_awpo_dapo.sh
#
# Whatever follows the command is passed to verl as it is.
set -euo pipefail

MODEL="${MODEL:-Qwen/Qwen3-4B-Instruct-2507}"
OUT="${OUT:-outputs/dapo}"
CLIP_HIGHER="${CLIP_HIGHER:-1.4}"       # upper radius over the lower one; DAPO's 0.28 / 0.2

source "$(dirname "${BASH_SOURCE[0]}")/gpu_settings.sh"
start \
    +algorithm.awpo.clip_higher="$CLIP_HIGHER" \
    algorithm.filter_groups.enable=True \
    algorithm.filter_groups.metric=awpo \
    actor_rollout_ref.actor.loss_agg_mode=token-mean \
    "$@"
