"""The objectives of a classifier, and transformers' Trainer set up for them.

Objectives, on the model's one output z:
    pairs: -log sigmoid(z_better - z_worse) (Bradley and Terry 1952);
    scores: (sigmoid(z) - label)^2;
    labels: binary cross-entropy of sigmoid(z) and the label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reward_models.scorers.classifier.config import TrainConfig
from reward_models.scorers.classifier.data import Example
from reward_models.scorers.classifier.text import pad


def make_trainer(
    config: TrainConfig,
    model: Any,
    train_set: Sequence[Example],
    val_set: Sequence[Example],
    pad_id: int,
    work: Path,
    quiet: bool,
) -> Any:
    """A Trainer that keeps its checkpoints in `work` and the best one at the end. pad_id: of the tokenizer."""
    from transformers import EarlyStoppingCallback, Trainer

    class ObjectiveTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
            outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            loss = objective_loss(config.objective, outputs.logits[:, 0].float(), inputs["labels"])
            return (loss, outputs) if return_outputs else loss

    trainer = ObjectiveTrainer(
        model=model,
        args=_arguments(config, len(train_set), work, quiet),
        train_dataset=list(train_set),
        eval_dataset=list(val_set),
        data_collator=make_collator(pad_id),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=config.patience)],
    )
    # The loss is the mean over a batch: the Trainer must not divide it by a number of tokens.
    trainer.model_accepts_loss_kwargs = False
    return trainer


def _arguments(config: TrainConfig, examples: int, work: Path, quiet: bool) -> Any:
    from transformers import TrainingArguments

    steps = math.ceil(examples / (config.batch_size * config.accumulate))
    every = max(1, math.ceil(steps / config.checkpoints))
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulate,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup,
        eval_strategy="steps",
        save_strategy="steps",
        logging_strategy="steps",
        eval_steps=every,
        save_steps=every,
        logging_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        label_names=["labels"],
        prediction_loss_only=True,
        remove_unused_columns=False,
        seed=config.seed,
        data_seed=config.seed,
        bf16=config.bf16,
        use_cpu=config.device == "cpu",
        report_to="none",
        disable_tqdm=quiet,
        dataloader_pin_memory=False,
    )


def objective_loss(objective: str, logits: Any, labels: Any) -> Any:
    """The mean loss. logits, labels: (N,); for `pairs` N is even, better and worse in turn, and the labels go unread."""
    from torch.nn import functional as F

    if objective == "pairs":
        return -F.logsigmoid(logits[0::2] - logits[1::2]).mean()
    if objective == "scores":
        return F.mse_loss(logits.sigmoid(), labels)
    return F.binary_cross_entropy_with_logits(logits, labels)


def make_collator(pad_id: int) -> Callable[[list[Example]], dict[str, Any]]:
    """Examples -> tensors `input_ids`, `attention_mask` (N, longest) and `labels` (N,); a pair makes two rows."""
    import torch

    def collate(examples: list[Example]) -> dict[str, Any]:
        rows, labels = [], []
        for example in examples:
            rows.append(example.ids)
            labels.append(example.label)
            if example.worse is not None:
                rows.append(example.worse)
                labels.append(0.0)
        ids, mask = pad(rows, pad_id)
        return {
            "input_ids": torch.tensor(ids),
            "attention_mask": torch.tensor(mask),
            "labels": torch.tensor(np.array(labels, dtype=np.float32)),
        }

    return collate
