"""A run's metrics -> a table of what AWPO did, and one line a step of a run that goes on."""

import contextlib
import re

from awpo_ext.reports.run_files import Steps

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
VALIDATION = "val-core/"
ALARMS, ALARM = "awpo/alarm/count", "awpo/alarm/since/"
HEADINGS = ("step", *COLUMNS, "validation reward")


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


def alarm_text(line: str) -> str | None:
    """The guard's alarm in a line of a run's console, None where there is none."""
    alarm = re.search(r"awpo-ext: (ALARM \w+: [^\x00-\x1f\x7f]*)", line)
    return alarm[1] if alarm else None


def console_step(line: str) -> tuple[int, dict[str, float]] | None:
    """Step and metrics of a console line of verl's, or None where it is not one of a step's metrics."""
    match = re.search(r"\bstep:(\d{1,9}) - (.*)", line)
    if not match:
        return None
    metrics = {}
    for item in match[2].split(" - "):
        key, _, value = item.partition(":")
        with contextlib.suppress(ValueError):
            metrics[key] = float(re.sub(r"np\.float64\((.*)\)", r"\1", value.strip()))
    return int(match[1]), metrics


def step_text(metrics: dict[str, float]) -> str:
    """A step's metrics in a line, "" where none of them is shown."""
    shown = [f"{name} {_cell(metrics, key)}" for name, key in COLUMNS.items() if key in metrics]
    validated = validation_reward(metrics)
    shown += [f"validation reward {validated:.3f}"] if validated is not None else []
    return ", ".join(shown)


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
