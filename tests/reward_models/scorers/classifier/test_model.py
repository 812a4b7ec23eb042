"""A classifier's folder and its scores: whatever the batch, the same; what is broken is refused with its fix."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from scipy.special import expit

from reward_models.labelled import write_labelled
from reward_models.scorers.calibration import Platt
from reward_models.scorers.card import write_card
from reward_models.scorers.classifier.folder import ClassifierMetadata, check_folder, read_metadata
from reward_models.scorers.classifier.measures import calibrate, figures
from reward_models.scorers.classifier.model import load
from reward_models.scorers.classifier.training import TrainConfig, train_classifier
from reward_models.scorers.sources import trained_on
from reward_models.types import Rollout
from tests.reward_models.scorers.classifier.tiny_models import TOOLS, labelled_rows, rollout

OPTIONS = {"max_tokens": 160, "epochs": 2, "learning_rate": 2e-3, "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    write_labelled(path, labelled_rows(24))
    return path


@pytest.fixture(scope="module", params=["bert", "llama"])
def trained(request, data, tmp_path_factory):
    base = request.getfixturevalue(f"tiny_{request.param}")
    out = tmp_path_factory.mktemp("trained") / request.param
    train_classifier(TrainConfig(str(base), "labels", **OPTIONS), data, out, quiet=True)
    return out


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "scorer")


def some_rollouts():
    lengths = (1, 40, 3, 90, 12, 7, 60, 2)
    return [rollout("because " * length + "[PAD]") for length in lengths]


def test_neither_order_nor_neighbours_change_a_score(trained):
    rollouts = some_rollouts()
    classifier = load(trained)
    together = classifier.logits(rollouts)
    alone = np.concatenate([classifier.logits([item]) for item in rollouts])
    assert np.ptp(together) > 1e-4
    assert together == pytest.approx(alone, abs=1e-5)
    assert classifier.logits(rollouts[::-1])[::-1] == pytest.approx(together, abs=1e-5)
    assert classifier.score(rollouts) == pytest.approx(expit(together), abs=1e-9)
    assert classifier.score([]).shape == (0,)


def test_is_an_ordinary_folder_of_transformers(trained):
    """Scored by transformers alone, from the text and the tokenizer's own padding."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    classifier, rollouts = load(trained), some_rollouts()[:3]
    tokenizer = AutoTokenizer.from_pretrained(trained)
    model = AutoModelForSequenceClassification.from_pretrained(trained).eval()
    texts = [classifier._renderer.text(item) for item in rollouts]
    batch = tokenizer(texts, return_tensors="pt", padding=True, split_special_tokens=True)
    with torch.inference_mode():
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
    assert classifier.logits(rollouts) == pytest.approx(logits.numpy(), abs=1e-5)


def test_without_a_thought_the_score_is_0(trained):
    silent = rollout(" ")
    scores = load(trained).score([silent, rollout("Fits."), silent])
    assert scores[0] == scores[2] == 0 < scores[1]


def test_a_thought_about_nothing_has_no_score(trained):
    nothing = Rollout("", TOOLS, "<think>Because.</think> ", "", "test")
    silent = Rollout("", TOOLS, "", "", "test")
    scores = load(trained).score([nothing, rollout("Fits.", question="")])
    assert math.isnan(scores[0]) and scores[1] > 0
    assert load(trained).score([silent])[0] == 0


def test_out_of_memory_halves_the_batch_and_goes_on(trained, caplog):
    classifier, rollouts = load(trained), some_rollouts()
    expected, sizes, forward = classifier.logits(rollouts), [], classifier._forward

    def small_machine(rows):
        sizes.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(rows)

    classifier._forward = small_machine
    assert classifier.logits(rollouts) == pytest.approx(expected, abs=1e-5)
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert "Out of memory with 8 rollouts" in caplog.text
    classifier.logits(rollouts)
    assert sizes[6:] == [2, 2, 2, 2]


def test_out_of_memory_with_one_rollout_and_other_errors_are_raised(trained):
    classifier = load(trained)
    for error in (MemoryError(), RuntimeError("something else")):

        def fail(rows, error=error):
            raise error

        classifier._forward = fail
        with pytest.raises(type(error)):
            classifier.logits([rollout("Fits.")])


def test_a_model_that_gives_no_number_gives_nan_for_that_rollout(trained):
    classifier, rollouts = load(trained), [rollout("Fits."), rollout("Fits well.")]
    classifier._forward = lambda rows: np.array([math.nan, 1.0])[: len(rows)]
    scores = classifier.score(rollouts)
    assert math.isnan(scores[0]) and scores[1] == pytest.approx(expit(1.0))


