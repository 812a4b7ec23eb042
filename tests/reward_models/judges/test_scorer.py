"""The scorer judge: verdicts, batching, its queue and its failures, with a fake scorer; once with a real small one."""

import asyncio
import logging
import threading

import numpy as np
import pytest
from hypothesis import given

from reward_models import Rollout, Scored, Unscored, UnscoredReason
from reward_models.judges import JudgeNotReadyError, make_judge, score_all
from reward_models.judges import scorer as judge_module
from tests.reward_models.scorers.helpers import honest_rollout
from tests.reward_models.strategies import tag_soup, tagged


class FakeScorer:
    """Scores by the length of the response; NaN where the request is blank."""

    def __init__(self):
        self.batches, self.threads = [], set()

    def score(self, rollouts):
        self.batches.append(len(rollouts))
        self.threads.add(threading.get_ident())
        return np.array([len(item.response) % 97 / 97 if item.question.strip() else np.nan for item in rollouts])


@pytest.fixture
def fake(monkeypatch):
    scorer = FakeScorer()
    monkeypatch.setattr(judge_module.ScorerJudge, "_load", lambda self: scorer)
    return scorer


def rollout(response, question="the question"):
    return Rollout(question, "[]", response, "", "test")


def score(judge, *rollouts):
    return asyncio.run(score_all(judge, rollouts))


def judge(**options):
    return make_judge("scorer", scorer="some/folder", **options)


def test_verdicts_come_in_order_and_a_blank_thought_needs_no_model(fake):
    verdicts = score(
        judge(), rollout("<response>hi</response>"), rollout(tagged("a", response="hi")), rollout(tagged("a"), " ")
    )
    assert verdicts[0] == Scored(0.0)
    assert isinstance(verdicts[1], Scored) and verdicts[1].value > 0
    assert verdicts[2].reason is UnscoredReason.NO_EVIDENCE
    assert score(judge(), rollout("")) == [Scored(0.0)] and score(judge()) == []
    assert fake.batches == [2]


def test_concurrent_calls_share_a_batch_in_one_thread(fake):
    one = judge(window_ms=50, max_batch=4096)
    rollouts = [rollout(tagged("x" * number, response="hi")) for number in range(1, 65)]

    async def main():
        return await score_all(one, rollouts)

    together = asyncio.run(main())
    assert sum(fake.batches) == 64 and len(fake.batches) <= 2
    assert len(fake.threads) == 1 and threading.get_ident() not in fake.threads
    assert together == score(judge(max_batch=7), *rollouts)
    assert max(fake.batches[-10:]) == 7


def test_a_full_queue_is_said_and_nothing_is_lost(fake):
    one = judge(window_ms=20, max_queue=3)
    item = rollout(tagged("a", response="hi"))
    *first, second, blank = score(one, item, item, item, item, rollout(""))
    assert all(isinstance(verdict, Scored) for verdict in [*first, blank])
    assert second.reason is UnscoredReason.BUDGET
    assert all(isinstance(verdict, Scored) for verdict in score(one, item, item))  # the queue is empty again


def test_a_failing_scorer_is_unscored_and_said_once(fake, monkeypatch, caplog):
    monkeypatch.setattr(fake, "score", lambda rollouts: 1 / 0)
    one = judge()
    with caplog.at_level(logging.ERROR):
        verdicts = [score(one, rollout(tagged("a", response="hi")))[0] for _ in range(2)]
    assert [verdict.reason for verdict in verdicts] == [UnscoredReason.ERROR] * 2
    assert len(caplog.records) == 1


def test_a_scorer_that_does_not_load_is_tried_once(tmp_path, caplog):
    one = make_judge("scorer", scorer=str(tmp_path))
    with caplog.at_level(logging.ERROR):
        verdicts = [score(one, rollout(tagged("a", response="hi")))[0] for _ in range(2)]
    assert [verdict.reason for verdict in verdicts] == [UnscoredReason.LOAD_FAILED] * 2
    assert "awpo_scorer.json is missing" in verdicts[0].detail and len(caplog.records) == 1
    with pytest.raises(JudgeNotReadyError, match=r"awpo_scorer\.json is missing"):
        one.check()


def test_an_unknown_family_is_named(tmp_path):
    (tmp_path / "awpo_scorer.json").write_text('{"format": 1, "family": "tree"}')
    with pytest.raises(JudgeNotReadyError, match="family is not one of features, classifier"):
        make_judge("scorer", scorer=str(tmp_path)).check()


