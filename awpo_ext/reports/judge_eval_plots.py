"""The figures of a judge's report, as data URIs of SVG; no text of rows or judges gets into them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np

from reward_models.judge_eval.report import Report

_GOOD, _BAD = "#1a7f4b", "#b42318"
_POINTS = 3000


def figures(report: Report) -> dict[str, str]:
    """scores, reliability and length; {} where matplotlib is not installed or nothing is scored."""
    try:
        from matplotlib.figure import Figure  # without pyplot: no backend, no global state
    except ImportError:
        return {}
    rows = [row for row in report.rows if row.score is not None]
    if not rows:
        return {}
    scores = np.array([row.score for row in rows])
    good = np.array([row.label > 0.5 for row in rows])
    lengths = np.array([row.length for row in rows])

    def draw(plot: Callable[[Any], None]) -> str:
        figure = Figure(figsize=(5, 3.3), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        plot(axes)
        svg = io.BytesIO()
        figure.savefig(svg, format="svg", dpi=150, metadata={"Date": None})
        return "data:image/svg+xml;base64," + base64.b64encode(svg.getvalue()).decode()

    return {
        "scores": draw(lambda axes: _scores(axes, scores, good)),
        "reliability": draw(lambda axes: _reliability(axes, report)),
        "length": draw(lambda axes: _length(axes, scores, good, lengths)),
    }


def _scores(axes: Any, scores: np.ndarray, good: np.ndarray) -> None:
    bins = np.linspace(0, 1, 41)
    for chosen, colour, label in ((good, _GOOD, "good"), (~good, _BAD, "bad")):
        if chosen.any():
            weights = np.full(chosen.sum(), 1 / chosen.sum())
            name = f"{label} ({chosen.sum()})"
            axes.hist(scores[chosen], bins, weights=weights, color=colour, alpha=0.5, label=name)
    axes.set(xlabel="score", ylabel="share of its rows", xlim=(0, 1))
    axes.legend(frameon=False)


def _reliability(axes: Any, report: Report) -> None:
    table = report.agreement.reliability
    axes.plot([0, 1], [0, 1], color="#98a2b3", linewidth=1, linestyle="--")
    for item in table:
        axes.plot([item.low, item.high], [item.label, item.label], color="#2f6fb3", alpha=0.35, linewidth=4)
    axes.plot([item.probability for item in table], [item.label for item in table], marker="o", color="#2f6fb3")
    axes.set(xlabel="mean score of the bin", ylabel="mean label", xlim=(0, 1), ylim=(-0.02, 1.02))
    axes.set_title(f"ECE {report.agreement.ece.value:.3f}, {len(table)} bins of equal mass", fontsize=10, loc="left")


def _length(axes: Any, scores: np.ndarray, good: np.ndarray, lengths: np.ndarray) -> None:
    if len(scores) > _POINTS:
        drawn = np.random.default_rng(0).choice(len(scores), _POINTS, replace=False)
        scores, good, lengths = scores[drawn], good[drawn], lengths[drawn]
    for chosen, colour, label in ((~good, _BAD, "bad"), (good, _GOOD, "good")):
        axes.scatter(lengths[chosen] + 1, scores[chosen], s=9, alpha=0.4, color=colour, label=label, rasterized=True)
    axes.set(xscale="log", xlabel="characters of the thought, plus 1", ylabel="score", ylim=(-0.02, 1.02))
    axes.legend(frameon=False)
