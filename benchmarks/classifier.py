"""Train, calibrate and test a classifier on a CPU: the figures of docs/scorer_models.md.

    awpo data bfcl --out rows --categories simple_python --tool-format compact --val-rows 48 --sft-rows 96
    awpo scorer data --from bfcl rows/train.parquet --eval-rows 60 --out data
    python benchmarks/classifier.py data out

Trains on pairs, a few spoilt thoughts a source; calibrates on sources kept apart; tests on the eval file, whose held-out
kinds it has never seen, beside the length of the thought alone. Without --base it is a small encoder made from a config,
with random weights. Stopped, the same command goes on.
"""

import argparse
import os
import random
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from reward_models.labelled import HONEST, read_labelled, write_labelled
from reward_models.parsing import parse_response
from reward_models.scorers.card import write_card
from reward_models.scorers.classifier.measures import calibrate, figures, measure
from reward_models.scorers.classifier.model import load
from reward_models.scorers.classifier.training import TrainConfig, train_classifier


def split(data, out, spoilt, calibration_sources):
    """train.jsonl with at most `spoilt` spoilt thoughts a source, and calibration.jsonl."""
    by_source = defaultdict(list)
    for row in read_labelled(data / "train.jsonl"):
        by_source[row.source].append(row)
    rng = random.Random(0)
    sources = sorted(by_source)
    rng.shuffle(sources)
    held, taught = sources[:calibration_sources], sources[calibration_sources:]
    rows = []
    for source in taught:
        bad = [row for row in by_source[source] if row.kind not in (HONEST, "empty")]
        rows += [row for row in by_source[source] if row.kind == HONEST] + rng.sample(bad, min(spoilt, len(bad)))
    write_labelled(out / "train.jsonl", rows)
    write_labelled(out / "calibration.jsonl", [row for source in held for row in by_source[source]])


def make_small(folder):
    """2 layers, 128 wide, with the words of the packaged MiniLM."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    from reward_models.encoders.sentence import find_model

    tokenizer = AutoTokenizer.from_pretrained(find_model(None))
    shape = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 512}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **shape)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def shown(title, found, seen):
    print(f"\n{title}: {found['rows']} rows of {found['sources']} sources")
    print(
        f"AUC {found['auc']:.3f} ({found['auc_low']:.3f} to {found['auc_high']:.3f}), pairs {found['pair_accuracy']:.3f}"
    )
    for kind, value in sorted(found["by_kind"].items(), key=lambda item: -item[1]):
        print(f"  {kind:20} {value:.3f}{'' if kind in seen else '  (kind never seen)'}")
    new = [value for kind, value in found["by_kind"].items() if kind not in seen]
    print(f"  mean over {len(new)} kinds never seen: {np.mean(new):.3f}; calibration error {found['ece']:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", help="a model's folder; default: a small random encoder")
    parser.add_argument("--max-tokens", type=int, default=192)
    parser.add_argument("--spoilt", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--lora-rank", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.out / "scorer"
    if not (options.out / "train.jsonl").exists():
        options.out.mkdir(parents=True, exist_ok=True)
        split(options.data, options.out, options.spoilt, 40)
    base = options.base or make_small(options.out / "small")
    config = TrainConfig(
        base,
        "pairs",
        max_tokens=options.max_tokens,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        lora_rank=options.lora_rank,
        checkpoints=8,
        patience=16,
        val_fraction=0.04,
        device="cpu",
    )
    started = time.perf_counter()
    if not folder.exists():
        resume = (options.out / "scorer.checkpoints").exists()
        train_classifier(config, options.out / "train.jsonl", folder, resume=resume, quiet=True)
        print(
            f"trained in {time.perf_counter() - started:.0f} s{' (resumed)' if resume else ''}; load {os.getloadavg()}"
        )
    found = calibrate(folder, options.out / "calibration.jsonl")
    print(f"calibration ({found['form']}): error {found['ece_before']:.3f} -> {found['ece_after']:.3f}, cross-fitted")
    rows, seen = (
        read_labelled(options.data / "eval.jsonl"),
        {row.kind for row in read_labelled(options.out / "train.jsonl")},
    )
    seen.add("empty")  # scored 0 without the model
    started = time.perf_counter()
    tested = measure(load(folder), rows)
    shown("classifier", tested, seen)
    print(f"  {len(rows) / (time.perf_counter() - started):.0f} rollouts/s with {options.threads} threads")
    length = np.array([len(parse_response(row.rollout.response).thought or "") for row in rows], dtype=float)
    shown("length of the thought alone", figures(length / length.max(), rows), seen)
    print(write_card(folder))


if __name__ == "__main__":
    main()