def test_a_closed_judge_scores_what_waited_and_nothing_more(fake):
    one = judge(window_ms=1000)

    async def main():
        waiting = asyncio.ensure_future(one.score(rollout(tagged("a", response="hi"))))
        await asyncio.sleep(0.01)
        await one.aclose()
        await one.aclose()
        return await waiting, await one.score(rollout(tagged("b", response="hi")))

    before, after = asyncio.run(asyncio.wait_for(main(), timeout=10))
    assert isinstance(before, Scored)
    assert isinstance(after, Unscored) and after.reason is UnscoredReason.ERROR


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "judge_kwargs.scorer is missing"),
        ({"model": "x"}, "judge_kwargs.model is now judge_kwargs.scorer"),
        ({"scorer": ""}, "scorer=''"),
        ({"scorer": "x", "threads": 0}, "threads=0"),
        ({"scorer": "x", "max_queue": 0}, "max_queue=0"),
        ({"scorer": "x", "windw_ms": 1}, "unknown key 'windw_ms'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_judge("scorer", **options)


@given(response=tag_soup, question=tag_soup)
def test_any_text_gives_one_verdict(response, question):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge_module.ScorerJudge, "_load", lambda self: FakeScorer())
        one = judge(window_ms=0)
        (verdict,) = score(one, rollout(response, question))
        asyncio.run(one.aclose())
    assert isinstance(verdict, Scored) or verdict.reason is UnscoredReason.NO_EVIDENCE


def test_a_trained_scorer_judges(tmp_path):
    pytest.importorskip("sentence_transformers")
    from reward_models.labelled import write_labelled
    from reward_models.scorers.data.dataset import build
    from reward_models.scorers.features.head import HeadConfig
    from reward_models.scorers.features.training import TrainConfig, train_scorer
    from tests.reward_models.scorers.helpers import honest_rows, make_tiny_encoder

    write_labelled(tmp_path / "rows.jsonl", build(honest_rows(24), ["other_thought", "swapped_tool"], "train", 0))
    config = TrainConfig(str(make_tiny_encoder(tmp_path)), head=HeadConfig(epochs=10, members=1))
    train_scorer(config, [tmp_path / "rows.jsonl"], tmp_path / "scorer")
    one = make_judge("scorer", scorer=str(tmp_path / "scorer"))
    one.check()
    honest = honest_rollout(31)
    swapped = Rollout(
        honest.question, honest.tools, honest.response.replace('"get_museum_guide"', '"get_train_ticket"'), "", "t"
    )
    assert swapped.response != honest.response
    good, bad, hostile = score(
        one, honest, swapped, rollout("<think>\ud800" + "x" * 50_000 + "</think>hi \udfff", "\ud800")
    )
    assert good.value > bad.value and isinstance(hostile, Scored)


def outcome_rollout(call, truth='{"name": "f", "parameters": {"a": 1}}'):
    tools = (
        '[{"name": "f", "description": "", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}]'
    )
    answer = "<think> </think>\n<tool_call>\n" + truth + "\n</tool_call>"
    return Rollout("the question", tools, f"<think>so</think>\n<tool_call>\n{call}\n</tool_call>", answer, "test")


def test_a_wrong_call_keeps_a_share_of_its_score_where_that_is_asked_for(fake):
    right, wrong = (outcome_rollout(f'{{"name": "f", "parameters": {{"a": {number}}}}}') for number in (1, 2))
    plain = score(judge(), right, wrong)
    lowered = score(judge(wrong_call_keeps=0.25), right, wrong)
    assert plain[1].value > 0 and lowered[0] == plain[0]
    assert lowered[1].value == pytest.approx(plain[1].value / 4)


def test_a_verifier_that_cannot_tell_is_unscored_and_not_zero(fake):
    (verdict,) = score(judge(wrong_call_keeps=0), outcome_rollout("{}", truth="no call at all"))
    assert verdict.reason is UnscoredReason.ERROR and "verifier" in verdict.detail


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wrong_call_keeps": 2}, "wrong_call_keeps=2"),
        ({"wrong_call_keeps": 0.5, "verifier": "odd"}, "odd"),
        ({"wrong_call_keeps": 0.5, "verifier_kwargs": {"odd": 1}}, "odd"),
    ],
)
def test_options_of_the_verifier_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        judge(**options)
