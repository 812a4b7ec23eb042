"""Runs as one figure of small panels by step, for a screen or the full width of a page: PNG, PDF or SVG by the file's ending.

Colours are Okabe and Ito's, which people with a colour-blindness can tell apart; a run has the same one in every panel.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from awpo_ext.reports.run_files import Run, Steps
from awpo_ext.reports.run_summary import alarms, validation_reward
from reward_models.errors import UserError, install_extra

FORMATS = (".png", ".pdf", ".svg")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
DASHES = ("-", "--", ":", "-.")
REASON_COLOURS = ("#D55E00", "#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#0072B2", "#999999")
INK, NOTE, FAINT, ALARM = "#1a1a1a", "#555555", "#e0e0e0", "#B22222"
FEW = 20  # points of a curve, each of which has a marker
BANDS = 3  # runs that are shown with bands: more would hide each other
SMOOTHED = 60  # steps from which on a curve is drawn as its mean over 1/30 of them
PANEL_COLUMNS, LEGEND_COLUMNS = 3, 2
NAME_SHOWN, LEGEND_WIDTH = 48, 112  # characters
STYLE = {
    "font.size": 7.5, "axes.titlesize": 8, "axes.labelsize": 7.5, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "legend.fontsize": 6.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": "#666666", "axes.linewidth": 0.6, "axes.labelcolor": INK,
    "text.color": INK, "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": FAINT,
    "grid.linewidth": 0.5, "axes.axisbelow": True, "lines.linewidth": 1.3, "lines.markersize": 3, "pdf.fonttype": 42,
    "svg.fonttype": "none", "legend.frameon": False, "legend.handlelength": 1.3, "legend.borderaxespad": 0.1,
    "legend.columnspacing": 0.9,
    "legend.handletextpad": 0.4,
    "text.parse_math": False, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
}  # fmt: skip

Band = Callable[[dict[str, float]], tuple[float, float] | None]


@dataclass(frozen=True)
class Panel:
    """title, note: on the left and the right above the panel.

    curves: the first is drawn for every run, all of them where there is one run; label -> how a step has it.

    band: around the first curve, where there are at most BANDS runs; band_note: what it is. share: the axis is in
    percent. zero: with a line at 0. low: where the axis begins.
    stacked: a prefix of metrics, one a reason, drawn one above the other where there is one run, else as their sum.
    missing: what a run without the panel did not log; optional: nobody has to be told.
    """

    title: str
    note: str
    missing: str
    curves: dict[str, str | Callable[[dict[str, float]], float | None]]
    band: Band | None = None
    band_note: str = ""
    share: bool = False
    zero: bool = False
    low: float | None = None
    stacked: str = ""
    optional: bool = False


def spread(mean: str, std: str) -> Band:
    def band(metrics: dict[str, float]) -> tuple[float, float] | None:
        if mean not in metrics or std not in metrics:
            return None
        return metrics[mean] - metrics[std], metrics[mean] + metrics[std]

    return band


def between(low: str, high: str) -> Band:
    return lambda metrics: (metrics[low], metrics[high]) if low in metrics and high in metrics else None


SD = "± 1 sd of rollouts"
REASONING = Panel("Reasoning reward", "", "awpo/reasoning/mean", {"": "awpo/reasoning/mean"},
                  spread("awpo/reasoning/mean", "awpo/reasoning/std"), SD)  # fmt: skip
PANELS = (
    Panel("Outcome reward", "", "awpo/outcome/mean", {"": "awpo/outcome/mean"},
          spread("awpo/outcome/mean", "awpo/outcome/std"), SD),
    REASONING,
    Panel("Validation reward", "", "set trainer.test_freq", {"": validation_reward}),
    Panel("Leverage", "the judge's share of the update", "awpo/leverage/mean",
          {"all groups": "awpo/leverage/mean", "outcomes differ": "awpo/leverage/informative",
           "outcomes agree": "awpo/leverage/equal"}, low=0),
    Panel("Reliability", "of the judge", "awpo/reliability", {"": "awpo/reliability"},
          between("awpo/reliability/low", "awpo/reliability/high"), "90 % interval", zero=True),
    Panel("Gate w", "", "awpo/gate/mean", {"": "awpo/gate/mean"},
          between("awpo/gate/p10", "awpo/gate/p90"), "10 to 90 % of groups", low=0),
    Panel("Unscored rollouts", "by reason", "awpo/judge/failed/*", {}, stacked="awpo/judge/failed/", share=True, low=0),
    Panel("Closed groups", "by reason", "awpo/closed/*", {}, stacked="awpo/closed/", share=True, low=0),
    Panel("Response length", "tokens", "response_length/mean", {"": "response_length/mean"}),
    Panel("Clip fraction", "of tokens", "actor/pg_clipfrac", {"": "actor/pg_clipfrac"}, share=True, low=0),
    Panel("Entropy", "of the policy", "actor/entropy", {"": "actor/entropy"}),
    Panel("KL", "to the sampling policy", "actor/ppo_kl", {"": "actor/ppo_kl"}, zero=True),
    Panel("KL", "to the reference", "actor/kl_loss", {"": "actor/kl_loss"}, low=0, optional=True),
)  # fmt: skip


def plot(runs: Sequence[Run], file: Path) -> list[str]:
    """Write the figure; one sentence for each panel that no run has metrics for.

    Raises:
        UserError: the file's ending is not one of FORMATS.
        ImportError: matplotlib is not installed; the message says how to.
    """
    if file.suffix.lower() not in FORMATS:
        raise UserError(f"{file}: a figure is a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file")
    try:
        import matplotlib
        from matplotlib.figure import Figure  # without pyplot: no backend, no global state
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError(f"the figure needs matplotlib: {install_extra('plot')}") from error

    panels = panels_of(runs)
    shown = [panel for panel in panels if any(has(panel, run.steps) for run in runs)]
    with matplotlib.rc_context(cast(Any, STYLE)):
        rows = max(1, math.ceil(len(shown) / PANEL_COLUMNS))
        layout = ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05)
        figure = Figure(figsize=(7.5, 1.6 * rows + 0.45), layout=layout)
        axes = list(figure.subplots(rows, PANEL_COLUMNS, sharex=True, squeeze=False).flat)
        for axis, panel in zip(axes, shown, strict=False):
            draw(axis, panel, runs)
        _finish(axes, len(shown))
        _names(figure, runs)
        figure.savefig(file, dpi=200)
    absent = [panel for panel in panels if panel not in shown and not panel.optional]
    return [f"{panel.title}: not logged ({panel.missing})" for panel in absent]


def panels_of(runs: Sequence[Run]) -> list[Panel]:
    """PANELS; where runs have several signals, the reasoning reward is a panel of each."""
    keys = {key for run in runs for metrics in run.steps.values() for key in metrics}
    signals = sorted(found[1] for key in keys if (found := re.fullmatch("awpo/reasoning/(.+)/mean", key)))
    if not signals:
        return list(PANELS)
    each = [replace(REASONING, note=signal[:NAME_SHOWN // 2], curves={"": f"awpo/reasoning/{signal}/mean"},
                    band=spread(f"awpo/reasoning/{signal}/mean", f"awpo/reasoning/{signal}/std"))
            for signal in signals]  # fmt: skip
    return [one for panel in PANELS for one in (each if panel is REASONING else [panel])]


def has(panel: Panel, steps: Steps) -> bool:
    return bool(_reasons(panel, steps)) or any(curve(steps, value)[0] for value in panel.curves.values())


def curve(steps: Steps, value: str | Callable[[dict[str, float]], float | None]) -> tuple[list[int], list[float]]:
    """The steps that have it, and its finite values."""
    of = (lambda metrics: metrics.get(value)) if isinstance(value, str) else value
    found = {step: number for step, metrics in steps.items() if (number := of(metrics)) is not None}
    found = {step: number for step, number in found.items() if math.isfinite(number)}
    return list(found), list(found.values())


def smooth(values: Sequence[float], width: int) -> list[float]:
    """Means over `width` values around each, fewer at the ends."""
    half = width // 2
    windows = (values[max(0, i - half) : i + half + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def look(number: int) -> tuple[str, str]:
    """Colour and dash of the run with this number."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]


