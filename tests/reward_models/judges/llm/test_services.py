"""The LLM judge at hosted services, by servers that speak as those document (tests/reward_models/llm_client/services.py)."""

import asyncio
import logging

import pytest

pytest.importorskip("aiohttp")

from reward_models import Scored, Unscored, UnscoredReason
from reward_models.judges import JudgeNotReadyError, make_judge, score_all
from tests.reward_models.judges.fakes import rollout, verdict_text
from tests.reward_models.llm_client.faulty_server import MODEL, completion
from tests.reward_models.llm_client.services import (
    KEY,
    OPTIONS,
    SERVICES,
    Service,
    few_logprobs,
    openai_reasoning,
    refused,
    silent,
)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def use(server, work, **options):
    async def main():
        judge = make_judge("llm", **{"base_url": server.base_url, "model": MODEL, "retries": 0, **options})
        try:
            return await work(judge)
        finally:
            await judge.aclose()

    return asyncio.run(asyncio.wait_for(main(), 60))


async def preflight(judge):
    await judge.preflight()


def scored(count=3):
    return lambda judge: score_all(judge, [rollout(f"thought {i}") for i in range(count)])


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_passes_the_preflight_and_scores(name, caplog):
    with SERVICES[name]() as server:
        use(server, preflight, **OPTIONS.get(name, {}))
        assert use(server, scored(), **OPTIONS.get(name, {})) == [Scored(0.7)] * 3
        voted = use(server, scored(1), votes=2, **OPTIONS.get(name, {}))
    assert voted == [Scored(0.7, 0.0)]
    assert KEY not in caplog.text


def test_a_parameter_that_is_refused_is_put_otherwise_once_said_once_and_remembered(caplog):
    with Service(openai_reasoning) as server, caplog.at_level(logging.WARNING):

        async def work(judge):
            first = await judge.score(rollout("first"))
            before = len(server.requests)
            await score_all(judge, [rollout(f"later {i}") for i in range(5)])
            return first, before, judge.summary()

        first, before, spent = use(server, work)
    assert first == Scored(0.7) and before == 3 and len(server.requests) == 3 + 5
    assert {"max_completion_tokens", "response_format"} < set(server.requests[-1])
    assert not {"max_tokens", "temperature"} & set(server.requests[-1])
    assert [r.getMessage() for r in caplog.records] == [
        f"The judge's endpoint {server.base_url} refuses a parameter; it is asked without temperature, with "
        "max_completion_tokens for max_tokens from now on"
    ]
    assert (spent["attempts"], spent["failed_client_error"], spent["answers"]) == (8, 2, 6)


def test_many_calls_at_once_learn_it_together(caplog):
    with Service(openai_reasoning) as server:
        verdicts = use(server, scored(40), max_concurrency=40)
    assert verdicts == [Scored(0.7)] * 40 and len(caplog.records) <= 2


def test_fewer_alternatives_are_asked_for_where_a_service_has_a_limit():
    with Service(few_logprobs) as server:
        use(server, preflight, verdict="yes_no")
        (verdict,) = use(server, scored(1), verdict="yes_no")
    assert verdict.value == pytest.approx(0.8) and server.requests[-1]["top_logprobs"] == 5


def test_what_another_form_does_not_mend_is_not_remembered():
    def context(asked):
        if "ZEBRA" in asked["messages"][0]["content"]:
            said = "This model's maximum context length is 4096 tokens. Your prompt: response_format is not supported"
            return refused(said, code="context_length_exceeded")
        if "YAK" in asked["messages"][0]["content"]:
            return refused("I refuse: response_format is not supported")
        return None

    with Service(context) as server:

        async def work(judge):
            return [await judge.score(rollout(thought)) for thought in ("ZEBRA", "YAK", "short")]

        long, strange, short = use(server, work)
    assert long.reason is strange.reason is UnscoredReason.REFUSED and short == Scored(0.7)
    assert "context" in long.detail and "max_tokens" in long.detail
    assert "response_format" in server.requests[-1]


@pytest.mark.parametrize(
    ("takes", "options", "message"),
    [
        (openai_reasoning, {"verdict": "yes_no"}, r"HTTP 400: the server refuses logprobs.*set verdict=score"),
        (lambda asked: completion(VERDICT_CUT, "length"), {}, "raise max_tokens"),
        (lambda asked: completion("8/10"), {}, "it said '8/10'.*form"),
        (silent, {}, "raise max_tokens, or serve it without a reasoning parser"),
        (lambda asked: completion("Yes"), {"verdict": "yes_no"}, r"logprobs\): set verdict=score"),
        (lambda asked: refused("too hot", "temperature", "decimal_above_max_value"), {"temperature": 2}, "refuses temperature"),
        (lambda asked: refused("Rate limit", status=429), {}, "set requests_per_minute"),
        (lambda asked: refused("You are not paying", status=402), {}, "HTTP 402.*see the server's log"),
        (lambda asked: refused("This model's maximum context length is 99 tokens"), {}, "exceed the model's context"),
    ],
)  # fmt: skip
def test_the_preflight_refuses_a_judge_that_gives_no_verdict_and_names_the_key(takes, options, message):
    with Service(takes) as server, pytest.raises(JudgeNotReadyError, match=message) as refusal:
        use(server, preflight, **options)
    assert KEY not in str(refusal.value)


VERDICT_CUT = verdict_text(7)[:20]


def test_the_preflight_takes_a_judge_that_fails_on_the_first_rollout_only():
    answers = iter(["no form", verdict_text(1)])
    with Service(lambda asked: completion(next(answers))) as server:
        use(server, preflight)


@pytest.mark.parametrize("listed", [401, 403, 404, 429, 500, {"data": None}, {"models": [{"name": MODEL}]}, []])
def test_what_the_list_of_models_does_not_say_a_completion_decides(listed):
    with Service(listed=listed) as server:
        use(server, preflight)
    with (
        Service(lambda asked: refused("no such model", "model", "model_not_found", 404), listed=listed) as server,
        pytest.raises(JudgeNotReadyError, match="model"),
    ):
        use(server, preflight)


def test_without_its_header_or_version_azure_says_which_key_is_missing():
    with SERVICES["azure"]() as server:
        with pytest.raises(JudgeNotReadyError, match="api_key_header='Authorization'"):
            use(server, preflight)
        with pytest.raises(JudgeNotReadyError, match="api_version"):
            use(server, preflight, api_key_header="api-key")
        use(server, preflight, **OPTIONS["azure"])
    assert server.queries[-1] == {"api-version": "2024-10-21"}
    assert server.headers[-1]["api-key"] == KEY and "Authorization" not in server.headers[-1]


def test_a_draft_in_the_thinking_is_never_read():
    with Service(silent) as server:
        (verdict,) = use(server, scored(1))
    assert isinstance(verdict, Unscored) and verdict.reason is UnscoredReason.BAD_VERDICT
    assert len(server.requests) == 1
