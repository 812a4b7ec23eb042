"""A run's metrics file -> a table and a figure of what AWPO did. Reads verl's file logger (JSON lines)."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from reward_models.errors import UserError, install_extra

COLUMNS = {
    "outcome": "awpo/outcome/mean",
    "reasoning": "awpo/reasoning/mean",
    "judge valid": "awpo/reasoning/valid_fraction",
    "leverage": "awpo/leverage/mean",
    "reliability": "awpo/reliability",
    "gate": "awpo/gate/mean",
    "clip radius": "awpo/clip_radius",
    "seconds": "timing_s/step",
}
INTERVAL = {"awpo/reliability": ("awpo/reliability/low", "awpo/reliability/high")}
LEVERAGE = {"all groups": "mean", "outcomes differ": "informative", "outcomes agree": "equal"}
VALIDATION = "val-core/"
ALARMS, ALARM = "awpo/alarm/count", "awpo/alarm/since/"
HEADINGS = ("step", *COLUMNS, "validation reward")

Steps = dict[int, dict[str, float]]


def read_steps(paths: list[str]) -> Steps:
    """Metrics by step; a later file (a resumed run) wins where steps overlap.

    Raises:
        UserError: a file cannot be read or holds no metrics, or a line is not one of verl's file logger; the message
            names it. A half-written last line of a killed run is dropped.
    """
    steps: Steps = {}
    for path in paths:
        lines = _lines(path)
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                if number == len(lines):
                    continue
                raise UserError(f"{path}:{number} is not JSON: {error}") from error
            step, data = _step_of(record, f"{path}:{number}")
            steps.setdefault(step, {}).update(data)
    if not steps:
        raise UserError(f"no metrics in {', '.join(paths)}; set trainer.logger=[console,file]")
    return dict(sorted(steps.items()))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UserError(f"{path}: cannot be read ({reason}); give a metrics*.jsonl of verl's file logger") from None


def _step_of(record: Any, where: str) -> tuple[int, dict[str, float]]:
    step, data = (record.get("step"), record.get("data")) if isinstance(record, dict) else (None, None)
    if not (type(step) is int and isinstance(data, dict)):
        raise UserError(f'{where} is not a step of verl\'s file logger: expected {{"step": 1, "data": {{..}}}}')
    return step, {key: float(value) for key, value in data.items() if isinstance(value, int | float)}


def validation_reward(metrics: dict[str, float]) -> float | None:
    """The mean validation reward of a step over data sources, None where it was not validated."""
    values = [value for key, value in metrics.items() if key.startswith(VALIDATION) and "/reward/mean" in key]
    return sum(values) / len(values) if values else None


def before_after(steps: Steps) -> str:
    """One line: the validation reward at the first and at the last validation."""
    validated = [value for value in map(validation_reward, steps.values()) if value is not None]
    if len(validated) < 2:
        return "Validation reward: not measured before and after (trainer.val_before_train, trainer.test_freq)"
    return f"Validation reward: {validated[0]:.3f} before, {validated[-1]:.3f} after"


def alarms(steps: Steps) -> list[tuple[int, str, int]]:
    """(step, kind, since which step) of the guard's alarms."""
    return [
        (step, key.removeprefix(ALARM), int(since))
        for step, metrics in steps.items()
        for key, since in metrics.items()
        if key.startswith(ALARM)
    ]


def alarms_line(steps: Steps) -> str:
    """One line: the guard's alarms, that there were none, or that nobody watched."""
    if not any(ALARMS in metrics for metrics in steps.values()):
        return "Alarms: the run was not watched (algorithm.awpo.guard)"
    told = [f"{kind} in step {step} (since {since})" for step, kind, since in alarms(steps)]
    return f"Alarms: {', '.join(told) or 'none'}"


def console_line(line: str) -> str | None:
    """A line of a run's console as `awpo follow` shows it: an alarm, or a step in short; None for others."""
    alarm = re.search(r"awpo-ext: (ALARM \w+: [^\x00-\x1f\x7f]*)", line)
    return alarm[1] if alarm else step_line(line)