def draw(axis: Any, panel: Panel, runs: Sequence[Run]) -> None:
    """One panel. Dotted upright lines: since when the guard's alarms say that something is wrong."""
    axis.set_title(panel.title)
    stacks = panel.stacked and len(runs) == 1
    banded = panel.band is not None and len(runs) <= BANDS
    note = "all reasons" if panel.stacked and not stacks else panel.note
    note = ", ".join(filter(None, (note, panel.band_note if banded else "")))
    axis.set_title(note, loc="right", fontsize=6.5, fontweight="normal", color=NOTE)
    if panel.zero:
        axis.axhline(0, color="#666666", linewidth=0.6)
    if stacks:
        _stack(axis, panel, runs[0].steps)
    elif len(runs) == 1:
        for (label, value), colour, dash in zip(panel.curves.items(), COLOURS, DASHES, strict=False):
            _line(axis, *curve(runs[0].steps, value), colour, dash, label)
    else:
        for number, run in enumerate(runs):
            value = (lambda metrics: _total(panel, metrics)) if panel.stacked else next(iter(panel.curves.values()))
            _line(axis, *curve(run.steps, value), *look(number), "")
    if panel.band is not None and banded:
        for number, run in enumerate(runs):
            _band(axis, panel.band, run.steps, look(number)[0])
    for number, run in enumerate(runs):
        for _, _, since in alarms(run.steps):
            axis.axvline(since, color=ALARM if len(runs) == 1 else look(number)[0], linestyle=":", linewidth=0.8)
    if panel.low is not None:
        axis.set_ylim(bottom=panel.low, top=max(axis.get_ylim()[1], 0.01 if panel.share else 1e-6))
    if panel.share:
        axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    if labels := axis.get_legend_handles_labels()[1]:
        low, high = axis.get_ylim()
        lines = -(-len(labels) // LEGEND_COLUMNS)
        axis.set_ylim(low, high + 0.13 * lines * (high - low))
        axis.legend(loc="upper left", ncols=LEGEND_COLUMNS).set_in_layout(False)


def _line(axis: Any, at: list[int], values: list[float], colour: str, dash: str, label: str) -> None:
    if not at:
        return
    marker = "o" if len(at) <= FEW else ""
    if len(at) > SMOOTHED:
        axis.plot(at, values, color=colour, linewidth=0.5, alpha=0.3)
        values = smooth(values, len(at) // 30)
    axis.plot(at, values, color=colour, linestyle=dash, marker=marker, label=label or None)


def _band(axis: Any, band: Band, steps: Steps, colour: str) -> None:
    ends = {step: found for step, metrics in steps.items() if (found := band(metrics))}
    ends = {step: found for step, found in ends.items() if all(map(math.isfinite, found))}
    low, high = ([found[end] for found in ends.values()] for end in (0, 1))
    if len(ends) > SMOOTHED:
        low, high = (smooth(values, len(ends) // 30) for values in (low, high))
    axis.fill_between(list(ends), low, high, color=colour, alpha=0.15, linewidth=0)


def _reasons(panel: Panel, steps: Steps) -> list[str]:
    """The metrics of the panel's reasons."""
    found = {key for metrics in steps.values() for key in metrics if panel.stacked and key.startswith(panel.stacked)}
    return sorted(found)


def _total(panel: Panel, metrics: dict[str, float]) -> float | None:
    found = [value for key, value in metrics.items() if key.startswith(panel.stacked)]
    return sum(found) if found else None


def _stack(axis: Any, panel: Panel, steps: Steps) -> None:
    keys = _reasons(panel, steps)
    at = [step for step, metrics in steps.items() if any(key in metrics for key in keys)]
    layers = {key: [steps[step].get(key, 0.0) for step in at] for key in keys}
    layers = {key: values for key, values in layers.items() if any(values)}
    if len(at) > SMOOTHED:
        layers = {key: smooth(values, len(at) // 30) for key, values in layers.items()}
    if not layers:
        axis.plot(at, [0.0] * len(at), color=COLOURS[0], marker="o" if len(at) <= FEW else "", label="none")
        return
    labels = [key.removeprefix(panel.stacked).replace("_", " ") for key in layers]
    axis.stackplot(at, *layers.values(), labels=labels, colors=REASON_COLOURS, alpha=0.85, linewidth=0, step="mid")


def _finish(axes: list[Any], shown: int) -> None:
    from matplotlib.ticker import MaxNLocator

    for number, axis in enumerate(axes):
        if number >= shown:
            axis.remove()
            continue
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        axis.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        if number + PANEL_COLUMNS >= shown:  # the lowest of its column
            axis.set_xlabel("step", labelpad=1)
            axis.tick_params(labelbottom=True)


def _names(figure: Any, runs: Sequence[Run]) -> None:
    """Names, and presets where they tell something: one run as a heading, several as a legend."""
    from matplotlib.lines import Line2D

    tell = len(runs) == 1 or len({run.preset for run in runs}) > 1
    names = [label_of(run, tell) for run in runs]
    if len(runs) == 1:
        last = max(runs[0].steps)
        figure.suptitle(f"{names[0]}, {last} step{'s' if last != 1 else ''}", x=0.01, ha="left", fontsize=9)
        return
    looks: list[tuple[str, Any]] = [look(number) for number in range(len(runs))]
    handles = [Line2D([], [], color=colour, linestyle=dash, linewidth=2) for colour, dash in looks]
    columns = max(1, LEGEND_WIDTH // (max(map(len, names)) + 6))
    figure.legend(handles, names, loc="outside upper left", ncols=columns, fontsize=8)


def label_of(run: Run, with_preset: bool) -> str:
    """One short printable line that matplotlib takes for a label: those that begin with `_` are left out of legends."""
    name = "".join(char if char.isprintable() else " " for char in run.name).strip() or "run"
    name = name if len(name) <= NAME_SHOWN else f"{name[: NAME_SHOWN - 1]}…"
    shown = f"{name} (preset {run.preset})" if with_preset and run.preset and run.preset != name else name
    return f" {shown}" if shown.startswith("_") else shown
