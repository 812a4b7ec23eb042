"""What a run imports only in its workers is imported by `awpo doctor`, and packed rows stay apart without flash-attn."""

import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.verl_plugin.config_check import compose
from awpo_ext.verl_plugin.run_imports import ATTENTION, import_problems


def loader(*missing: str):
    def load(module: str) -> None:
        if module in missing:
            raise OSError(f"{module}: undefined\nsymbol")

    return load


@pytest.mark.parametrize(
    ("overrides", "missing", "parts"),
    [
        ([], ("flash_attn",), [f"set ++{ATTENTION}=sdpa", "undefined symbol", "install.md"]),
        ([f"++{ATTENTION}=sdpa"], ("flash_attn",), []),
        (["trainer.device=cpu"], ("flash_attn",), []),
        ([], ("vllm",), ["rollout.name=vllm", "verl[vllm]"]),
        (["actor_rollout_ref.rollout.name=sglang"], ("vllm", "sglang"), ["verl[sglang]"]),
        ([], (), []),
    ],
)
def test_a_package_that_does_not_import_is_named_with_its_key(overrides, missing, parts, monkeypatch):
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    if not any("rollout.name" in override for override in overrides):
        overrides = [*overrides, "actor_rollout_ref.rollout.name=vllm"]
    found = import_problems(compose(overrides), loader(*missing))
    assert len(found) == bool(parts) and [part for part in parts if part not in "".join(found)] == []


def test_sdpa_keeps_packed_rows_apart(tiny_llama):
    """verl packs rows into one (use_remove_padding) and passes positions without a mask: each row must see itself alone."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_llama, attn_implementation="sdpa").eval()
    rows = [torch.randint(model.config.vocab_size, (1, length)) for length in (7, 5, 1)]
    positions = torch.cat([torch.arange(row.shape[1]) for row in rows])[None]
    with torch.no_grad():
        alone = torch.cat([model(input_ids=row).logits for row in rows], dim=1)
        packed = model(input_ids=torch.cat(rows, dim=1), position_ids=positions, use_cache=False).logits
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-5)
