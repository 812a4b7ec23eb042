"""The sizes of a decoder-only language model, from its config.json or from published values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from reward_models.errors import UserError


class PlanError(UserError, ValueError):
    """A mistake that the user can fix; the message says how."""


@dataclass(frozen=True)
class Architecture:
    """A dense Llama-like decoder (Llama, Qwen2, Qwen3, SmolLM ...): gated MLP, grouped-query attention, RMSNorm."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    qkv_bias: bool = False
    qk_norm: bool = False

    @property
    def q_width(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_dim

    @property
    def layer_parameters(self) -> int:
        attention = self.hidden * (2 * self.q_width + 2 * self.kv_width)
        bias = (self.q_width + 2 * self.kv_width) if self.qkv_bias else 0
        norms = 2 * self.hidden + (2 * self.head_dim if self.qk_norm else 0)
        return attention + bias + norms + 3 * self.hidden * self.intermediate

    @property
    def embedding_parameters(self) -> int:
        """Embeddings and output head, once where they are tied."""
        return self.vocab * self.hidden * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        return self.layers * self.layer_parameters + self.hidden + self.embedding_parameters

    def lora_parameters(self, rank: int) -> int:
        """Of adapters on all linear layers of the blocks (verl's target_modules=all-linear)."""
        widths = [(self.hidden, self.q_width), (self.hidden, self.kv_width), (self.hidden, self.kv_width)]
        widths += [(self.q_width, self.hidden), (self.hidden, self.intermediate), (self.hidden, self.intermediate)]
        widths += [(self.intermediate, self.hidden)]
        return self.layers * rank * sum(inside + outside for inside, outside in widths)

    def kv_bytes_per_token(self, element: int = 2) -> int:
        return 2 * self.layers * self.kv_width * element


_QWEN3, _QWEN2 = 151936, 152064
# layers, hidden, heads, kv heads, head dim, intermediate, vocab, tied: from each model's published config.json
BUILT_IN = {
    "Qwen3-0.6B": Architecture(28, 1024, 16, 8, 128, 3072, _QWEN3, True, qk_norm=True),
    "Qwen3-1.7B": Architecture(28, 2048, 16, 8, 128, 6144, _QWEN3, True, qk_norm=True),
    "Qwen3-4B": Architecture(36, 2560, 32, 8, 128, 9728, _QWEN3, True, qk_norm=True),
    "Qwen3-8B": Architecture(36, 4096, 32, 8, 128, 12288, _QWEN3, False, qk_norm=True),
    "Qwen2.5-0.5B": Architecture(24, 896, 14, 2, 64, 4864, _QWEN3, True, qkv_bias=True),
    "Qwen2.5-1.5B": Architecture(28, 1536, 12, 2, 128, 8960, _QWEN3, True, qkv_bias=True),
    "Qwen2.5-3B": Architecture(36, 2048, 16, 2, 128, 11008, _QWEN3, True, qkv_bias=True),
    "Qwen2.5-7B": Architecture(28, 3584, 28, 4, 128, 18944, _QWEN2, False, qkv_bias=True),
}
_DENSE = ("llama", "qwen2", "qwen3", "mistral")


def find(name: str) -> Architecture:
    """By a folder with a config.json, or by name: `Qwen3-4B`, `Qwen/Qwen3-4B`, `Qwen2.5-7B-Instruct`. PlanError else."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return read(folder / "config.json")
    base = name.rstrip("/").split("/")[-1].lower()
    for known, architecture in BUILT_IN.items():
        if base == known.lower() or base.startswith(f"{known.lower()}-"):
            return architecture
    near = get_close_matches(base, [known.lower() for known in BUILT_IN], 1, 0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise PlanError(f"model {name!r}: no such folder, and not one of {', '.join(BUILT_IN)}{hint}")


def read(path: Path) -> Architecture:
    """PlanError where the file is missing, or of a model that is counted otherwise (experts, other attention)."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise PlanError(f"{path}: not JSON ({error})") from None
    try:
        return _from_config(config)
    except (KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise PlanError(f"{path}: {type(error).__name__} at {error}: not the config.json of a language model") from None


def _from_config(config: Mapping[str, Any]) -> Architecture:
    kind = str(config.get("model_type"))
    if kind not in _DENSE:
        raise PlanError(f"model_type={kind!r} is not counted; counted are dense models: {', '.join(_DENSE)}")
    heads = config["num_attention_heads"]
    return Architecture(
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or config["hidden_size"] // heads,
        intermediate=config["intermediate_size"],
        vocab=config["vocab_size"],
        tied=bool(config.get("tie_word_embeddings", kind not in ("llama", "mistral"))),
        qkv_bias=kind == "qwen2",
        qk_norm=kind == "qwen3",
    )
