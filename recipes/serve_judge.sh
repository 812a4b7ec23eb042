#!/usr/bin/env bash
# Serve a judging model by vLLM, wait until it answers, and say how to use it. Ctrl-C, or the end of the server, ends it.
#
#   GPUS=6,7 bash recipes/serve_judge.sh Qwen/Qwen3-32B
#   source recipes/cpu/env.sh && PATH=.venv/bin:$PATH bash recipes/serve_judge.sh outputs/cpu/smollm2     without a GPU
#
# Whatever follows the model is passed to `vllm serve` as it is.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
MODEL="${1:-}"
[[ -n $MODEL ]] || fail "which model? a Hugging Face id or folder"
need_model MODEL
shift
NAME="${NAME:-$(basename "$MODEL")}"    # what JUDGE_MODEL has to say
HOST="${HOST:-127.0.0.1}"               # 0.0.0.0 for other nodes; vLLM asks nobody for a key unless told --api-key
whole PORT 8000 1 65535
GPUS="${GPUS:-}"                        # devices of its own, as in CUDA_VISIBLE_DEVICES; tensor-parallel over all of them
whole WAIT_S 900 1

options=(--served-model-name "$NAME" --host "$HOST" --port "$PORT" --enable-prefix-caching)
if [[ -n $GPUS ]]; then
    export CUDA_VISIBLE_DEVICES="$GPUS"
    commas="${GPUS//[^,]/}"
    options+=(--tensor-parallel-size $((${#commas} + 1)))
fi

command -v vllm >/dev/null || fail "the command vllm is missing: install vllm, or put its environment on PATH"
vllm serve "$MODEL" "${options[@]}" "$@" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true' EXIT INT TERM
address=$([[ $HOST == 0.0.0.0 ]] && hostname -f || echo "$HOST")
for ((waited = 0; waited < WAIT_S; waited += 2)); do
    kill -0 "$server" 2>/dev/null || { echo "vllm serve ended before it answered; see above" >&2; exit 1; }
    if curl -fsS -m 5 "http://$HOST:$PORT/health" >/dev/null 2>&1; then
        printf '\nThe judge is ready:\n  JUDGE=llm JUDGE_URL=http://%s:%s/v1 JUDGE_MODEL=%s\n\n' "$address" "$PORT" "$NAME"
        wait "$server"
        exit
    fi
    sleep 2
done
echo "vllm serve did not answer on http://$HOST:$PORT/health within WAIT_S=$WAIT_S s" >&2
exit 1
