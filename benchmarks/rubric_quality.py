"""Does the LLM judge tell real reasoning from reasoning that belongs elsewhere? And which canaries sway it?

    python benchmarks/rubric_quality.py --url http://127.0.0.1:8000/v1 --model NAME [--arms 'bare;built-in'] [--canaries]

Scores the pairs of mismatched.py through `judge=llm` as training does, once for each arm: a rubric with options. Prints
AUC with a bootstrap interval over rows, the share of rows whose own reasoning wins, Unscored, tokens and latency; with
probabilities both for the numbers that the model gave and for those of the verdict.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from mismatched import HALVES, KINDS, half, mismatched, read_rows

from awpo_ext.data.rows import Row
from reward_models.judge_eval.attacks import count_swayed, top_of_scale
from reward_models.judge_eval.robustness import canary_result
from reward_models.judges.llm.judge import Judgement, LlmJudge
from reward_models.judges.llm.verdict import Grade, Scale
from reward_models.labelled import HONEST, LabelledRollout
from reward_models.types import Scored

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "shared" / "data" / "toolrl" / "rlla_sft.json"
ARMS: dict[str, dict[str, Any]] = {
    "bare": {"rubric": str(HERE / "bare_0_to_10.txt")},
    "built-in": {"expected": True},
    "reference": {"expected": True, "reference": True},
    "yes_no": {"verdict": "yes_no"},
    "yes_no, reference": {"verdict": "yes_no", "reference": True},
    "3 votes": {"expected": True, "votes": 3},
}
_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Contrast:
    """Own reasoning against one kind, over the rows where both were scored: the AUC, and the share of rows it wins."""

    kind: str
    rows: int
    auc: Interval
    wins: Interval


def auc(own: np.ndarray, other: np.ndarray) -> float:
    """The share of pairs, one of each, in which the own is higher; ties count half."""
    return float((own[:, None] > other).mean() + (own[:, None] == other).mean() / 2)


def wins(own: np.ndarray, other: np.ndarray) -> float:
    """The same over the pairs of one row, which is what a group of rollouts is compared by."""
    return float((own > other).mean() + (own == other).mean() / 2)


def by_probability(judgement: Judgement) -> float | None:
    """The verdict, None where it is Unscored."""
    return judgement.verdict.value if isinstance(judgement.verdict, Scored) else None


def as_given(judgement: Judgement, scale: Scale) -> float | None:
    """What the verdict would be without probabilities: the mean of the numbers that the votes gave."""
    grades = [vote.result for vote in judgement.votes if isinstance(vote.result, Grade)]
    return fmean(scale.to_unit(grade.score) for grade in grades) if by_probability(judgement) is not None else None


def contrast(items: Sequence[LabelledRollout], scores: Sequence[float | None], kind: str) -> Contrast | None:
    """None where no row has both scores. The interval is of 95 %, by resampling rows."""
    by_row: dict[str, dict[str, float]] = {}
    for item, score in zip(items, scores, strict=True):
        if score is not None:
            by_row.setdefault(item.source, {})[item.kind] = score
    pairs = np.array([[row[HONEST], row[kind]] for row in by_row.values() if HONEST in row and kind in row])
    if not len(pairs):
        return None
    draws = np.random.default_rng(0).integers(len(pairs), size=(_RESAMPLES, len(pairs)))

    def interval(statistic: Any) -> Interval:
        low, high = np.quantile([statistic(*pairs[draw].T) for draw in draws], (0.025, 0.975))
        return Interval(statistic(*pairs.T), float(low), float(high))

    return Contrast(kind, len(pairs), interval(auc), interval(wins))


def table(items: Sequence[LabelledRollout], judgements: Sequence[Judgement], judge: LlmJudge, name: str) -> list[str]:
    """The arm's lines of the Markdown table, one for each kind: by the numbers given and, where asked for, expected."""
    answers = [vote.answer for judgement in judgements for vote in judgement.votes if vote.answer is not None]
    unscored = fmean(not isinstance(judgement.verdict, Scored) for judgement in judgements)
    cost = "no answers |"
    if answers:
        prompt = fmean(answer.prompt_tokens for answer in answers)
        completion = fmean(answer.completion_tokens for answer in answers)
        cost = f"{prompt:.0f} + {completion:.0f} | {median(answer.latency_s for answer in answers):.0f} s"
    scores = {"": [as_given(judgement, judge.rubric.scale) for judgement in judgements]}
    if judge.config.needs_odds:
        scores[", by probability"] = [by_probability(judgement) for judgement in judgements]
    lines = []
    for suffix, values in scores.items():
        for kind in dict.fromkeys(item.kind for item in items if item.kind != HONEST):
            found = contrast(items, values, kind)
            shown = "0 | | " if found is None else f"{found.rows} | {found.auc} | {found.wins}"
            lines.append(f"| {name}{suffix} | {kind} | {shown} | {unscored:.0%} | {cost} |")
    return lines


