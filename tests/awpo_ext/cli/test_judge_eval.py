"""`awpo judge eval` from end to end on fake judges: reports, limits, resuming, refusals, hostile text."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from awpo_ext.reports.judge_eval import take
from reward_models.judge_eval.report import shown_options
from reward_models.judges.llm import chat_judge
from reward_models.labelled import LabelledRollout, write_labelled
from reward_models.statistics import Interval, bootstrap
from tests.reward_models.judge_eval import fakes as judge_eval_fakes
from tests.reward_models.judge_eval.fakes import GoodJudge, KilledJudge, rollout, rows
from tests.reward_models.judges.fakes import FakeClient, verdict_text

EVAL = ("judge", "eval")
FAKES = judge_eval_fakes.__name__


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Enough to see that intervals are there; how good they are is tested where they are made."""
    monkeypatch.setitem(bootstrap.__kwdefaults__, "n", 200)


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_labelled(path, rows(24))
    return path


def run(data, judge, *more):
    name = judge if judge == "none" else f"{FAKES}:{judge}"
    arguments = ["--judge", name, "--data", str(data), "--out", str(data.parent / "out"), "--vote-rows", "10", *more]
    return CliRunner().invoke(app, [*EVAL, *arguments])


def report_of(data, name):
    return json.loads((data.parent / "out" / f"{name}.json").read_text())


def test_a_good_judge_is_measured_and_keeps_its_limits(data):
    result = run(data, "GoodJudge", "--min-auc", "0.8", "--min-pair-accuracy", "0.8", "--min-coverage", "1")
    assert result.exit_code == 0, result.output
    assert "All limits are kept." in result.output and "swapped" in result.output
    report = report_of(data, "GoodJudge")
    assert report["agreement"]["auc"]["value"] == 1 and report["order"]["accuracy"]["value"] == 1
    assert report["kinds"].keys() == {"empty", "swapped", "praise"} and len(report["rows"]) == 96
    assert report["summary"]["level"] == "reservations" and report["refused"] == []
    assert report["coverage"]["unscored"] == {} and report["data"]["sources"] == 24
    page = (data.parent / "out" / "GoodJudge.html").read_text()
    assert "Is this judge fit for training?" in page and "Worst mistakes" in page
    assert page.count("data:image/svg+xml;base64,") == 3
    assert page.count('class="track ') == 3 and 'class="range" style="left:86.2%' in page


def test_what_a_judge_does_not_see_is_said(data):
    result = run(data, "GoodJudge", "--judge-kwargs", '{"blind": true}', "--name", "blind one")
    assert result.exit_code == 0 and "Better than chance, with reservations" in result.output
    assert "Not shown to see: swapped." in result.output
    assert (data.parent / "out" / "blind-one.html").exists()
    assert report_of(data, "blind-one")["options"] == {"blind": True}


def test_a_coin_is_refused_with_a_sentence_for_each_limit(data):
    result = run(
        data,
        "CoinJudge",
        "--min-auc",
        "0.6",
        "--max-ece",
        "0.01",
        "--max-flips",
        "0.5",
        "--max-length-correlation",
        "1",
    )
    assert result.exit_code == 1
    assert re.search(r"--min-auc 0.6 is not kept: AUC is .* not shown to be better than chance", result.output)
    assert re.search(r"--max-ece 0.01 is not kept: ECE is 0", result.output)
    assert "--max-flips 0.5 is not kept" in result.output and "--max-length" not in result.output
    assert "Not fit for training: not shown to be better than chance" in result.output
    assert len(report_of(data, "CoinJudge")["refused"]) == 3


def test_the_low_end_of_auc_counts(data):
    result = run(data, "GoodJudge", "--judge-kwargs", '{"blind": true}', "--min-auc", "0.83")
    found = Interval(**report_of(data, "GoodJudge")["agreement"]["auc"])
    assert found.low < 0.83 < found.value and result.exit_code == 1
    assert "and its low end counts" in result.output
    assert "Refused: better than chance, but a limit is not kept" in (data.parent / "out/GoodJudge.html").read_text()