def step_line(line: str) -> str | None:
    """A console line of verl's -> a short line, or None where it is not one of a step's metrics."""
    match = re.search(r"\bstep:(\d+) - (.*)", line)
    if not match:
        return None
    metrics = {}
    for item in match[2].split(" - "):
        key, _, value = item.partition(":")
        with contextlib.suppress(ValueError):
            metrics[key] = float(re.sub(r"np\.float64\((.*)\)", r"\1", value.strip()))
    shown = [f"{name} {_cell(metrics, key)}" for name, key in COLUMNS.items() if key in metrics]
    validated = validation_reward(metrics)
    shown += [f"validation reward {validated:.3f}"] if validated is not None else []
    return f"step {match[1]}: {', '.join(shown)}" if shown else None


def shown_rows(steps: Steps, every: int) -> list[list[str]]:
    """Cells under HEADINGS: every `every`-th step (at least 1), and always the first, the last, and validated ones."""
    rows = []
    last = max(steps)
    for step, metrics in steps.items():
        validated = validation_reward(metrics)
        if step % every and step not in (1, last) and validated is None:
            continue
        cells = [_cell(metrics, key) for key in COLUMNS.values()]
        rows.append([str(step), *cells, "" if validated is None else f"{validated:.3f}"])
    return rows


def _cell(metrics: dict[str, float], key: str) -> str:
    """A metric, with its interval where it has one."""
    if key not in metrics:
        return ""
    ends = [f"{metrics[end]:.2f}" for end in INTERVAL.get(key, ()) if end in metrics]
    return f"{metrics[key]:.3f}" + (f" [{', '.join(ends)}]" if ends else "")


def plot(steps: Steps, png: str) -> None:
    """Four panels by step: outcome (with validation), reasoning reward, the judge's leverage, its reliability.

    Dotted red lines: since when the guard's alarms say that something is wrong.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(f"the figure needs matplotlib: {install_extra('plot')}") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(10, 6), sharex=True, layout="constrained")
    titles = ("outcome reward", "reasoning reward", "leverage: the judge's share of the update", "reliability, 90 %")
    for axis, title in zip(axes.flat, titles, strict=True):
        axis.set_title(title)
        axis.grid(alpha=0.3)
    for axis, name in zip(axes.flat, ("outcome", "reasoning"), strict=False):
        axis.plot(*_curve(steps, COLUMNS[name]), marker=".", label="training batch")
    for name, key in LEVERAGE.items():
        axes[1, 0].plot(*_curve(steps, f"awpo/leverage/{key}"), marker=".", label=name)
    axes[1, 0].legend()
    numbers, middle = _curve(steps, "awpo/reliability")
    axes[1, 1].plot(numbers, middle, marker=".")
    low, high = (_curve(steps, end)[1] for end in INTERVAL["awpo/reliability"])
    if len(low) == len(high) == len(numbers):
        axes[1, 1].fill_between(numbers, low, high, alpha=0.2)
    axes[1, 1].axhline(0, color="k", linewidth=0.6)
    validated = [(step, validation_reward(metrics)) for step, metrics in steps.items()]
    validated = [(step, value) for step, value in validated if value is not None]
    if validated:
        axes[0, 0].plot(*zip(*validated, strict=True), marker="o", linestyle="--", label="validation")
        axes[0, 0].legend()
    for _, _, since in alarms(steps):
        for axis in axes.flat:
            axis.axvline(since, color="tab:red", linestyle=":", linewidth=0.8)
    for axis in axes[1]:
        axis.set_xlabel("step")
    figure.savefig(png, dpi=120)
    pyplot.close(figure)


def _curve(steps: Steps, key: str) -> tuple[list[int], list[float]]:
    """The steps that logged a metric, and its values."""
    logged = {step: metrics[key] for step, metrics in steps.items() if key in metrics}
    return list(logged), list(logged.values())
