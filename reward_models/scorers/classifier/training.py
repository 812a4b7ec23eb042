"""Train a classifier on labelled rollouts, and save it as an ordinary folder. The losses: classifier_trainer.py."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reward_models.labelled import LabelledRollout, read_labelled
from reward_models.scorers.classifier.config import OWNER, TrainConfig
from reward_models.scorers.classifier.data import check_disjoint, make_examples, split_by_source
from reward_models.scorers.classifier.folder import (
    PROBLEM_TYPE,
    TEMPLATE_COPY,
    ClassifierMetadata,
    write_metadata,
)
from reward_models.scorers.classifier.measures import measure
from reward_models.scorers.classifier.model import Classifier, make_renderer
from reward_models.scorers.classifier.text import read_template, template_hash
from reward_models.scorers.classifier.trainer import make_trainer
from reward_models.scorers.sources import file_hash, write_sources

_RECORD = "options.json"


def train_classifier(
    config: TrainConfig, data: Path, out: Path, val: Path | None = None, *, resume: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Train on `data`, validate on `val` (or on sources kept apart), save to `out`; returns the validation figures.

    Checkpoints are kept in `<out>.checkpoints` while it trains; `resume` goes on from the last one, as
    if there had been no stop. Same options, data and seed give the same weights on the same machine. ValueError, before
    anything is loaded, where data, options or folders do not fit.
    """
    if out.exists():
        raise ValueError(f"{out}: already exists: choose another folder, or remove it")
    train_rows, val_rows = _rows(config, data, val)
    renderer = make_renderer(config.base_model, config.max_tokens, read_template())
    train_set, silent = make_examples(train_rows, config.objective, renderer, "training rows")
    val_set, _ = make_examples(val_rows, config.objective, renderer, "validation rows")
    work = out.with_name(out.name + ".checkpoints")
    record = {**asdict(config), "data": file_hash(data), "val": file_hash(val) if val else None}
    resuming = _check_work(work, record, resume)

    model = _make_model(config, renderer.tokenizer)
    if not work.exists():
        work.mkdir(parents=True)
        (work / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    trainer = make_trainer(config, model, train_set, val_set, renderer.tokenizer.pad_token_id, work, quiet)
    trainer.train(resume_from_checkpoint=resuming)
    model = trainer.accelerator.unwrap_model(trainer.model)
    if config.lora_rank:
        model = model.merge_and_unload()
    metrics = measure(Classifier(model.eval(), renderer, None), val_rows)

    unfinished = work / "finished"
    unfinished.mkdir(exist_ok=True)
    model.save_pretrained(unfinished)
    renderer.tokenizer.save_pretrained(unfinished)
    (unfinished / TEMPLATE_COPY).write_text(renderer.template, encoding="utf-8")
    write_sources(unfinished, (row.source for row in train_rows))
    training = {
        "data_sha256": record["data"],
        "rows": len(train_rows),
        "examples": len(train_set),
        "rows_without_thought": silent,
        "sources": len({row.source for row in train_rows}),
        "kinds": sorted({row.kind for row in train_rows}),
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "options": {key: value for key, value in asdict(config).items() if key != "base_model"},
        "versions": {name: version(name) for name in ("torch", "transformers", "numpy")},
    }
    metadata = ClassifierMetadata(
        base_model=_base_name(config.base_model),
        objective=config.objective,
        max_tokens=config.max_tokens,
        template=template_hash(renderer.template),
        training=training,
        metrics={"validation": metrics},
    )
    write_metadata(unfinished, metadata)
    unfinished.replace(out)
    shutil.rmtree(work)
    return metrics


def _rows(config: TrainConfig, data: Path, val: Path | None) -> tuple[list[LabelledRollout], list[LabelledRollout]]:
    rows = read_labelled(data)
    if val is None:
        return split_by_source(rows, config.val_fraction, config.seed)
    val_rows = read_labelled(val)
    check_disjoint(rows, val_rows)
    return rows, val_rows


def _check_work(work: Path, record: dict[str, Any], resume: bool) -> bool:
    """Whether there is a checkpoint to go on from; ValueError where the folder belongs to other options."""
    path = work / _RECORD
    if not work.exists():
        if resume:
            raise ValueError(f"{work}: does not exist, so nothing can be resumed: leave --resume out")
        return False
    if not resume:
        raise ValueError(f"{work}: an earlier training was stopped: go on with --resume, or remove that folder")
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}): remove {work} and train from the start") from None
    for key in record:
        if earlier.get(key) != record[key]:
            raise ValueError(
                f"{work}: was begun with {key}={earlier.get(key)!r}, not {record[key]!r}: resume with the same, or "
                "remove that folder"
            )
    return any(work.glob("checkpoint-*"))


def _make_model(config: TrainConfig, tokenizer: Any) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification, set_seed
    from transformers.utils import logging as messages

    set_seed(config.seed)  # the new head's weights
    level = messages.get_verbosity()
    messages.set_verbosity_error()  # it warns that the head is new, as it should be
    try:
        dtype = torch.bfloat16 if config.bf16 and config.lora_rank else torch.float32
        model = AutoModelForSequenceClassification.from_pretrained(
            config.base_model,
            num_labels=1,
            problem_type=PROBLEM_TYPE,
            dtype=dtype,
            trust_remote_code=False,
        )
    except Exception as error:
        raise ValueError(f"{OWNER}: base_model={config.base_model!r} cannot be loaded ({error})") from error
    finally:
        messages.set_verbosity(level)
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if longest is not None and config.max_tokens > longest:
        raise ValueError(f"{OWNER}: max_tokens={config.max_tokens} is more than the model's {longest}")
    model.config.pad_token_id = tokenizer.pad_token_id
    if not config.lora_rank:
        return model
    from peft import LoraConfig, TaskType, get_peft_model

    # The new head is trained in full: peft knows it by the task.
    lora = LoraConfig(
        task_type=TaskType.SEQ_CLS, r=config.lora_rank, lora_alpha=2 * config.lora_rank, target_modules="all-linear"
    )
    return get_peft_model(model, lora)


def _base_name(base_model: str) -> str:
    """A folder's last part: its place on this machine says nothing elsewhere."""
    return Path(base_model).name if Path(base_model).is_dir() else base_model
