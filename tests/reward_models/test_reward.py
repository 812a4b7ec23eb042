"""compute_score as verl calls it: fixed float columns, failures as codes, clear refusals."""

import asyncio
import functools
import inspect
import json
import math
import subprocess
import sys

import pytest
from hypothesis import given

from reward_models import Scored, UnscoredReason, reward
from reward_models.judges import Judge, JudgeNotReadyError
from reward_models.reward import compute_score, preflight
from reward_models.reward_columns import REWARD_COLUMNS
from reward_models.sandbox import SandboxUnavailable
from reward_models.verifiers import KNOWN_VERIFIERS, Verifier
from reward_models.verifiers.reasons import reason_code
from tests.reward_models.strategies import call_lists, plain_text, tag_soup, tagged

CALL = {"name": "f", "parameters": {"a": 1}}
TRUTH = tagged("t", calls=[CALL])
EXTRA = {"question": "q", "tools": "[]", "index": 7, "num_turns": None}


class SpyJudge(Judge):
    """Scores 0.5 and keeps what it was given."""

    made = 0
    seen = ()

    def __init__(self, tag=None):
        SpyJudge.made += 1

    async def score(self, rollout):
        SpyJudge.seen = (*SpyJudge.seen, rollout)
        await asyncio.sleep(0)
        return Scored(0.5)


class RaisingJudge(Judge):
    """Breaks its promise not to raise."""

    async def score(self, rollout):
        raise KeyError("boom")


class ShortJudge(Judge):
    """Breaks its promise of a verdict."""

    async def score(self, rollout):
        return []


SPY, RAISING, SHORT = (f"{__name__}:{name}" for name in ("SpyJudge", "RaisingJudge", "ShortJudge"))


def run(response=TRUTH, truth=TRUTH, extra_info=EXTRA, data_source="toolrl", **kwargs):
    kwargs.setdefault("judge", "none")
    return asyncio.run(compute_score(data_source, response, truth, extra_info, **kwargs))


def test_the_columns_of_a_perfect_answer():
    columns = run(judge=SPY)
    assert json.loads(columns.pop("details")) == {
        "reason": "exact",
        "reasons": [],
        "parts": {},
        "calls": [[{"name": "f", "arguments": {"a": 1}}]],
        "problems": [[]],
        "words": "",
        "votes": [],
        "criteria": {},
        "steps": [],
        "rubric": "",
        "judge_tokens": None,
    }
    assert columns == {
        "score": 4.0,
        "format": 1.0,
        "correctness": 3.0,
        "parsable": 1.0,
        "has_think": 1.0,
        "reasoning": 0.5,
        "reasoning_valid": 1.0,
        "reasoning_failure": 0.0,
        "outcome_reason": 1.0,
        "outcome_valid": 1.0,
        "format_min": 0.0,
        "format_max": 1.0,
        "correctness_min": -3.0,
        "correctness_max": 3.0,
        "outcome_min": -3.0,
        "outcome_max": 4.0,
        "reasoning_spread": 0.0,
        "outcome_plus_reasoning": 4.5,
    }


def test_the_range_of_a_row():
    no_call = "<think>t</think>\n<response>No.</response>"
    columns = run(no_call, no_call, verifier="toolrl")
    assert (columns["score"], columns["outcome_min"], columns["outcome_max"]) == (1.0, 0.0, 1.0)
    assert (columns["correctness"], columns["correctness_min"], columns["correctness_max"]) == (0.0, 0.0, 0.0)
    columns = run(no_call, no_call, verifier="strict", verifier_kwargs={"dialect": "toolrl"})
    assert (columns["score"], columns["outcome_min"], columns["outcome_max"]) == (4.0, -3.0, 4.0)


@given(response=tag_soup)
def test_any_response_gives_the_same_float_columns(response):
    columns = run(response)
    assert tuple(columns) == tuple(REWARD_COLUMNS) and "reward" not in columns
    assert len(columns["details"]) < 32_000 and set(json.loads(columns.pop("details"))) >= {"reasons", "words"}
    assert all(type(value) is float for value in columns.values())
    assert -3.0 <= columns["score"] <= 4.0
    assert math.isnan(columns["reasoning"]) and columns["reasoning_valid"] == 0.0
    assert columns["reasoning_failure"] == UnscoredReason.JUDGE_DISABLED.code
    assert columns["outcome_plus_reasoning"] == columns["score"]


