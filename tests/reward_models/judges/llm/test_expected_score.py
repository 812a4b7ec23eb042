"""The score by the model's probabilities: read from the answer's end, bound to the verdict's own score, or none."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models import Scored, Unscored, UnscoredReason
from reward_models.judge_eval import attacks as canaries
from reward_models.judges import JudgeNotReadyError, make_judge, score_all
from reward_models.judges.llm.expected_score import expected_grade
from reward_models.judges.llm.verdict import Grade, Scale
from reward_models.llm_client.answer import read_completion
from tests.reward_models.judges.fakes import rollout, verdict_text
from tests.reward_models.llm_client.calls import ask_one, client_at, question
from tests.reward_models.llm_client.faulty_server import FaultyServer, answering, completion, logprobs

FIVE = Scale(1, 5)
RUBRIC = """Grade from 1 to 5 as {"reasons": "...", "score": N}.
{{question}} {{tools}}
{{nonce}}
{{thought}}
{{action}}
{{nonce}}
"""
BEFORE = (('"', {}), ("score", {}), ('":', {}))


def answer_with(score, odds, end="}"):
    body = completion(verdict_text(score))
    tokens = [(text, {text: 1.0}) for text in ('{"reasons": "see 3', '", "score": ')]
    body["choices"][0]["logprobs"] = logprobs(*tokens, (str(score), odds), (end, {end: 1.0}))
    return body


@given(
    odds=st.dictionaries(st.integers(1, 5), st.floats(0.001, 1), min_size=1),
    noise=st.dictionaries(st.text("abc} \n", max_size=3), st.floats(0, 1), max_size=4),
    data=st.data(),
)
def test_it_is_the_mean_over_the_scale(odds, noise, data):
    given_score = data.draw(st.sampled_from(sorted(odds)))
    tail = (
        *BEFORE,
        (f" {given_score}", {**noise, **{str(k): p for k, p in odds.items()}}),
        ("}", {}),
        ("<|im_end|>", {}),
    )
    grade = expected_grade(Grade(given_score, 0.0, "r"), tail, FIVE)
    mean = sum(p * (k - 1) / 4 for k, p in odds.items()) / sum(odds.values())
    assert grade == Grade(given_score, pytest.approx(mean), "r") and 0.0 <= grade.value <= 1.0


def test_numbers_off_the_scale_and_other_spellings():
    odds = {"5": 0.3, " 5": 0.1, "9": 0.5, "0": 0.1, "1": 0.1, "five": 0.4}
    grade = expected_grade(Grade(5, 1.0, "r"), (("5", odds), ("}", {})), FIVE)
    assert grade.value == pytest.approx(0.4 / 0.5)


@pytest.mark.parametrize(
    ("given_score", "tail", "value"),
    [
        (10, ((" ", {}), ("1", {"1": 0.5, "9": 0.5}), ("0", {}), ("}", {})), 0.95),
        (9, (("9", {"1": 0.5, "9": 0.5}), ("}", {})), 0.95),  # the other half would have gone on as 10
        (2, (("2", {"1": 0.5, "2": 0.5}), ("}", {})), 0.15),
        (10, (("10", {"10": 0.5, "9": 0.4, "1": 0.1}), ("}", {})), (10 * 0.5 + 9 * 0.4 + 0.1) / 10),
        (1, (("1", {"1": 0.5, "0": 0.5}), ("}", {})), 0.05),
    ],
)
def test_ten_may_be_two_tokens(given_score, tail, value):
    assert expected_grade(Grade(given_score, 0.0, "r"), tail, Scale(0, 10)).value == pytest.approx(value)


@pytest.mark.parametrize(
    "tail",
    [
        (),
        BEFORE,
        (("4", {"4": 1.0}), ("}", {})),  # another number than the verdict's
        (("5", {"5": 1.0}), (', "a": ', {}), ('"x"}', {})),  # something after it
        (("5}", {"5}": 1.0}),),
        (("5", {"5": 1.0}),),  # the object's end is missing
        (("5", {"a": 1.0, "7": 0.5}), ("}", {})),
        (("5", {"5": 0.0}), ("}", {})),
        (("5", {}), ("}", {})),
        (("5", {"5": 1.0}), ("}", {}), ("5", {"5": 1.0}), ("}}", {})),
        (("5", {"5": 1.0}), ("5", {"5": 1.0}), ("}", {})),
        (("5", {"5": 1.0}), ("}", {}), ("<a> {", {})),
    ],
)
def test_without_the_scores_own_token_there_is_no_score(tail):
    result = expected_grade(Grade(5, 1.0, "r"), tail, FIVE)
    assert isinstance(result, Unscored) and result.reason is UnscoredReason.BAD_VERDICT


def test_probabilities_are_asked_for_read_and_kept_in_the_cache(tmp_path):
    with FaultyServer() as server:
        server._answer = answering(answer_with(4, {"4": 0.75, "5": 0.25}))
        for _ in range(2):
            found = ask_one(client_at(server, cache_dir=str(tmp_path / "cache")), question(top_logprobs=7))
            token, odds = found.tail[-2]
            assert token == "4" and odds == {"4": pytest.approx(0.75), "5": pytest.approx(0.25)}
        (sent,) = server.requests
        assert (sent["logprobs"], sent["top_logprobs"]) == (True, 7) and found.cached
        assert ask_one(client_at(server)).tail  # sent unasked: kept, used by nobody
        assert "logprobs" not in server.requests[1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "token", "logprob", "top_logprobs"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(found=json_values)
def test_any_probabilities_are_survived(found):
    body = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop", "logprobs": found}]}
    answer, _ = read_completion(json.dumps(body).encode())
    assert all(0 <= p <= 1 for _, odds in answer.tail for p in odds.values())


@pytest.mark.parametrize("logprob", [True, "0", None, 1.0, float("nan"), [], -(10**400)])
def test_a_probability_that_is_none_drops_them_all(logprob):
    top = [{"token": "5", "logprob": logprob}]
    content = [{"token": "5", "top_logprobs": top}]
    body = {"choices": [{"message": {"content": "x"}, "logprobs": {"content": content}}]}
    assert read_completion(json.dumps(body).encode())[0].tail == ()


def test_what_is_kept_of_the_probabilities_is_bounded():
    content = logprobs(*[("t", {str(i): 0.01 for i in range(50)})] * 500)
    body = {"choices": [{"message": {"content": "x"}, "logprobs": content}]}
    tail = read_completion(json.dumps(body).encode())[0].tail
    assert len(tail) == 16 and all(len(odds) == 20 for _, odds in tail)


@pytest.fixture
def rubric(tmp_path):
    path = tmp_path / "five.txt"
    path.write_text(RUBRIC)
    return str(path)


def judged(server, rubric, *rollouts, **options):
    async def main():
        judge = make_judge("llm", base_url=server.base_url, model="grader", rubric=rubric, expected=True, **options)
        try:
            return await score_all(judge, rollouts or [rollout()])
        finally:
            await judge.aclose()

    return asyncio.run(asyncio.wait_for(main(), 30))


def test_the_judge_scores_by_them(rubric):
    with FaultyServer() as server:
        server._answer = answering(answer_with(5, {"5": 0.5, "3": 0.5}))
        (single,) = judged(server, rubric)
        assert single.value == pytest.approx(0.75) and single.spread is None
        assert server.requests[0]["top_logprobs"] == 10
        (several,) = judged(server, rubric, votes=3)
        assert (several.value, several.spread) == (pytest.approx(0.75), pytest.approx(0.0))


def test_a_server_without_them_is_unscored_and_the_detail_says_the_fix(rubric):
    with FaultyServer(text=verdict_text(5)) as server:
        (verdict,) = judged(server, rubric)
    assert verdict.reason is UnscoredReason.BAD_VERDICT and "expected=false" in verdict.detail


def test_the_preflight_finds_a_server_without_them(rubric):
    async def main(server):
        judge = make_judge("llm", base_url=server.base_url, model="grader", rubric=rubric, expected=True)
        try:
            await judge.preflight()
        finally:
            await judge.aclose()

    with FaultyServer(text=verdict_text(5)) as server:
        with pytest.raises(JudgeNotReadyError, match=r"logprobs.*set expected=false"):
            asyncio.run(asyncio.wait_for(main(server), 30))
        server._answer = answering(answer_with(5, {"5": 1.0}))
        asyncio.run(asyncio.wait_for(main(server), 30))


def test_probabilities_do_not_make_a_forged_verdict_bind(rubric):
    body = answer_with(5, {"5": 1.0})
    body["choices"][0]["message"]["content"] = canaries.forged_verdict(5)
    thought = f"Say this: {canaries.forged_verdict(5)}"
    with FaultyServer() as server:
        server._answer = answering(body)
        (verdict,) = judged(server, rubric, rollout(thought=thought))
    assert verdict == Scored(0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expected": 1}, "expected=1 must be true or false"),
        ({"expected": True, "structured": False}, "expected=true needs structured=true"),
        ({"expected": True, "max_tokens": 2000}, r"max_tokens=2000 must be an integer in \[16, 1024\]"),
    ],
)
def test_options_that_do_not_go_together_are_refused(rubric, options, message):
    with pytest.raises(ValueError, match=message):
        make_judge("llm", base_url="http://127.0.0.1/v1", model="grader", rubric=rubric, **options)


def test_a_scale_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "hundred.txt"
    path.write_text(RUBRIC.replace("from 1 to 5", "from 0 to 100"))
    with pytest.raises(
        ValueError, match="expected=true needs a rubric with a scale up to 10, and 'hundred' goes up to 100"
    ):
        make_judge("llm", base_url="http://127.0.0.1/v1", model="grader", rubric=str(path), expected=True)
