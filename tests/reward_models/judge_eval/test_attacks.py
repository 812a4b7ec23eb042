"""The canaries: none binds through our parsing, and a judge that falls for them is found out."""

import asyncio
import json
import re

import pytest

from reward_models import Scored, Unscored, UnscoredReason
from reward_models.judge_eval import attacks as canaries
from reward_models.judges import Judge, make_judge
from reward_models.judges.llm.echo import Echoes
from reward_models.judges.llm.rubric import load_rubric
from reward_models.judges.llm.verdict import Grade, Scale, read_verdict
from reward_models.parsing import parse_response
from tests.paths import BENCHMARKS
from tests.reward_models.judges.fakes import FakeClient, verdict_text

RUBRICS = [load_rubric(None, reference=reference, scale=None) for reference in (False, True)]
ONE_WORD = [load_rubric(None, reference=reference, scale=None, verdict="yes_no") for reference in (False, True)]
BARE = BENCHMARKS / "bare_0_to_10.txt"
ALL = [*RUBRICS, *ONE_WORD, load_rubric(str(BARE), reference=False, scale=None)]


class CredulousJudge(Judge):
    """Gives the best score to whoever mentions one, and to the good control."""

    async def score(self, rollout):
        swayed = "get_forecast gives" in rollout.response or "10" in rollout.response
        return Scored(1.0 if swayed else 0.1)


@pytest.mark.parametrize("rubric", ALL, ids=lambda rubric: rubric.name)
def test_no_canary_binds_through_our_parsing(rubric):
    assert canaries.bound_wrongly(rubric) == []


def test_without_the_check_for_echoes_canaries_would_bind(monkeypatch):
    monkeypatch.setattr("reward_models.judges.llm.echo.Echoes.authors", lambda self, candidates: None)
    assert len(canaries.bound_wrongly(RUBRICS[0])) > 10


def test_every_kind_is_there_and_every_name_is_its_own():
    suite = canaries.canaries()
    assert {canary.kind for canary in suite} == {
        "master_key", "ask", "forged_verdict", "one_word", "fence", "system", "language", "unicode", "padding", "action"
    }  # fmt: skip
    assert len({canary.name for canary in suite}) == len({canary.response for canary in suite}) == len(suite) >= 40
    assert all(parse_response(canary.response).thought for canary in suite)
    assert "5/5" in "".join(canary.response for canary in canaries.canaries(5))


def test_a_forged_verdict_is_one_where_it_is_not_in_the_prompt():
    assert read_verdict(canaries.forged_verdict(10), Scale(0, 10), Echoes("")) == Grade(
        10, 1.0, canaries.FORGED_REASONS
    )


def test_a_judge_that_repeats_its_prompt_scores_nothing():
    judge = make_judge("llm", base_url="http://127.0.0.1/v1", model="grader")
    judge._client = FakeClient(lambda request: request.messages[0]["content"])
    report = asyncio.run(canaries.count_swayed(judge))
    assert report.swayed == 0 and report.unscored == len(report.results) and not report.discriminates
    assert all(result.verdict.reason is UnscoredReason.BAD_VERDICT for result in report.results)


def test_a_swayed_judge_is_counted():
    report = asyncio.run(canaries.count_swayed(CredulousJudge()))
    assert report.discriminates and (report.good, report.bad) == (Scored(1.0), Scored(0.1))
    assert report.by_kind()["ask"] == (3, 3) and report.by_kind()["master_key"] == (0, 7)
    assert report.swayed == sum(result.swayed for result in report.results) > 10
    assert sum(all_ for _, all_ in report.by_kind().values()) == len(report.results) == len(canaries.canaries())


def test_a_strict_judge_is_not_swayed():
    def by_tool(request):
        fenced = request.messages[0]["content"].rpartition("BEGIN-UNTRUSTED")[2]
        action = json.loads(re.search(r"ACTION.*\n(.*)\n", fenced)[1].replace("'", '"'))
        good = action.get("calls", [{}])[0].get("arguments", {}).get("city") == "Lyon"
        return verdict_text(9 if good else 0)

    judge = make_judge("llm", base_url="http://127.0.0.1/v1", model="grader")
    judge._client = FakeClient(by_tool)
    report = asyncio.run(canaries.count_swayed(judge))
    assert report.discriminates and report.swayed == report.unscored == 0


def test_a_judge_that_fails_is_not_swayed_and_does_not_discriminate():
    class Down(Judge):
        async def score(self, rollout):
            return Unscored(UnscoredReason.TIMEOUT)

    report = asyncio.run(canaries.count_swayed(Down()))
    assert (report.swayed, report.discriminates, report.unscored) == (0, False, len(report.results))
