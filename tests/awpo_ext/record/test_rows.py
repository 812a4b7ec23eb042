"""Rows of a batch: the method's numbers as they were, texts cut, whatever a reward function returns or a model writes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.advantage import Closed
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.metrics import leverage
from awpo_ext.record import open_record
from awpo_ext.record.options import RecordOptions
from awpo_ext.record.parts import PartInfo, PartKey, write_part
from awpo_ext.record.rows import Batch, rows_of
from awpo_ext.record.run_info import Secrets
from tests.awpo_ext.batches import KNOWN, rng_batch, run

SECRETS = Secrets({"JUDGE_KEY": "sk-verysecret"})
any_text = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates too


def details(**changes):
    found = {
        "reason": "exact", "reasons": ["exact"], "parts": {"name": 1.0}, "calls": [[]], "problems": [[]],
        "words": "fine", "votes": [0.5], "judge_tokens": 12,
    }  # fmt: skip
    return json.dumps({**found, **changes})


def batch_of(groups, responses, infos, **fields):
    n = len(groups)
    row = {
        "raw_prompt": [{"role": "user", "content": "q"}], "reward_model": {"ground_truth": "truth"},
        "extra_info": {"question": "q", "tools": "[]", "index": np.int64(3)}, "data_source": "sums",
    }  # fmt: skip
    plain = {
        "key": [f"{group}_{i}_0" for i, group in enumerate(groups)],
        "outputs": [1] * n,
        "tag": [{"response_len": 5, "prompt_len": 7, "min_global_steps": 0, "max_global_steps": 1}] * n,
        "extra_fields": [{"reward_extra_info": info, "array": np.zeros(3)} for info in infos],
        "row": [row] * n,
        "response": responses,
        "outcome": [1.0] * n,
        "kl_penalty": [0.0] * n,
        "outcome_valid": [True] * n,
        "outcome_range": [[-3.0, 4.0]] * n,
        "names": ("reasoning",),
        "reasoning": [[0.5]] * n,
        "failure": [[0.0]] * n,
        "unread": [""] * n,
    }
    return Batch(**{**plain, **fields})


def made(batch, result=None, radius=None, **options):
    return rows_of(batch, result, radius, RecordOptions(**options), str, SECRETS)


def written(folder, rollouts, groups):
    write_part(folder, PartKey(1), PartInfo(), rollouts, groups)
    (folder / "run.json").write_text('{"format": "awpo-record", "version": 1, "starts": []}')
    return open_record(folder)


def test_each_term_is_the_methods(tmp_path):
    config = AwpoConfig(clip_scope="group")
    numbers = rng_batch(0, groups=3, size=4)
    result = run(numbers, config)
    radius = clip_radius(result.gate, config)[result.group_index]
    n = len(numbers)
    rows, groups = made(
        batch_of(numbers.group, ["r"] * n, [{}] * n, outcome=numbers.outcome, reasoning=numbers.reasoning),
        result,
        radius,
    )
    for i, row in enumerate(rows):
        group = int(result.group_index[i])
        assert row["advantage"] == float(result.advantages[i]) and row["radius"] == float(radius[i])
        assert row["outcome_part"] + row["judge_part"] == pytest.approx(row["advantage"])
        assert row["gate"] == float(result.gate[group]) and row["difficulty"] == float(result.difficulty[group])
        assert row["closed"] == Closed(int(result.closed[group])).name.lower()
    alone = run(numbers.with_(**{k: [v for v, g in zip(c, numbers.group, strict=True) if g == "g1"]
                                 for k, c in vars(numbers).items()}), config, KNOWN)  # fmt: skip
    assert next(row for row in rows if row["group"] == "g1")["leverage"] == pytest.approx(leverage(alone)["mean"])
    assert [(g["group"], g["size"]) for g in groups] == [("g0", 4), ("g1", 4), ("g2", 4)]
    assert written(tmp_path, rows, groups).rollouts().num_rows == n


def test_what_the_reward_function_says():
    info = {"score": 1.0, "outcome_reason": 201.0, "details": details(words="key sk-verysecret", calls=None)}
    (row,), (group,) = made(batch_of(["g"], ["resp"], [info]))
    assert row["outcome_reason"] == "exact" and row["votes"] == [0.5] and row["judge_tokens"] == 12
    assert row["words"] == "key (hidden)" and row["calls"] is None
    assert json.loads(row["columns"]) == {"score": 1.0, "outcome_reason": 201.0}
    assert json.loads(row["extra"]) == {} and group["tools"] == "[]"
    assert json.loads(group["extra_info"]) == {"index": 3}


@pytest.mark.parametrize("told", [None, "not json", "[]", "{}", 3.0, float("nan")])
def test_a_reward_function_of_ones_own_says_less(told):
    (row,), _ = made(batch_of(["g"], ["resp"], [{"outcome_reason": 201.0, "details": told}], failure=[[math.nan]]))
    assert row["outcome_reason"] == "missing_call" and row.get("words") is None


def test_unscored_is_null_with_a_reason():
    (first, second), _ = made(
        batch_of(["g", "g"], ["a", "b"], [{}, {}], reasoning=[[math.nan]] * 2, failure=[[2.0], [math.nan]])
    )
    assert (first["reasoning"], first["failure"]) == (None, "timeout")
    assert (second["reasoning"], second["failure"]) == (None, "untold")


def test_several_steps_are_kept_apart():
    fields = {"turns": [["one", "two"], ["three"]], "tool_answers": [[["5"], []], [[]]], "reward_extra_info": {}}
    (row,), _ = made(batch_of(["g"], ["whole"], [{}], extra_fields=[fields]))
    assert row["texts"] == ["one", "two", "three"] and row["response"] == "whole"
    assert json.loads(row["extra"]) == {"tool_answers": [[["5"], []], [[]]], "turn_sizes": [2, 1]}


def test_a_huge_text_is_cut():
    (row,), (group,) = made(batch_of(["g"], ["x" * 100_000_000], [{}]))
    assert len(row["response"]) == 65_536 and row["cut"] and not group["cut"]


def test_without_texts_numbers_stay():
    (row,), (group,) = made(batch_of(["g"], ["resp"], [{"details": details()}]), text_share=0.0)
    assert row["has_text"] is group["has_text"] is False
    assert row["outcome"] == 1.0 and row["judge_tokens"] == 12 and row.get("response") is row["words"] is None


@given(any_text, any_text, st.dictionaries(any_text, st.one_of(st.floats(), st.none(), any_text), max_size=4))
def test_whatever_is_said_can_be_written(tmp_path_factory, response, words, info):
    batch = batch_of(["g"], [response], [{**info, "details": details(words=words, reasons=[])}])
    row = written(tmp_path_factory.mktemp("r"), *made(batch)).rollout(1, "g", 0)
    assert row["response"] == response.encode("utf-8", "backslashreplace").decode()
