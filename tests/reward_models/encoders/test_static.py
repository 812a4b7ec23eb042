"""The static encoder: a table that a full encoder's tokens made, in an ordinary folder, and scorers that use it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from reward_models.encoders.sentence import find_model
from reward_models.encoders.static import distil
from reward_models.encoders.unit import encoder_name, load_encoder, split_source
from reward_models.labelled import read_labelled, write_labelled
from reward_models.scorers.data.dataset import build
from reward_models.scorers.features.folder import HEAD
from reward_models.scorers.features.head import HeadConfig
from reward_models.scorers.features.model import load
from reward_models.scorers.features.training import TrainConfig, train_scorer
from reward_models.scorers.sources import file_hash
from tests.reward_models.scorers.helpers import honest_rows, make_tiny_encoder

pytest.importorskip("sentence_transformers")
SMALL = HeadConfig(epochs=12, members=2)
KINDS = ["other_thought", "swapped_tool", "swapped_values", "shuffled"]


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("static"))


@pytest.fixture(scope="module")
def model(full):
    return load_encoder(str(full)).model


@pytest.fixture(scope="module")
def static(model):
    return distil(model)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "train.jsonl"
    write_labelled(path, build(honest_rows(30), KINDS, "train", 0))
    return path


def test_the_table_is_that_of_the_encoder_token_by_token(model, static):
    table = static[0].embedding.weight.detach().numpy()
    special = model.tokenizer.all_special_ids
    assert table.shape == (len(model.tokenizer), 32) and not table[special].any()
    plain = [number for number in range(len(table)) if number not in special]
    # Slowly: each token as a text of its own, by the encoder's own way from ids to an embedding.
    alone = []
    for number in plain:
        encoded = model.tokenizer.pad([{"input_ids": [2, number, 3]}], return_tensors="pt")  # [CLS] token [SEP]
        alone.append(model(dict(encoded))["sentence_embedding"][0].detach().numpy())
    alone = np.array(alone) - np.mean(alone, axis=0)
    share = np.array([1 / (rank + 2) for rank in range(len(plain))])
    weight = np.array([1e-4 / (1e-4 + one) for one in share / share.sum()])
    expected = alone * weight[:, None]
    # Components turn the axes and keep all products.
    assert table[plain] @ table[plain].T == pytest.approx(expected @ expected.T, abs=1e-4 * np.abs(expected).max())


def test_a_tokenizer_that_pads_and_cuts_gives_the_same_table(full, static):
    padded = load_encoder(str(full)).model
    padded.tokenizer.backend_tokenizer.enable_padding(length=24)  # as MiniLM's own file asks for
    padded.tokenizer.backend_tokenizer.enable_truncation(24)
    found = distil(padded)
    assert np.array_equal(found[0].embedding.weight.detach(), static[0].embedding.weight.detach())
    long = "the user wants a hotel " * 40
    assert np.array_equal(found.encode(long), static.encode(long))


def test_fewer_dimensions_are_the_first_components(model, static):
    few, all_of_them = (item[0].embedding.weight.detach().numpy() for item in (distil(model, 8), static))
    assert few.shape[1] == 8 and np.abs(few) == pytest.approx(np.abs(all_of_them[:, :8]), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=6))
def test_a_text_is_the_mean_of_its_tokens_whatever_stands_beside_it(static, texts):
    table, tokenizer = static[0].embedding.weight.detach().numpy(), static[0].tokenizer
    together = static.encode(texts, show_progress_bar=False)
    for text, vector in zip(texts, together, strict=True):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        expected = np.mean(table[ids], axis=0) if ids else np.zeros(table.shape[1])
        assert vector == pytest.approx(expected, abs=1e-6)
        assert np.array_equal(vector, static.encode([text], show_progress_bar=False)[0])


def test_long_texts_are_read_to_their_end(static):
    start = "the user wants a hotel " * 200
    one, other = static.encode([start, start + "museum " * 300], show_progress_bar=False)
    assert not np.allclose(one, other, atol=1e-4)


def test_the_full_encoder_is_left_as_it_was(full, model, static):
    texts = ["a hotel in Paris", "a"]
    assert np.array_equal(model.encode(texts), load_encoder(str(full)).model.encode(texts))
    assert static[0].tokenizer is not model.tokenizer.backend_tokenizer


def test_an_encoder_without_a_fast_tokenizer_is_refused():
    with pytest.raises(ValueError, match="fast tokenizer"):
        distil(SimpleNamespace(tokenizer=SimpleNamespace()))


def test_a_scorer_on_it_learns_and_its_folder_needs_nothing_else(full, rows, tmp_path):
    from sentence_transformers import SentenceTransformer

    config = TrainConfig(f"static:{full}", head=SMALL)
    metrics = train_scorer(config, [rows], tmp_path / "scorer")
    assert metrics["auc"] > 0.8
    data = json.loads((tmp_path / "scorer" / "awpo_scorer.json").read_text())
    assert data["encoder"] == data["training"]["options"]["encoder"] == f"static:{full.parent.name}/{full.name}"
    assert str(full) not in json.dumps(data)
    ordinary = SentenceTransformer(str(tmp_path / "scorer"), device="cpu")
    assert [type(module).__name__ for module in ordinary] == ["StaticEmbedding"]
    # The folder is itself a source: for the embedding judge, and for another scorer.
    assert find_model(str(tmp_path / "scorer")) == str(tmp_path / "scorer")
    rollouts = [row.rollout for row in read_labelled(rows)]
    scorer = load(tmp_path / "scorer")
    together = scorer.score(rollouts)
    assert (together >= 0).all() and (together <= 1).all()
    alone = np.concatenate([load(tmp_path / "scorer").score([rollout]) for rollout in rollouts[:12]])
    assert np.abs(alone - together[:12]).max() < 1e-9
    train_scorer(config, [rows], tmp_path / "again")
    for name in (HEAD, "model.safetensors"):
        assert file_hash(tmp_path / "scorer" / name) == file_hash(tmp_path / "again" / name)


def test_the_command_distils(full, rows, tmp_path):
    from awpo_ext.cli.main import app

    command = ["scorer", "train", str(rows), "--out", str(tmp_path / "scorer"), "--epochs", "3", "--members", "1"]
    result = CliRunner().invoke(app, [*command, "--encoder", f"static:{full}"])
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "scorer").encoder.model[0].__class__.__name__ == "StaticEmbedding"
    missing = CliRunner().invoke(app, [*command[:-6], "--out", str(tmp_path / "x"), "--encoder", "static:/no/such"])
    assert missing.exit_code == 1 and "neither a folder nor a Hugging Face id" in missing.output


@pytest.mark.parametrize(
    ("source", "parts", "name"),
    [
        ("static:/home/me/models/minilm", (True, "/home/me/models/minilm"), "static:models/minilm"),
        ("static:org/model", (True, "org/model"), "static:org/model"),
        ("static", (True, ""), "static:"),
        ("/home/me/models/minilm", (False, "/home/me/models/minilm"), "models/minilm"),
        ("none", (False, "none"), "none"),
    ],
)
def test_sources_are_read_and_named(source, parts, name):
    assert split_source(source) == parts and encoder_name(source) == name
