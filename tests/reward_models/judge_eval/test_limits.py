"""The headline, each reservation and each limit, on a report whose parts are replaced one at a time."""

import asyncio
import math
from dataclasses import replace

import pytest

from reward_models.judge_eval.limits import Limits, broken_limits, show, summarise
from reward_models.judge_eval.records import VerdictFile
from reward_models.judge_eval.report import make_report
from reward_models.judge_eval.run import EvalConfig, ask_judge
from reward_models.statistics import Interval
from tests.reward_models.judge_eval.fakes import GoodJudge, rows

NOTHING = Interval(math.nan, math.nan, math.nan)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("limits")
    file, data, config = VerdictFile(path / "v.jsonl", "j"), rows(24), EvalConfig(votes=1)
    found = asyncio.run(ask_judge(GoodJudge(), data, file, config, lambda name, size: lambda: None))
    file.close()
    made = make_report("good", "fake:Good", {}, "h", path, data, found, config)
    return with_agreement(made, ece=Interval(0.02, 0.01, 0.03))  # the fake's scores are not probabilities


def with_agreement(report, **parts):
    return replace(report, agreement=replace(report.agreement, **parts))


def with_kind(report, auc):
    return replace(report, kinds={**report.kinds, "empty": replace(report.kinds["empty"], auc=auc)})


def test_a_judge_without_reservations_is_fit(report):
    assert summarise(report).level == "fit" and summarise(report).findings == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: replace(r, data=replace(r.data, sources=19)), "Only 19 sources"),
        (lambda r: replace(r, coverage=replace(r.coverage, share=Interval(0.9, 0.8, 1))), "Only 90.0% of the rows"),
        (lambda r: with_kind(r, Interval(0.6, 0.4, 0.8)), "Not shown to see: empty."),
        (lambda r: with_kind(r, Interval(0.3, 0.2, 0.4)), "Prefers to honest reasoning: empty."),
        (lambda r: replace(r, length=replace(r.length, within_kind=Interval(0.4, 0, 1))), "Longer thoughts"),
        (lambda r: replace(r, length=replace(r.length, within_kind=Interval(-0.4, 0, 1))), "Shorter thoughts"),
        (lambda r: replace(r, canaries=replace(r.canaries, swayed=9, share=Interval(0.2, 0, 1))), "9 of 48 attacks"),
        (lambda r: replace(r, canaries=replace(r.canaries, threshold=math.nan, share=NOTHING)), "good control"),
        (lambda r: replace(r, order=replace(r.order, flips=Interval(0.3, 0, 1))), "In 30% of the pairs"),
        (lambda r: with_agreement(r, ece=Interval(0.2, 0.1, 0.3)), "Scores are not probabilities"),
        (lambda r: replace(r, broke=3), "On 3 rows the judge raised"),
    ],
)
def test_each_reservation_is_said_alone(report, change, words):
    found = summarise(change(report))
    assert found.level == "reservations" and len(found.findings) == 1 and words in found.findings[0]


def test_no_better_than_chance_is_unfit(report):
    chance = summarise(with_agreement(report, auc=Interval(0.55, 0.5, 0.6)))
    assert chance.level == "unfit" and "not shown to be better than chance" in chance.headline
    worse = summarise(with_agreement(report, auc=Interval(0.3, 0.2, 0.4)))
    assert worse.level == "unfit" and "worse than chance" in worse.headline
    assert summarise(with_agreement(report, auc=NOTHING)).level == "unfit"
    assert summarise(with_agreement(report, auc=Interval(0.9, math.nan, math.nan))).level == "unfit"  # one source


@pytest.mark.parametrize(
    ("limits", "change", "kept"),
    [
        ({"min_auc": 0.6}, lambda r: with_agreement(r, auc=Interval(0.8, 0.6, 0.9)), True),
        ({"min_auc": 0.6}, lambda r: with_agreement(r, auc=Interval(0.8, 0.59, 0.9)), False),
        ({"min_auc": 0.0}, lambda r: with_agreement(r, auc=Interval(0.6, 0.5, 0.9)), False),  # chance
        ({"min_auc": 0.0}, lambda r: with_agreement(r, auc=NOTHING), False),
        ({"min_pair_accuracy": 0.6}, lambda r: with_agreement(r, pair_accuracy=NOTHING), False),
        ({"max_ece": 0.05}, lambda r: with_agreement(r, ece=Interval(0.05, 0.01, 0.2)), True),
        ({"max_ece": 0.05}, lambda r: with_agreement(r, ece=Interval(0.06, 0.01, 0.2)), False),
        ({"max_length_correlation": 0.2}, lambda r: replace(r, length=replace(r.length, within_kind=Interval(-0.3, -1, 0))),
         False),
        ({"max_swayed": 0.1}, lambda r: replace(r, canaries=None), False),
        ({"max_swayed": 0.1}, lambda r: replace(r, canaries=replace(r.canaries, share=Interval(0.1, 0, 1))), True),
        ({"max_flips": 0.5}, lambda r: replace(r, order=None), False),
        ({"min_coverage": 0.9}, lambda r: replace(r, coverage=replace(r.coverage, share=Interval(0.9, 0.5, 1))), True),
    ],
)  # fmt: skip
def test_limits(report, limits, change, kept):
    broken = broken_limits(change(report), Limits(**limits))
    assert (broken == []) is kept and len(broken) <= 1
    (key,) = limits
    assert all(sentence.startswith(f"--{key.replace('_', '-')} ") for sentence in broken)


def test_a_broken_limit_makes_a_fit_judge_unfit(report):
    assert summarise(report, ["--min-auc 0.99 is not kept"]).level == "unfit"


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, True, "0.5"])
def test_a_limit_that_is_no_share_is_refused(value):
    with pytest.raises(ValueError, match="max_ece"):
        Limits(max_ece=value)


def test_intervals_in_words():
    assert show(Interval(0.912, 0.88, 0.94)) == "0.91 [0.88, 0.94]"
    assert show(Interval(0.912, math.nan, math.nan), 3) == "0.912" and show(NOTHING) == "–"