@given(thought=plain_text, calls=call_lists)
def test_the_score_is_the_outcome(thought, calls):
    assert run(tagged(thought, calls=calls), tagged("t", calls=calls))["score"] == 4.0


@pytest.mark.parametrize("response", ["", None])
def test_an_empty_response(response):
    columns = run(response, judge="embedding")
    assert (columns["score"], columns["parsable"], columns["has_think"]) == (-3.0, 0.0, 0.0)
    assert (columns["reasoning"], columns["reasoning_valid"]) == (0.0, 1.0)
    assert run(response, tagged("t", response="hi"))["score"] == 0.0


def test_a_call_without_a_thought():
    columns = run(TRUTH.partition("\n")[2])
    assert (columns["score"], columns["format"]) == (3.0, 0.0)
    assert (columns["parsable"], columns["has_think"]) == (1.0, 0.0)


@pytest.mark.parametrize("judge", [RAISING, SHORT])
def test_a_judge_that_breaks_its_promise_is_unscored_and_logged_once(judge, caplog):
    for _ in range(2):
        columns = run(judge=judge)
        assert columns["score"] == 4.0 and math.isnan(columns["reasoning"])
        assert columns["reasoning_failure"] == UnscoredReason.ERROR.code
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_one_judge_a_loop_and_configuration():
    SpyJudge.made = 0

    async def main():
        for tag in ("a", "b"):
            score = functools.partial(compute_score, judge=SPY, judge_kwargs={"tag": tag})
            await asyncio.gather(*(score("toolrl", TRUTH, TRUTH, EXTRA) for _ in range(20)))

    asyncio.run(main())
    assert SpyJudge.made == 2
    asyncio.run(main())
    assert SpyJudge.made == 4


def test_what_the_judge_gets():
    SpyJudge.seen = ()
    run(judge=SPY)
    run(judge=SPY, extra_info=None)
    run(judge=SPY, extra_info={"question": None, "tools": [{"name": "f"}]})
    full, none, odd = SpyJudge.seen
    assert (full.question, full.tools, full.response, full.ground_truth) == ("q", "[]", TRUTH, TRUTH)
    assert (none.question, none.tools) == ("", "")
    assert (odd.question, json.loads(odd.tools)) == ("", [{"name": "f"}])


@pytest.mark.parametrize("truth", [None, "", "  ", 42, "words", "<tool_call>\n{}\n</tool_call>"])
def test_a_bad_ground_truth_names_the_row(truth):
    with pytest.raises(ValueError, match=r"ground truth \(data_source='toolrl', extra_info index=7\)"):
        run(truth=truth)


def test_what_verl_adds_is_accepted_and_a_typo_is_not():
    assert run(reward_router_address="host:1", reward_model_tokenizer=object())["score"] == 4.0
    with pytest.raises(ValueError, match=r"unknown key 'jugde'.*judge_kwargs"):
        run(jugde="none")
    with pytest.raises(ValueError, match="judge_kwargs='x'"):
        run(judge_kwargs="x")
    with pytest.raises(ValueError, match="unknown key 'windw_ms'"):
        run(judge="embedding", judge_kwargs={"windw_ms": 1})


def test_options_may_come_from_omegaconf():
    omegaconf = pytest.importorskip("omegaconf")
    options = omegaconf.OmegaConf.create({"judge": SPY, "judge_kwargs": {"tag": "x"}, "verifier_kwargs": {}})
    assert run(**dict(options))["reasoning"] == 0.5
    preflight(**dict(options))