def test_for_the_judge_none_there_is_nothing_to_measure(data):
    result = run(data, "none")
    assert result.exit_code == 0 and "Nothing to measure: this judge does not judge" in result.output
    refused = run(data, "none", "--min-auc", "0.6")
    assert refused.exit_code == 1 and "AUC could not be measured" in refused.output


def test_a_judge_that_fails_on_some_rows_is_measured_on_the_others(data):
    result = run(data, "FailingJudge", "--min-coverage", "0.9")
    assert result.exit_code == 1 and "the share of rows with a score is 0.25" in result.output
    assert "On 48 rows the judge raised or returned no verdict" in result.output
    assert report_of(data, "FailingJudge")["coverage"]["unscored"] == {"error": 48, "timeout": 24}
    assert "secret-header" not in "".join(path.read_text() for path in (data.parent / "out").iterdir())


def test_a_dead_judge_has_nothing_to_measure(data):
    result = run(data, "DeadJudge")
    assert result.exit_code == 0 and "Nothing to measure: no row has a score" in result.output
    assert "timeout 96" in result.output


def test_rows_of_one_class_are_no_test(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_labelled(path, rows(5, kinds=("honest",)))
    result = run(path, "GoodJudge", "--min-auc", "0.5")
    assert result.exit_code == 1 and "good and bad rows are both needed" in result.output


def test_a_killed_run_goes_on_and_judges_no_row_twice(data):
    KilledJudge.left, GoodJudge.asked, KilledJudge.asked = 20, 0, 0
    killed = run(data, "KilledJudge", "--votes", "1", "--concurrency", "4")
    assert killed.exit_code == 130 and "run the same command to go on" in killed.output
    assert not (data.parent / "out" / "KilledJudge.json").exists()
    verdicts = data.parent / "out" / "KilledJudge.verdicts.jsonl"
    before = verdicts.read_text()
    kept = len(before.splitlines())
    assert 0 < kept <= 20
    KilledJudge.left, KilledJudge.asked = 10_000, 0
    assert run(data, "KilledJudge", "--votes", "1", "--concurrency", "4").exit_code == 0
    assert verdicts.read_text().startswith(before)
    keys = [json.loads(line)["key"] for line in verdicts.read_text().splitlines()]
    assert len(keys) == len(set(keys))
    asked_of_rows = sum(json.loads(key)[0] == "score" for key in keys)
    assert asked_of_rows == 96
    assert KilledJudge.asked == 1 + 96 - kept + 50  # the first loads weights; 50 canaries and controls


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--min-auc", "1.5"), "min_auc=1.5 must be a number in [0, 1]"),
        (("--votes", "0"), "votes=0"),
        (("--limit", "0"), "--limit 0"),
        (("--judge-kwargs", "[]"), "must be a JSON object"),
        (("--judge-kwargs", '{"nope": 1}'), "do not fit GoodJudge"),
        (("extra.json",), "give --judge and --data"),
    ],
)
def test_bad_options_are_refused_before_anything_is_asked(data, arguments, message):
    result = run(data, "GoodJudge", *arguments)
    assert result.exit_code == 1 and message in flat(result.output)
    assert not (data.parent / "out" / "GoodJudge.verdicts.jsonl").exists()


def flat(output):
    """On one line."""
    return " ".join(output.split())


def test_a_judge_that_is_not_ready_says_why(data):
    assert "install something" in flat(run(data, "NotReadyJudge").output)
    result = run(data, "NotReadyJudge", "--judge-kwargs", '{"how": "raise"}')
    assert result.exit_code == 1 and "failed in check(): KeyError" in flat(result.output)
    result = run(data, "NotReadyJudge", "--judge-kwargs", '{"how": "preflight"}')
    assert result.exit_code == 1 and "failed in preflight(): OSError: no route" in flat(result.output)


