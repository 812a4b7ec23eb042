"""An ablation's logs -> one table with means and intervals, as Markdown and JSON, and a figure. Runs nothing.

Intervals are Student's t over seeds at 95 %, which for two seeds is wide, as it should be. Differences are paired by seed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from awpo_ext.ablation.sweep import FAILED, Cell, Sweep
from awpo_ext.reports.run_files import Steps, read_steps
from awpo_ext.reports.run_summary import COLUMNS, validation_reward
from reward_models.errors import install_extra

LAST_PART = 0.2  # of a run's steps, over which the training metrics are averaged
VALIDATION, GAIN = "validation reward", "gain"
TRAINING = ("outcome", "reasoning", "gate")
MEASURES = (VALIDATION, GAIN, *TRAINING)


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds; `low` and `high` are None for fewer than two."""

    mean: float
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f}" if self.low is None else f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and 95 % t-interval; None for no value."""
    if not len(values):
        return None
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Estimate(mean, None, None, n)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Estimate(mean, mean - half, mean + half, n)


def measure(steps: Steps) -> dict[str, float]:
    """MEASURES of one run, those that it logged: the last validation, its gain over the first, the last steps' means."""
    found: dict[str, float] = {}
    validated = [value for value in map(validation_reward, steps.values()) if value is not None]
    if validated:
        found[VALIDATION] = validated[-1]
    if len(validated) > 1:
        found[GAIN] = validated[-1] - validated[0]
    numbers = [step for step in steps if step > 0]
    last = numbers[-max(1, round(LAST_PART * len(numbers))) :]
    for name in TRAINING:
        values = [steps[step][COLUMNS[name]] for step in last if COLUMNS[name] in steps[step]]
        if values:
            found[name] = float(np.mean(values))
    return found


def runs_of(sweep: Sweep) -> dict[tuple[str, str, int], Steps]:
    """(preset, judge, seed) -> metrics by step, of the cells that are done."""
    return {
        (cell.preset, cell.judge, cell.seed): read_steps(cell.metrics_files()) for cell in sweep.cells() if cell.done
    }


def report(sweep: Sweep) -> dict[str, Any]:
    """All figures as plain data: `rows`, one for each preset and judge, and `missing`, the cells that are not done.

    A row's `versus` is its validation reward minus that of the first preset with the same judge, paired by seed; None for
    the first preset, and where no seed is done in both.
    """
    measured = {key: measure(steps) for key, steps in runs_of(sweep).items()}
    rows = []
    for judge in sweep.judges:
        for preset in sweep.presets:
            of = {seed: measured[preset, judge, seed] for seed in sweep.seeds if (preset, judge, seed) in measured}
            row: dict[str, Any] = {"preset": preset, "judge": judge, "seeds": sorted(of)}
            for name in MEASURES:
                row[name] = _plain(estimate([values[name] for values in of.values() if name in values]))
            first = {seed: measured.get((sweep.presets[0], judge, seed), {}) for seed in of}
            paired = [
                of[seed][VALIDATION] - first[seed][VALIDATION]
                for seed in of
                if VALIDATION in of[seed] and VALIDATION in first[seed]
            ]
            row["versus"] = None if preset == sweep.presets[0] else _plain(estimate(paired))
            rows.append(row)
    missing = {cell.name: _why(cell) for cell in sweep.cells() if not cell.done}
    return {"base": sweep.base, "first": sweep.presets[0], "rows": rows, "missing": missing}


def _plain(value: Estimate | None) -> dict[str, Any] | None:
    return None if value is None else vars(value)


def _why(cell: Cell) -> str:
    path = cell.folder / FAILED
    return json.loads(path.read_text())["problem"].splitlines()[0] if path.is_file() else "not run to its end"


def markdown(figures: dict[str, Any]) -> str:
    """The table, and below it whatever is missing from it."""
    versus = f"validation, minus {figures['first']}'s"
    heads = ["preset", "judge", "seeds", *MEASURES, versus]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in figures["rows"]:
        cells = [row["preset"], row["judge"], ", ".join(map(str, row["seeds"])) or "none"]
        cells += [_cell(row[name]) for name in (*MEASURES, "versus")]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Means over seeds with 95 % t-intervals; training metrics over the last {LAST_PART:.0%} of the steps.",
    ]
    if figures["missing"]:
        lines += ["", f"**Not in the table: {len(figures['missing'])} of the runs.**", ""]
        lines += [f"- {name}: {why}" for name, why in figures["missing"].items()]
    return "\n".join(lines) + "\n"


def _cell(value: dict[str, Any] | None) -> str:
    return "" if value is None else str(Estimate(**value))


def plot(sweep: Sweep, png: Path) -> None:
    """A panel for each measure by step: a line for each preset and judge, the mean over seeds, and their range."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(f"the figure needs matplotlib: {install_extra('plot')}") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    runs = runs_of(sweep)
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for axis, name in zip(axes.flat, (VALIDATION, *TRAINING), strict=True):
        for judge in sweep.judges:
            for preset in sweep.presets:
                curves = [_curve(runs[key], name) for seed in sweep.seeds if (key := (preset, judge, seed)) in runs]
                common = sorted(set.intersection(*map(set, curves))) if curves else []
                if not common:
                    continue
                values = np.array([[curve[step] for step in common] for curve in curves])
                label = preset if len(sweep.judges) == 1 else f"{preset}, {judge}"
                (line,) = axis.plot(common, values.mean(axis=0), marker=".", label=label)
                axis.fill_between(common, values.min(axis=0), values.max(axis=0), color=line.get_color(), alpha=0.15)
        axis.set_title(name)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    if axes[0, 0].lines:
        axes[0, 0].legend()
    figure.savefig(png, dpi=120)
    pyplot.close(figure)


def _curve(steps: Steps, name: str) -> dict[int, float]:
    if name == VALIDATION:
        values = {step: validation_reward(metrics) for step, metrics in steps.items()}
        return {step: value for step, value in values.items() if value is not None}
    return {step: metrics[COLUMNS[name]] for step, metrics in steps.items() if COLUMNS[name] in metrics}