def test_preflight_is_attached_and_checks_without_scoring(tmp_path):
    assert compute_score.preflight == preflight
    preflight(judge="none", verifier="toolrl")
    preflight(judge=SPY, reward_router_address=None)
    for kwargs, message in [
        ({"judge": "x"}, "judge='x' is not known"),
        ({"verifier": "x"}, "verifier='x' is not known"),
        ({"judge": "none", "judge_kwarg": {}}, "unknown key 'judge_kwarg'"),
        ({"judge_kwargs": {"threads": 0}}, "threads=0"),
    ]:
        with pytest.raises(ValueError, match=message):
            preflight(**kwargs)
    pytest.importorskip("sentence_transformers")
    with pytest.raises(JudgeNotReadyError, match=r"config\.json"):
        preflight(judge_kwargs={"model": str(tmp_path)})


@pytest.mark.parametrize("truth", [[{"name": "f", "arguments": {}}], {"name": "f"}])
def test_a_ground_truth_that_is_data_says_what_to_do(truth):
    with pytest.raises(ValueError, match=f"is of type {type(truth).__name__} and must be a text.*json.dumps"):
        run(truth=truth)


def test_a_row_is_checked_without_a_response():
    check = compute_score.row_check(verifier="strict")
    check("x", TRUTH, {"index": 1})
    for truth, extra in (
        (TRUTH, {"tools": "{"}),
        ("words", {}),
        ({"name": "f"}, {}),
        ('[{"name": "f", "arg": 1}]', None),
    ):
        with pytest.raises(ValueError, match=r"ground truth \(data_source='x'"):
            check("x", truth, extra)
    toolrl = compute_score.row_check(verifier_kwargs={"schedule_steps": 9})
    toolrl("x", TRUTH, None)
    with pytest.raises(ValueError, match="ground truth"):
        toolrl("x", '[{"name": "f", "arguments": {}}]', None)


def test_the_columns_read_the_response_in_the_verifier_s_dialect():
    call = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    truth = '[{"name": "f", "arguments": {}}]'
    for dialect, parsable in (("hermes", 1.0), ("json", 0.0), ("auto", 1.0)):
        columns = run(call, truth, verifier="strict", verifier_kwargs={"dialect": dialect})
        assert columns["parsable"] == parsable
    opened = {"verifier": "strict", "verifier_kwargs": {"dialect": "hermes", "thinking": "opened"}}
    assert run("It says so</think>" + call, truth, **opened)["has_think"] == 1.0


def test_verl_sees_an_async_function():
    assert inspect.iscoroutinefunction(compute_score)


@pytest.mark.parametrize("name", KNOWN_VERIFIERS)
def test_each_verifier_has_a_reward_function_of_its_own(name):
    function = getattr(reward, f"compute_score_{name}")
    assert inspect.iscoroutinefunction(function)
    options = {"verifier_kwargs": {"parts": {"strict": 1}}} if name == "composite" else {}
    if name in ("strict", "toolrl", "composite"):
        function.preflight(judge="none", **options)
        assert function.outcome_range(**options) == reward.outcome_range(verifier=name, **options)
        columns = asyncio.run(function("toolrl", TRUTH, TRUTH, EXTRA, judge="none", **options))
        assert tuple(columns) == tuple(REWARD_COLUMNS) and columns["score"] == function.outcome_range(**options)[1]
    with pytest.raises(AttributeError, match="compute_score_xml"):
        reward.compute_score_xml  # noqa: B018


def test_importing_it_is_cheap():
    code = (
        "import sys, reward_models.reward, reward_models.judges.embedding, reward_models.verifiers.toolrl;"
        "print([m for m in ('torch', 'verl', 'ray', 'transformers', 'sentence_transformers') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60).strip() == "[]"


class Unavailable(Verifier):
    """A verifier whose sandbox cannot start."""

    outcome_range = (-1.0, 2.0)

    def verify(self, rollout):
        raise SandboxUnavailable("no seccomp here")


def test_a_verifier_without_its_sandbox_judges_nothing_and_calls_no_response_bad(caplog):
    columns = run(judge="none", verifier=f"{__name__}:Unavailable")
    assert (columns["score"], columns["outcome_valid"]) == (0.5, 0.0)
    assert columns["outcome_reason"] == reason_code("sandbox_unavailable") > 0
    assert "no seccomp here" in caplog.text
