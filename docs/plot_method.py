"""Draws docs/images/method.svg, the shapes of gate, difficulty weight and clip radius, with the code that trains.

python docs/plot_method.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from awpo_ext.advantage import Closed, difficulty, gate
from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.gating import OutcomeRange
from awpo_ext.groups import GroupStats
from awpo_ext.signals import JudgeSide

OUT = Path(__file__).parent / "images" / "method.svg"


def stats(std: torch.Tensor) -> GroupStats:
    return GroupStats(count=torch.full(std.shape, 4), mean=torch.zeros_like(std), std=std)


def outcome_range(groups: torch.Tensor) -> OutcomeRange:
    """ToolRL's, for as many groups."""
    return OutcomeRange(torch.full_like(groups, -3.0), torch.full_like(groups, 4.0))


def weight(out_std: torch.Tensor, judge_std: float, config: AwpoConfig) -> torch.Tensor:
    """The gate where the mixed reward, or the reasoning reward, has this std."""
    judge = stats(torch.full_like(out_std, judge_std))
    side = JudgeSide(out_std, out_std > 0, out_std, judge, judge, judge.count, judge.std, judge.std == 0)
    is_open = torch.full(out_std.shape, Closed.OPEN)
    return gate(stats(out_std), outcome_range(out_std), side, is_open, config)


def draw_gate(axes) -> None:
    out_std = torch.linspace(0, 3, 301, dtype=torch.float64)
    for judge_std in (0.1, 0.3, 1.0):
        axes.plot(
            out_std, weight(out_std, judge_std, AwpoConfig()), label=f"ratio, σ_mix = {judge_std} (signal: σ_rea)"
        )
    axes.plot(out_std, weight(out_std, 1.0, AwpoConfig(gate="threshold")), "k--", label="threshold 0.1, range 7")
    axes.set(title="gate w (eq. 5)", xlabel="σ_out, the spread of outcomes", ylim=(-0.03, 1.03))
    axes.legend()


def draw_difficulty(axes) -> None:
    p = torch.linspace(0, 1, 501, dtype=torch.float64)
    axes.plot(p, difficulty(p, outcome_range(p), AwpoConfig()), label="parabola 0.5 + 0.5 · 4p(1−p)")
    axes.plot(p, difficulty(p, outcome_range(p), AwpoConfig(difficulty="band")), label="band [0.2, 0.8]")
    axes.plot(
        p,
        difficulty(p, outcome_range(p), AwpoConfig(difficulty_base=0, difficulty_priority=1)),
        ":",
        label="no base term",
    )
    axes.set(title="difficulty weight d (eq. 7)", xlabel="success rate p", ylim=(-0.03, 1.15))
    axes.legend(loc="lower center")


def draw_radius(axes) -> None:
    w = torch.linspace(0, 1, 301, dtype=torch.float64)
    for schedule in ("linear", "inverse", "fixed"):
        axes.plot(w, clip_radius(w, AwpoConfig(clip_schedule=schedule, clip_scope="group")), label=schedule)
    axes.set(title="clip radius ε (eq. 9)", xlabel="gate w (its mean, with clip_scope: batch)", ylim=(0.09, 0.21))
    axes.legend()


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "awpo", "svg.fonttype": "none"})  # the same file each time, text as text
    figure, panels = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    for draw, axes in zip((draw_gate, draw_difficulty, draw_radius), panels, strict=True):
        draw(axes)
        axes.grid(alpha=0.3)
    OUT.parent.mkdir(exist_ok=True)
    figure.savefig(OUT, metadata={"Date": None})
    print(OUT.relative_to(Path.cwd()) if OUT.is_relative_to(Path.cwd()) else OUT)


if __name__ == "__main__":
    main()
