# Sourced by the recipes without a GPU, at the repository's root, after recipes/lib.sh: what they share. Reads STEPS, OUT,
# MODEL, DRY_RUN and PYTHON; sets RUN, `shared` (verl's overrides), and the stages below.
OUT="$(realpath -m "$OUT")"
if [[ -n $MODEL ]]; then need_folder MODEL "a Hugging Face folder, or leave it empty for SmolLM2-135M"; MODEL="$(realpath "$MODEL")"; fi
START="${MODEL:-$OUT/cold_start}"       # what training starts from
RUN="$OUT/runs/$(date +%Y%m%d-%H%M%S)"
EMBEDDING_MODEL=""                      # the embedding judge finds the packaged one
source recipes/cpu/env.sh
command -v awpo >/dev/null || export PATH="$PWD/.venv/bin:$PATH"

mapfile -t shared < <(grep -hv '^#' recipes/cpu/training_overrides.txt recipes/cpu/verl_overrides.txt)
shared+=(
    actor_rollout_ref.model.path="$START"
    trainer.total_training_steps="$STEPS"
    trainer.test_freq="$STEPS"
    trainer.default_local_dir="$RUN/checkpoints"
    trainer.rollout_data_dir="$RUN/rollouts"
    hydra.run.dir="$RUN/hydra"
)
switch RECORD 1                         # 0: no record of each rollout (docs/record.md)
if ((RECORD)); then shared+=(+algorithm.awpo.record.path="$RUN/record"); fi

started=$SECONDS
say() { printf '\n== %s (after %d min %02d s)\n' "$*" $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)); }

check_configuration() { # <override ...>; only in a dry run
    if ! command -v awpo >/dev/null; then
        echo "The variables are valid. The configuration is not checked: there is no environment yet."
        echo "This recipe makes it in its first run, and so does recipes/cpu/setup_env.sh."
        exit 0
    fi
    awpo doctor --no-ray --no-reward "$@"
}

make_environment() {
    say "environment"
    PYTHON="$PYTHON" bash recipes/cpu/setup_env.sh
    export PATH="$PWD/.venv/bin:$PATH"
}

make_model() { # <folder with sft.parquet>
    if [[ -n $MODEL ]]; then return; fi
    say "model: SmolLM2-135M-Instruct"
    python recipes/cpu/make_model.py "$OUT/smollm2"
    say "cold start: verl's SFT trainer on 96 rows (cached)"
    bash recipes/cpu/cold_start.sh "$OUT/smollm2" "$1" "$START"
}

train() { # <override ...>
    mkdir -p "$RUN"
    echo "verl's whole log: $RUN/console.log"
    export VERL_FILE_LOGGER_PATH="$RUN/metrics.jsonl"
    python -m verl.trainer.main_ppo "$@" 2>&1 | awpo follow --log "$RUN/console.log" || {
        tail -n 40 "$RUN/console.log" >&2
        echo "Training failed; the whole log: $RUN/console.log" >&2
        exit 1
    }
    say "what happened"
    awpo summary "$RUN" --figure "$RUN/awpo.png"
}

say_how_to_look() { # last: the commands that open the run's own record
    if ((RECORD)); then
        echo "What a setting would have changed: awpo replay $RUN --set gate=none"
        echo "Each rollout with its reward: awpo view $RUN"
    fi
}