def test_no_rows_are_refused(tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n")
    result = run(tmp_path / "rows.jsonl", "GoodJudge")
    assert result.exit_code == 1 and "no rows" in flat(result.output)


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}[bold]x[/nope]\x1b[31m\u202e$\\frac$\ud800"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.sources, self.handlers = set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        self.handlers += [key for key, _ in attrs if key.startswith("on")]


def assert_harmless(page):
    found = Tags()
    found.feed(page)
    assert not found.tags & {"script", "iframe", "object", "link", "form"} and found.handlers == []
    assert all(source.startswith("data:image/svg+xml;base64,") for source in found.sources)
    assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|49x", page)
    assert "\x1b" not in page and "\u202e" not in page


def test_hostile_text_is_only_text_in_report_and_comparison(tmp_path):
    hostile = [
        LabelledRollout(
            f"{n}{HOSTILE[:-1]}", f"s{n}", f"k{HOSTILE[:-1]}", 0.0, rollout(HOSTILE, HOSTILE), f"{n} honest"
        )
        for n in range(8)
    ]
    path = tmp_path / "rows.jsonl"
    write_labelled(path, [*rows(8), *(replace(row, rollout=rollout(HOSTILE[:-1], HOSTILE[:-1])) for row in hostile)])
    for judge, name in (("GoodJudge", f"a{HOSTILE[:-1]}"), ("CoinJudge", "b")):
        result = run(path, judge, "--name", name)
        assert result.exit_code == 0, result.output
        assert "\x1b[31m" not in result.output
    pages = sorted((tmp_path / "out").glob("*.html"))
    assert len(pages) == 2
    compared = CliRunner().invoke(
        app, [*EVAL, "--compare", *map(str, (tmp_path / "out").glob("*.json")), "--out", str(tmp_path / "both")]
    )
    assert compared.exit_code == 0, compared.output
    for page in (*pages, tmp_path / "both" / "comparison.html"):
        assert_harmless(page.read_text(encoding="utf-8"))


def test_judges_are_compared_on_the_same_rows(data):
    run(data, "GoodJudge")
    run(data, "CoinJudge")
    out = data.parent / "out"
    arguments = ["--compare", str(out / "GoodJudge.json"), str(out / "CoinJudge.json"), "--out", str(out)]
    result = CliRunner().invoke(app, [*EVAL, *arguments])
    assert result.exit_code == 0 and "AUC: GoodJudge is better than CoinJudge by" in result.output
    assert "GoodJudge" in (out / "comparison.html").read_text()
    run(data, "CoinJudge", "--limit", "40")
    refused = CliRunner().invoke(app, [*EVAL, *arguments])
    assert refused.exit_code == 1 and "different rows" in flat(refused.output)


def test_tokens_and_cost_of_an_llm_judge_are_in_the_report(data, monkeypatch):
    class PaidClient(FakeClient):
        def summary(self):
            count = len(self.requests)
            return {"calls": count, "prompt_tokens": 100 * count, "completion_tokens": 20 * count, "cost": count / 100}

    def answer(request):
        return verdict_text(9 if "Lyon is asked" in request.messages[0]["content"] else 2)

    monkeypatch.setattr(chat_judge, "ChatClient", lambda config, route: PaidClient(answer))
    options = json.dumps({"base_url": "http://127.0.0.1:8000/v1", "model": "grader", "preflight": False})
    arguments = ["--judge", "llm", "--judge-kwargs", options, "--data", str(data), "--out", str(data.parent / "out")]
    result = CliRunner().invoke(app, [*EVAL, *arguments, "--votes", "1", "--min-auc", "0.8"])
    assert result.exit_code == 0, result.output
    # the warm-up, the rows, the canaries, the pairs in both orders; the 24 empty thoughts need none
    cost, requests = report_of(data, "llm")["cost"], 1 + 72 + 50 + 2 * 48
    assert cost["calls"] == requests and cost["prompt_tokens"] == 100 * requests
    assert cost["cost"] == pytest.approx(requests / 100) and "cost, and of a thousand verdicts" in result.output


def test_options_that_look_like_a_secret_are_hidden():
    options = {"api_key": "x", "Token": "x", "max_tokens": 5, "api_key_env": "NAME"}
    assert shown_options(options) == {**options, "api_key": "(hidden)", "Token": "(hidden)"}


def test_a_limit_takes_whole_sources_and_the_same_each_time():
    some = take(rows(10), 9, seed=1)
    assert len(some) == 12 and len({row.source for row in some}) == 3
    assert some == take(rows(10), 9, seed=1) and some != take(rows(10), 9, seed=2)
    assert take(rows(2), None, 0) == take(rows(2), 100, 0) == rows(2)
