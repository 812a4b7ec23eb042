"""The LLM judge against a server that fails: every rollout gets a score of its own or a reason, and nothing raises."""

import asyncio

import pytest

from reward_models import Scored, Unscored, UnscoredReason
from reward_models.judge_eval.attacks import canaries
from reward_models.judges import JudgeNotReadyError, make_judge, score_all
from reward_models.reward import preflight
from tests.reward_models.judges.fakes import rollout, verdict_text
from tests.reward_models.llm_client.faulty_server import VERDICT, FaultyServer, mixed


def judge_at(server, **options):
    return make_judge(
        "llm", **{"base_url": server.base_url, "model": "grader", "timeout_s": 0.5, "retries": 0, **options}
    )


def score(judge, *rollouts):
    async def main():
        try:
            return await score_all(judge, rollouts or [rollout()])
        finally:
            await judge.aclose()

    return asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("kind", [*mixed(1.0), "huge", "cut", "null", "refusal", "401", "404", "redirect", "quota"])
def test_no_kind_of_failure_becomes_a_score(kind):
    with FaultyServer(script=[kind]) as server:
        (verdict,) = score(judge_at(server))
    assert isinstance(verdict, Unscored) and verdict.reason is not UnscoredReason.JUDGE_DISABLED


def test_amid_failures_each_rollout_gets_its_own_score():
    def own(asked):
        return verdict_text(int(asked["messages"][0]["content"].partition("number ")[2][0]))

    with FaultyServer(text=own, faults=mixed(0.3)) as server:
        server.stall_s = 1.0
        verdicts = score(judge_at(server), *(rollout(f"number {i % 10}, take {i}") for i in range(100)))
    scored = [(i, verdict) for i, verdict in enumerate(verdicts) if isinstance(verdict, Scored)]
    assert 40 < len(scored) < 100
    assert all(verdict == Scored(i % 10 / 10) for i, verdict in scored)


def test_a_server_that_repeats_the_prompt_scores_no_canary():
    with FaultyServer(text=lambda asked: asked["messages"][0]["content"]) as server:
        verdicts = score(judge_at(server, timeout_s=10), *(canary.rollout for canary in canaries()))
    assert {verdict.reason for verdict in verdicts} == {UnscoredReason.BAD_VERDICT}


def test_two_loops_one_after_the_other():
    with FaultyServer() as server:
        judge = judge_at(server)
        first = asyncio.run(judge.score(rollout()))
        assert [first] == score(judge, rollout()) == [Scored(0.7)]
        assert server.requests[0]["response_format"]["type"] == "json_schema" and VERDICT not in str(server.requests[0])


def test_the_preflight_judges_on_trial():
    with FaultyServer(script=["400"]) as server, pytest.raises(JudgeNotReadyError, match="set structured=false"):
        preflight(judge="llm", judge_kwargs={"base_url": server.base_url, "model": "grader"})
    with FaultyServer() as server:
        preflight(judge="llm", judge_kwargs={"base_url": server.base_url, "model": "grader"})
        assert len(server.requests) == 1
        server.faults = {"404": 1.0}
        with pytest.raises(JudgeNotReadyError, match="does not offer model='other'"):
            preflight(judge="llm", judge_kwargs={"base_url": server.base_url, "model": "other"})