def short_first(rows: Sequence[Row], max_chars: int | None) -> tuple[list[Row], int]:
    """The rows, those that are cheap to judge first, and how many these are; in their order otherwise.

    The others stay, since thoughts are drawn from all rows. Measured is what a prompt shows of a row.
    """

    def short(row: Row) -> bool:
        about = row["extra_info"]
        shown = len(about["question"]) + len(about["tools"]) + len(row["reward_model"]["ground_truth"])
        return max_chars is None or shown <= max_chars

    return sorted(rows, key=lambda row: not short(row)), sum(map(short, rows))


async def run(options: argparse.Namespace, items: Sequence[LabelledRollout]) -> None:
    print(
        "| arm | own against | rows | AUC | own wins | unscored | tokens | latency p50 |\n|---|---|---|---|---|---|---|---|"
    )
    client = {
        "base_url": options.url, "model": options.model, "max_concurrency": options.concurrency, "timeout_s": 1800,
        "deadline_s": 36000, "cache_dir": options.cache, "max_tokens": 256,
    }  # fmt: skip
    swayed = []
    for name in options.arms.split(";"):
        own = {"rubric": name, "expected": True} if name.endswith(".txt") else ARMS[name]
        judge = LlmJudge(**client, **own)
        try:
            await judge.preflight()
            if items:
                judgements = await asyncio.gather(*(judge.judge(item.rollout) for item in items))
                print("\n".join(table(items, judgements, judge, f"{name} ({judge.rubric.version})")), flush=True)
            if options.canaries:
                swayed += [f"\nCanaries, {name}:", *await canary_table(judge)]
        finally:
            await judge.aclose()
    print("\n".join(swayed))


async def canary_table(judge: LlmJudge) -> list[str]:
    report = await count_swayed(judge, high=top_of_scale(judge))
    lines = [f"{kind}: {swayed} of {count}" for kind, (swayed, count) in report.by_kind().items()]
    controls = f"good control {report.good}, bad control {report.bad}; discriminates: {report.discriminates}"
    names = ", ".join(result.name for result in report.results if result.swayed)
    scores = [result.verdict.value for result in report.results if isinstance(result.verdict, Scored)]
    if isinstance(report.good, Scored):
        lines.append(f"as high as the good control: {sum(score >= report.good.value for score in scores)}")
    lines.append(f"at least half way from the bad control to the good one: {canary_result(report).swayed}")
    return [f"swayed {report.swayed} of {len(report.results)}, unscored {report.unscored}; {controls}", *lines, names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="an OpenAI-compatible API, as in http://127.0.0.1:8000/v1")
    parser.add_argument("--model", required=True)
    parser.add_argument("--arms", default=";".join(ARMS), help=f"divided by ';', of {'; '.join(ARMS)}; or files *.txt")
    parser.add_argument("--half", choices=HALVES, default=HALVES[1], help="rubrics are chosen on the first one only")
    parser.add_argument("--rows", type=int, default=40, help="0: the canaries alone")
    parser.add_argument(
        "--max-chars", type=int, help="only rows whose request, tools and own answer are no longer together"
    )
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--canaries", action="store_true")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--cache", help="folder for answers, so that an interrupted run can go on")
    parser.add_argument("--data", type=Path, default=DATA, help="ToolRL's rlla_sft.json")
    options = parser.parse_args()
    for name in options.arms.split(";"):
        if not name.endswith(".txt") and name not in ARMS:
            sys.exit(f"--arms: {name!r} is not known; known: {'; '.join(ARMS)}; or a rubric's file that ends in .txt")
    if options.rows and not options.data.is_file():
        sys.exit(
            f"skipped: {options.data} is not there; --data names ToolRL's rlla_sft.json, see docs/judge_quality.md"
        )
    kinds = {HONEST, *options.kinds.split(",")}
    items = []
    if options.rows:
        rows = half(read_rows(options.data), options.half)
        rows, count = short_first(rows, options.max_chars)
        items = [item for item in mismatched(rows, min(options.rows, count)) if item.kind in kinds]
    print(f"{options.model}; half {options.half!r}; {len(items)} rollouts; machine load {os.getloadavg()[0]:.1f}\n")
    asyncio.run(run(options, items))


if __name__ == "__main__":
    main()
