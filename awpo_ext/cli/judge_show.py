"""A judge's report, and a comparison of judges, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table

from awpo_ext.reports.judge_eval_html import measure_rows
from reward_models.judge_eval.comparison import Comparison
from reward_models.judge_eval.limits import show, summarise
from reward_models.judge_eval.report import Report
from reward_models.judges.llm.fencing import clean
from reward_models.scorers.features.measure import Parts

_COLOURS = {"fit": "green", "reservations": "yellow", "unfit": "red", "nothing": "red"}
_MOST_CHARS = 400


def escape(text: str) -> str:
    """What rows and judges are called may hold terminal escapes as well as markup."""
    return escape_markup(clean(text, _MOST_CHARS))


def show_report(console: Console, report: Report, broken: Sequence[str] = ()) -> None:
    """Headline, limits that were not kept, findings, measures and kinds."""
    found = summarise(report, broken)
    colour = _COLOURS[found.level]
    console.print(f"[bold]{escape(report.name)}[/bold]: [bold {colour}]{escape(found.headline)}[/bold {colour}]")
    for sentence in broken:
        console.print(f"  [red]refused[/red] {escape(sentence)}", highlight=False)
    for finding in found.findings:
        console.print(f"  - {escape(finding)}", highlight=False)
    if found.level == "nothing":
        return
    table = Table(title=f"{report.data.rows} rows of {report.data.sources} sources", title_justify="left")
    table.add_column("measure")
    table.add_column("value [95 % interval]")
    for measure, value in measure_rows(report):
        table.add_row(measure, escape(value))
    console.print(table)
    if not report.kinds:
        return
    kinds = Table(title="By kind, against honest rows of the same sources", title_justify="left")
    for heading in ("kind", "rows", "AUC", "pair accuracy", "mean score"):
        kinds.add_column(heading, justify="left" if heading == "kind" else "right")
    for kind, item in report.kinds.items():
        mean = f"{item.mean_score:.2f}"
        kinds.add_row(escape(kind), str(item.rows), escape(show(item.auc)), escape(show(item.pair_accuracy)), mean)
    console.print(kinds)
    if report.parts is not None:
        _show_parts(console, report.parts)


def _show_parts(console: Console, found: Parts) -> None:
    """A scorer's AUC by kind against all honest rows, beside that of each part alone."""
    names = list(found.kinds[0].baselines)
    headings = ("kind", "rows", "trained on", "AUC [95 %]", "pairs", *names)
    table = Table(*headings, title="The scorer beside its parts, against all honest rows", title_justify="left")
    for item in found.kinds:
        alone = (f"{item.baselines[name]:.3f}" for name in names)
        seen, auc = "yes" if item.seen else "no", escape(show(item.auc, 3))
        table.add_row(escape(item.kind), str(item.rows), seen, auc, f"{item.pairs:.3f}", *alone)
    console.print(table)
    line = (
        f"ECE at even odds: {show(found.ece, 3)}; before calibration {found.ece_raw.value:.3f}. Score and length among "
        f"honest rows, rank correlation: {found.length_correlation:+.3f}"
    )
    console.print(escape(line), highlight=False)


def show_comparison(console: Console, found: Comparison) -> None:
    """Side by side, then the differences that are significant."""
    left_out = f"; {found.left_out} without a score of one of them left out" if found.left_out else ""
    for title, values in ((f"{found.rows} rows{left_out}", found.overall), ("AUC by kind", found.kinds)):
        if not values:
            continue
        table = Table(title=title, title_justify="left")
        table.add_column("measure")
        for judge in found.judges:
            table.add_column(escape(judge))
        for measure, of_judge in values.items():
            table.add_row(escape(measure), *(escape(show(of_judge[judge])) for judge in found.judges))
        console.print(table)
    significant = [test for test in (*found.overall_tests, *found.kind_tests) if test.significant]
    for test in significant:
        other = test.second if test.better == test.first else test.first
        line = f"{test.measure}: {test.better} is better than {other} by {show(test.lead)}, p {test.p:.2g} (Holm)"
        console.print(escape(line), highlight=False)
    total = len(found.overall_tests) + len(found.kind_tests)
    console.print(f"{len(significant)} of {total} differences are significant at 0.05.", highlight=False)
