"""A judge's report and a comparison as one HTML page each, without scripts and without anything from outside.

Rows, verdicts and names are hostile text: the templates escape all of it, hidden characters are taken out of what is
quoted, and a policy in the page forbids scripts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from awpo_ext.reports.judge_eval_plots import figures
from reward_models.judge_eval.comparison import Comparison
from reward_models.judge_eval.limits import show, summarise
from reward_models.judge_eval.measures import RowResult
from reward_models.judge_eval.report import Report
from reward_models.judges.llm.fencing import clean
from reward_models.labelled import LabelledRollout
from reward_models.statistics import Interval

_MISTAKES = 5
_SHOWN_CHARS = 900
_MOST_CHARS = 2000


def report_page(report: Report, rows: Sequence[LabelledRollout], broken: Sequence[str]) -> str:
    """The page; `rows` are quoted where the judge was most wrong, `broken` are the limits that were not kept."""
    return (
        _environment()
        .get_template("judge_eval.html")
        .render(
            report=report,
            options=json.dumps(report.options, ensure_ascii=False),
            summary=summarise(report, broken),
            broken=broken,
            tiles=_tiles(report),
            kinds=sorted(report.kinds.items(), key=lambda item: _last_if_nan(item[1].auc.value)),
            figures={name: Markup(uri) for name, uri in figures(report).items()},
            measures=measure_rows(report),
            mistakes=_mistakes(report, rows),
        )
    )


def comparison_page(found: Comparison) -> str:
    tests = [*found.overall_tests, *found.kind_tests]
    return (
        _environment()
        .get_template("comparison.html")
        .render(
            found=found,
            significant=[test for test in tests if test.significant],
            total=len(tests),
            tables=[("Overall", found.overall, False), ("AUC by kind", found.kinds, True)],
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("awpo_ext.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value, _MOST_CHARS) if type(value) is str else value,
    )
    environment.globals |= {"show": show, "number": _number}
    environment.tests["known"] = _known
    return environment


def _tiles(report: Report) -> list[tuple[str, str, str]]:
    """(title, value, interval) of what is looked at first."""
    intervals = [
        ("AUC", report.agreement.auc, 2),
        ("pair accuracy", report.agreement.pair_accuracy, 2),
        ("ECE", report.agreement.ece, 3),
        ("coverage", report.coverage.share, 3),
        ("swayed by attacks", report.canaries.share if report.canaries else Interval(math.nan, math.nan, math.nan), 2),
        ("length, within kinds", report.length.within_kind, 2),
    ]
    tiles = []
    for title, interval, digits in intervals:
        value, _, ends = show(interval, digits).partition(" ")
        tiles.append((title, value, ends))
    speed = report.speed
    tiles.append(
        (
            "calls a second",
            f"{speed.per_second:,.{0 if speed.per_second >= 100 else 1}f}",
            f"median {_duration(speed.p50_s.value)}",
        )
    )
    if report.cost is not None:
        tiles.append(("cost of 1000 verdicts", f"{report.cost.per_thousand:.3g}", f"{report.cost.calls:.0f} requests"))
    return tiles


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _mistakes(report: Report, rows: Sequence[LabelledRollout]) -> list[tuple[str, list[dict]]]:
    by_id = {row.id: row for row in rows}

    def quoted(results: list[RowResult]) -> list[dict[str, Any]]:
        worst_of_source: dict[str, RowResult] = {}
        for item in results:
            worst_of_source.setdefault(item.source, item)
        return [
            {
                "id": item.id,
                "kind": item.kind,
                "score": item.score,
                "question": clean(by_id[item.id].rollout.question, _SHOWN_CHARS // 3),
                "response": clean(by_id[item.id].rollout.response, _SHOWN_CHARS),
            }
            for item in list(worst_of_source.values())[:_MISTAKES]
        ]

    by_score = sorted((row.score, place) for place, row in enumerate(report.rows) if row.score is not None)
    scored = [report.rows[place] for _, place in by_score]
    bad, good = [row for row in reversed(scored) if row.label <= 0.5], [row for row in scored if row.label > 0.5]
    return [
        ("Worst mistakes: bad reasoning with the highest scores", quoted(bad)),
        ("Worst mistakes: good reasoning with the lowest scores", quoted(good)),
    ]


def _known(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _number(value: float | None) -> str:
    return f"{value:.2f}" if _known(value) else "–"


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value


def measure_rows(report: Report) -> list[tuple[str, str]]:
    """(measure, value) for all that was measured of the judge as a whole."""
    agreement, length, speed = report.agreement, report.length, report.speed
    rows = [
        ("AUC", show(agreement.auc)),
        (f"pair accuracy ({agreement.pairs} pairs)", show(agreement.pair_accuracy)),
        ("rank correlation with labels: Spearman", show(agreement.spearman)),
        ("rank correlation with labels: Kendall", show(agreement.kendall)),
        ("ECE", show(agreement.ece, 3)),
        ("coverage", show(report.coverage.share, 3)),
        ("score and length: overall", show(length.overall)),
        ("score and length: good rows", show(length.good)),
        ("score and length: bad rows", show(length.bad)),
        ("score and length: within kinds", show(length.within_kind)),
    ]
    if report.consistency is not None:
        votes = f"{report.consistency.votes} votes, {report.consistency.rows} rows"
        rows.append((f"spread of votes ({votes})", show(report.consistency.spread, 3)))
        rows.append(("agreement of two votes: Spearman", show(report.consistency.agreement)))
    if report.order is not None:
        rows.append((f"pairwise: the better one wins ({report.order.pairs} pairs)", show(report.order.accuracy)))
        rows.append(("pairwise: goes to the first one", show(report.order.first)))
        rows.append(("pairwise: winner flips with the order", show(report.order.flips)))
    if report.canaries is not None:
        swayed = f"attacks that sway it ({report.canaries.scored} of {report.canaries.total} scored)"
        rows.append((swayed, show(report.canaries.share)))
    rows.append((f"milliseconds a call, median ({speed.concurrency} at once)", show(_milli(speed.p50_s), 1)))
    rows.append(("milliseconds a call, 95th percentile", show(_milli(speed.p95_s), 1)))
    rows.append(("calls a second", f"{speed.per_second:,.1f}"))
    if speed.load_s is not None:
        rows.append(("first call (loads weights), seconds", f"{speed.load_s:.2f}"))
    if report.cost is not None:
        cost = report.cost
        rows.append(("tokens: prompt, completion", f"{cost.prompt_tokens:.0f}, {cost.completion_tokens:.0f}"))
        rows.append(("requests, of them from the cache", f"{cost.calls:.0f}, {cost.cache_hits:.0f}"))
        rows.append(("cost, and of a thousand verdicts", f"{cost.cost:.4f}, {cost.per_thousand:.4f}"))
    return rows


def _milli(seconds: Interval) -> Interval:
    return Interval(1000 * seconds.value, 1000 * seconds.low, 1000 * seconds.high)
