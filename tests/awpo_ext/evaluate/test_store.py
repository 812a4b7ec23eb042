"""Answers survive a kill at any byte, and belong to one configuration."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.evaluate.errors import EvalError
from awpo_ext.evaluate.store import Store

CONFIG = {"model": {"name": "m"}, "max_tokens": 8}
TEXTS = ["plain", "ünï 🙂", "a\nb\u2028c", "\ud800", ""]


def filled(path):
    store = Store(path, CONFIG)
    for number, text in enumerate(TEXTS):
        store.add(f"k{number}", {"text": text})
    store.close()


@given(st.integers(0, 10_000))
def test_a_file_cut_at_any_byte_gives_the_answers_that_were_whole_and_takes_new_ones(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("store") / "answers.jsonl"
    filled(path)
    data = path.read_bytes()
    path.write_bytes(data[: cut % (len(data) + 1)])
    whole = max(0, path.read_bytes().count(b"\n") - 1)
    store = Store(path, CONFIG)
    assert store.answers == {f"k{number}": {"text": text} for number, text in enumerate(TEXTS[:whole])}
    store.add("new", {"text": "x"})
    store.close()
    again = Store(path, CONFIG)
    assert again.answers.keys() == {*(f"k{number}" for number in range(whole)), "new"}
    again.close()


def test_another_configuration_is_refused_and_says_what_changed(tmp_path):
    filled(tmp_path / "a")
    with pytest.raises(EvalError, match=r"max_tokens: 8 there, 9 now.*--out"):
        Store(tmp_path / "a", {**CONFIG, "max_tokens": 9})


def test_two_evaluations_do_not_write_into_one_file(tmp_path):
    store = Store(tmp_path / "a", CONFIG)
    with pytest.raises(EvalError, match="another evaluation"):
        Store(tmp_path / "a", CONFIG)
    store.close()


@pytest.mark.parametrize("line", ["{", "[]", '{"key": 1, "answer": {}}', '{"key": "a"}'])
def test_a_damaged_line_before_the_end_is_named(tmp_path, line):
    filled(tmp_path / "a")
    lines = (tmp_path / "a").read_text(errors="surrogatepass").splitlines(keepends=True)
    (tmp_path / "a").write_text("".join([lines[0], line + "\n", *lines[1:3]]), errors="surrogatepass")
    with pytest.raises(EvalError, match="line 2"):
        Store(tmp_path / "a", CONFIG)


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "a").write_text(json.dumps({"x": 1}) + "\n")
    with pytest.raises(EvalError, match="format"):
        Store(tmp_path / "a", CONFIG)