def without(name):
    return lambda folder: (folder / name).unlink()


def truncated(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def metadata_with(**values):
    def change(folder):
        path = folder / "awpo_scorer.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def another_problem_type(folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "problem_type": "single_label_classification"}))


def headless(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in weights.items() if not key.startswith(("classifier", "score"))}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("awpo_scorer.json"), "awpo_scorer.json is missing"),
        (without("awpo_template.txt"), "cannot be read as a template"),
        (without("model.safetensors"), "no weights"),
        (without("config.json"), "config.json is missing"),
        (without("tokenizer.json"), "tokenizer.json is missing"),
        (another_problem_type, "problem_type is not 'regression'"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as a model's configuration"),
        (truncated, "the model cannot be loaded"),
        (headless, "the weights lack"),
        (metadata_with(format=2), "format=2 is not 1"),
        (metadata_with(family="embedding"), "family='embedding' is not 'classifier'"),
        (metadata_with(max_tokens=3), "max_tokens=3 must be an integer in"),
        (metadata_with(objective="joy"), "objective='joy' is not known; known: pairs"),
        (metadata_with(calibration={"version": 9}), "version=9 is not 1"),
        (metadata_with(extra=1), "missing or unknown: 'extra'"),
        (lambda folder: (folder / "awpo_scorer.json").write_bytes(b"\xff{"), "cannot be read as JSON"),
        (lambda folder: (folder / "awpo_template.txt").write_text("{thought}{action}{tools}{question}"), "its hash"),
    ],
)
def test_broken_folders_are_refused_with_the_fix(folder, spoil, message):
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_metadata_tells_what_it_was_made_of(trained, data):
    metadata, _ = check_folder(trained)
    assert metadata.objective == "labels" and metadata.calibration is None
    assert metadata.training["kinds"] == ["honest", "off_topic"] and metadata.training["sources"] == 22
    assert metadata.metrics["validation"]["rows"] == 4
    assert len(trained_on(trained, (f"row {n}" for n in range(30)))) == 22


def test_calibration_is_kept_used_and_only_on_rows_it_has_not_seen(folder, data, tmp_path):
    with pytest.raises(ValueError, match="of its sources were trained on"):
        calibrate(folder, data)
    rows = [row for row in labelled_rows(60, seed=1) if int(row.source.split()[1]) >= 24]
    write_labelled(tmp_path / "held.jsonl", rows)
    before = load(folder).score([row.rollout for row in rows])
    found = calibrate(folder, tmp_path / "held.jsonl")
    assert found["ece_after"] < 0.05 and found["rows"] == len(rows)
    after = load(folder).score([row.rollout for row in rows])
    assert isinstance(read_metadata(folder).calibration, Platt)
    assert ((after >= 0) & (after <= 1)).all()
    order = np.argsort(before, kind="stable")
    assert (np.diff(after[order]) >= -1e-9).all()


def test_figures_of_scores_known_to_be_right_and_wrong():
    rows = labelled_rows(10)
    labels = np.array([row.label for row in rows])
    right, wrong, mute = (figures(scores, rows) for scores in (labels, 1 - labels, np.full(20, 0.5)))
    assert (right["auc"], right["pair_accuracy"], right["by_kind"], right["ece"]) == (1, 1, {"off_topic": 1}, 0)
    assert (wrong["auc"], wrong["pair_accuracy"], wrong["ece"]) == (0, 0, 1)
    assert (mute["auc"], mute["pair_accuracy"]) == (0.5, 0.5)
    assert figures(labels[::2], rows[::2])["auc"] is None  # one class only


def test_card_says_what_was_measured(folder):
    text = write_card(folder).read_text()
    head, _, body = text.removeprefix("---\n").partition("---\n")
    import yaml

    assert yaml.safe_load(head)["pipeline_tag"] == "text-classification"
    found = read_metadata(folder).metrics["validation"]
    assert f"| {found['auc']:.3f}" in body.replace("AUC, good against bad ", "")
    assert "off_topic" in body and "None" not in body


def test_card_without_figures_is_refused(folder):
    metadata_with(metrics={})(folder)
    with pytest.raises(ValueError, match="holds no measured AUC"):
        write_card(folder)
    metadata_with(metrics={"validation": {"auc": 0.9}})(folder)
    with pytest.raises(ValueError, match="lacks what a card says"):
        write_card(folder)
    assert not (folder / "README.md").exists()


def test_metadata_refuses_what_is_no_text():
    with pytest.raises(ValueError, match="base_model=3 must be a text"):
        ClassifierMetadata(3, "pairs", 128, "x")
