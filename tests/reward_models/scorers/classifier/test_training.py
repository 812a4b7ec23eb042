"""Training: it learns what can be learned, the same each time, on from where it stopped; data that cannot teach is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit
from transformers import Trainer

from reward_models.labelled import write_labelled
from reward_models.scorers.classifier.data import Example, make_examples, split_by_source
from reward_models.scorers.classifier.model import load, make_renderer
from reward_models.scorers.classifier.text import read_template
from reward_models.scorers.classifier.trainer import make_collator, objective_loss
from reward_models.scorers.classifier.training import TrainConfig, train_classifier
from tests.reward_models.scorers.classifier.tiny_models import labelled_rows

OPTIONS = {"max_tokens": 160, "epochs": 2, "learning_rate": 3e-3, "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    write_labelled(path, labelled_rows(24))
    return path


def scores_of(folder):
    return load(folder).logits([row.rollout for row in labelled_rows(8, seed=5)])


@pytest.mark.parametrize(
    ("kind", "objective", "lora_rank"),
    [("bert", "pairs", 0), ("bert", "scores", 4), ("llama", "pairs", 8)],
)
def test_learns_to_tell_good_from_bad(kind, objective, lora_rank, data, tmp_path, request):
    base = request.getfixturevalue(f"tiny_{kind}")
    config = TrainConfig(str(base), objective, lora_rank=lora_rank, **{**OPTIONS, "epochs": 8, "patience": 8})
    train_classifier(config, data, tmp_path / "out", quiet=True)
    scores = scores_of(tmp_path / "out")
    assert (scores[0::2] > scores[1::2]).all()
    assert not (tmp_path / "out.checkpoints").exists()
    assert not list((tmp_path / "out").glob("adapter*"))  # merged: an ordinary folder


class Stopped(Exception):
    pass


def test_same_seed_same_model_and_resumed_is_the_same_too(tiny_bert, data, tmp_path, monkeypatch):
    config = TrainConfig(str(tiny_bert), "pairs", **OPTIONS, checkpoints=2)
    for name in ("first", "second"):
        train_classifier(config, data, tmp_path / name, quiet=True)
    assert (scores_of(tmp_path / "first") == scores_of(tmp_path / "second")).all()

    step = Trainer.training_step
    steps = []

    def stopping(self, *arguments, **options):
        steps.append(1)
        if len(steps) == 5:  # within the second epoch
            raise Stopped
        return step(self, *arguments, **options)

    monkeypatch.setattr(Trainer, "training_step", stopping)
    with pytest.raises(Stopped):
        train_classifier(config, data, tmp_path / "third", quiet=True)
    assert not (tmp_path / "third").exists()
    with pytest.raises(ValueError, match="go on with --resume"):
        train_classifier(config, data, tmp_path / "third", quiet=True)
    with pytest.raises(ValueError, match="was begun with seed=0, not 1"):
        train_classifier(replace(config, seed=1), data, tmp_path / "third", resume=True, quiet=True)
    train_classifier(config, data, tmp_path / "third", resume=True, quiet=True)
    assert scores_of(tmp_path / "third") == pytest.approx(scores_of(tmp_path / "first"), abs=1e-6)
    assert len(steps) < 5 + 2 * 3  # what was done before the checkpoint is not done again

    train_classifier(replace(config, seed=1), data, tmp_path / "other", quiet=True)
    assert (scores_of(tmp_path / "first") != scores_of(tmp_path / "other")).any()


def test_losses_are_what_the_docstring_says():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=6), rng.random(6)
    tensors = torch.tensor(logits), torch.tensor(labels)
    p = expit(logits)
    slow = {
        "pairs": -np.mean([np.log(expit(logits[i] - logits[i + 1])) for i in (0, 2, 4)]),
        "scores": np.mean((p - labels) ** 2),
        "labels": -np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p)),
    }
    for objective, value in slow.items():
        assert float(objective_loss(objective, *tensors)) == pytest.approx(value)


def test_a_pair_makes_two_rows_the_better_first():
    batch = make_collator(9)([Example([1, 2], 1.0, [3]), Example([4], 1.0, [5, 6, 7])])
    assert batch["input_ids"].tolist() == [[1, 2, 9], [3, 9, 9], [4, 9, 9], [5, 6, 7]]
    assert batch["attention_mask"].sum(1).tolist() == [2, 1, 1, 3]
    assert batch["labels"].tolist() == [1, 0, 1, 0]


def test_a_split_keeps_sources_together():
    rows = labelled_rows(20)
    train, val = split_by_source(rows, 0.2, seed=0)
    assert len(train) == 32 and len(val) == 8
    assert not {row.source for row in train} & {row.source for row in val}
    assert split_by_source(rows[::-1], 0.2, seed=0)[1] == val[::-1]
    assert split_by_source(rows, 0.2, seed=1)[1] != val
    with pytest.raises(ValueError, match="rows of 1 source cannot be split"):
        split_by_source(rows[:2], 0.2, seed=0)


def change(rows, **values):
    return [replace(row, **values) for row in rows]


@pytest.mark.parametrize(
    ("objective", "rows", "message"),
    [
        ("pairs", change(labelled_rows(9), pair=None), "no row has a `pair`"),
        ("pairs", [row for row in labelled_rows(9) if row.pair], "which is missing: keep pairs together"),
        ("pairs", change(labelled_rows(9), label=0.5), "`pair` belongs to the worse row"),
        ("labels", change(labelled_rows(9), label=1.0), "labels are 1.0: add rows of good and of bad"),
        ("scores", change(labelled_rows(9), label=0.25), "labels are 0.25: add rows of good and of bad"),
    ],
)
def test_rows_that_cannot_teach_are_refused(objective, rows, message, tiny_bert, tmp_path):
    write_labelled(tmp_path / "rows.jsonl", rows)
    with pytest.raises(ValueError, match=message):
        train_classifier(TrainConfig(str(tiny_bert), objective), tmp_path / "rows.jsonl", tmp_path / "out", quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_rows_without_a_thought_are_left_out_and_counted(tiny_bert):
    renderer = make_renderer(tiny_bert, 160, read_template())
    rows = labelled_rows(4)
    rows[1] = replace(rows[1], rollout=replace(rows[1].rollout, response="no thought"))
    examples, silent = make_examples(rows, "labels", renderer, "rows")
    assert (len(examples), silent) == (7, 1)
    examples, silent = make_examples(rows, "pairs", renderer, "rows")
    assert (len(examples), silent) == (3, 1)
    mute = [replace(row, rollout=replace(row.rollout, response="")) for row in rows]
    with pytest.raises(ValueError, match="all 4 pairs hold a row without a thought"):
        make_examples(mute, "pairs", renderer, "rows")
    with pytest.raises(ValueError, match="no row has a thought"):
        make_examples(mute, "labels", renderer, "rows")


def test_validation_rows_must_be_of_other_sources(tiny_bert, data, tmp_path):
    with pytest.raises(ValueError, match="share 24 sources"):
        train_classifier(TrainConfig(str(tiny_bert)), data, tmp_path / "out", data, quiet=True)


def test_folders_are_not_overwritten_and_nothing_is_resumed_from_nothing(tiny_bert, data, tmp_path):
    config = TrainConfig(str(tiny_bert), max_tokens=128)
    with pytest.raises(ValueError, match="nothing can be resumed"):
        train_classifier(config, data, tmp_path / "out", resume=True, quiet=True)
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="already exists"):
        train_classifier(config, data, tmp_path / "out", quiet=True)


def test_a_base_model_that_does_not_do_is_refused(tiny_bert, data, tmp_path):
    for config, message in (
        (TrainConfig(str(tmp_path / "none")), "tokenizer cannot be loaded"),
        (TrainConfig(str(tiny_bert), max_tokens=1024), "is more than the model's 512"),
    ):
        with pytest.raises(ValueError, match=message):
            train_classifier(config, data, tmp_path / "out", quiet=True)
        assert not (tmp_path / "out.checkpoints").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_model": " "}, "base_model=' '"),
        ({"objective": "x"}, "objective='x' is not known; known: pairs, scores, labels"),
        ({"max_tokens": 8}, "max_tokens=8 must be an integer"),
        ({"epochs": 0}, "epochs=0"),
        ({"learning_rate": 2}, "learning_rate=2"),
        ({"val_fraction": 0}, "val_fraction=0"),
        ({"lora_rank": -1}, "lora_rank=-1"),
        ({"device": "tpu"}, "device='tpu'"),
    ],
)
def test_bad_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**{"base_model": "x", **options})


def test_metadata_survives_json(tiny_bert, data, tmp_path):
    train_classifier(TrainConfig(str(tiny_bert), **OPTIONS), data, tmp_path / "out", quiet=True)
    text = (tmp_path / "out" / "awpo_scorer.json").read_text()
    found = json.loads(text)
    assert found["base_model"] == "bert" and str(tmp_path) not in text
    assert found["training"]["options"]["seed"] == 0
