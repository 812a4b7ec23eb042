"""`awpo judge try` on one rollout."""

import json

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from reward_models import Unscored, UnscoredReason
from reward_models.judges.llm import chat_judge
from reward_models.judges.trial import read_rollout
from tests.reward_models.judges.fakes import FakeClient, rollout, verdict_text

OPTIONS = {"base_url": "http://127.0.0.1:8000/v1", "model": "grader", "price_per_million_tokens": [3.0, 10.0]}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rollout.json"
    path.write_text(json.dumps({"question": "Weather in Paris?", "response": rollout().response, "tools": []}))
    return path


def run(file, *, answer=None, monkeypatch=None, options=OPTIONS, judge="llm"):
    if monkeypatch is not None:
        monkeypatch.setattr(chat_judge, "ChatClient", lambda config, route: FakeClient(answer))
    text = options if isinstance(options, str) else json.dumps(options)
    return CliRunner().invoke(app, ["judge", "try", "--judge", judge, "--judge-kwargs", text, "--file", str(file)])


def test_verdict_reasons_prompt_and_cost_are_shown(file, monkeypatch):
    result = run(
        file, answer=verdict_text(7, "Grounded.\x1b[31m"), monkeypatch=monkeypatch, options={**OPTIONS, "votes": 2}
    )
    assert result.exit_code == 0
    for part in (
        "verdict  0.700, spread of the votes 0.000",
        "rubric   reasoning_v2@",
        "vote 1   score 7: Grounded.[31m",
        "cost     0.001000 at 3 and 10 per million tokens; 200 prompt and 40 completion tokens",
        "0 of 2 answers from the cache",
        "## The user's request\nWeather in Paris?",
    ):
        assert part in result.output


def test_a_failure_is_shown_and_is_no_error(file, monkeypatch):
    result = run(file, answer=Unscored(UnscoredReason.TIMEOUT, "no answer"), monkeypatch=monkeypatch)
    assert result.exit_code == 0 and "verdict  unscored (timeout): no answer" in result.output
    result = run(file, answer=Unscored(UnscoredReason.REFUSED, "HTTP 400"), monkeypatch=monkeypatch)
    assert "see the server's log" in result.output and "structured=false" in result.output
    result = run(file, answer="I \x1b refuse", monkeypatch=monkeypatch)
    assert "unscored (bad_verdict)" in result.output and "the model said: 'I \\x1b refuse'" in result.output


def test_a_rollout_without_a_thought_needs_no_request(tmp_path):
    path = tmp_path / "rollout.json"
    path.write_text('{"response": "hi"}')
    result = run(path, options={**OPTIONS, "preflight": False})
    assert "verdict  0.000" in result.output and "needs no request" in result.output


def test_other_judges_show_their_verdict(file):
    result = run(file, judge="none", options={})
    assert result.exit_code == 0 and result.output == "verdict  unscored (judge_disabled): \n"


@pytest.mark.parametrize(
    ("options", "message"),
    [("[]", "must be a JSON object"), ("{", "must be a JSON object"), ({"model": "x"}, "base_url")],
)
def test_bad_options_are_refused(file, options, message):
    result = run(file, options=options)
    assert result.exit_code == 1 and message in result.output


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"response": "r", "respones": 1}', '{"response": "r", "extra_info": 1}']
)
def test_a_file_that_holds_no_rollout_is_refused(tmp_path, text):
    path = tmp_path / "rollout.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"rollout\.json"):
        read_rollout(path)
