"""The options of a classifier's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from reward_models.options import OneOf, Options, Range, Text
from reward_models.scorers.classifier.folder import OBJECTIVES
from reward_models.scorers.classifier.text import MAX_TOKENS, MIN_TOKENS

OWNER = "train-classifier"


@dataclass(frozen=True)
class TrainConfig(Options, owner=OWNER):
    """How a classifier is trained. ValueError names key, value and what is allowed.

    base_model: a folder, or a Hugging Face id, of an encoder or decoder that transformers can give a classification head.
    objective: one of OBJECTIVES.
    max_tokens: the longest input, in [64, 32768], and no longer than the model reads.
    epochs, batch_size, accumulate: the most epochs; pairs or rows at once; batches a step.
    learning_rate, weight_decay, warmup: of AdamW; warm-up as a share of all steps, then linear decay.
    checkpoints: how many times an epoch the validation loss is measured and a checkpoint written.
    patience: stop after so many measurements without a lower validation loss; the best checkpoint is kept.
    val_fraction: of the sources, where no validation file is given.
    lora_rank: 0 trains all weights; otherwise LoRA (Hu et al. 2021) on all linear layers, merged at the end.
    bf16: compute in bfloat16, for GPUs.
    device: `auto` (a GPU where there is one) or `cpu`.
    """

    base_model: Annotated[str, Text("a folder or a Hugging Face id")]
    objective: Annotated[str, OneOf(OBJECTIVES)] = "pairs"
    max_tokens: Annotated[int, Range(MIN_TOKENS, MAX_TOKENS)] = 512
    epochs: Annotated[int, Range(1, 1000)] = 3
    batch_size: Annotated[int, Range(1, 4096)] = 8
    accumulate: Annotated[int, Range(1, 4096)] = 1
    learning_rate: Annotated[float, Range(1e-8, 1)] = 5e-5
    weight_decay: Annotated[float, Range(0, 1)] = 0.01
    warmup: Annotated[float, Range(0, 0.9)] = 0.1
    checkpoints: Annotated[int, Range(1, 1000)] = 1
    patience: Annotated[int, Range(1, 1000)] = 2
    val_fraction: Annotated[float, Range(0.01, 0.5)] = 0.1
    lora_rank: Annotated[int, Range(0, 1024)] = 0
    bf16: bool = False
    device: Literal["auto", "cpu"] = "auto"
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
