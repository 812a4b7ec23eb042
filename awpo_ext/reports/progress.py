"""A run's console, line by line -> one line a step with how far it is and how long it will still take. Pure."""

from __future__ import annotations

import re
from collections import deque
from statistics import median

from awpo_ext.reports.run_summary import alarm_text, console_step, step_text

LAST = 10  # steps whose seconds tell how long the next ones take
SECONDS, VALIDATION_SECONDS = "timing_s/step", "timing_s/testing"  # the former without the latter
# verl's progress bar, `Training Progress:  8%|▊ | 1/12 [..`: steps that are done, and all.
_BAR = re.compile(r"Training Progress:[^|]{0,20}\|[^|]{0,200}\|\s*(\d{1,9})/(\d{1,9})\s*\[")


class Progress:
    """Of one console. A resumed run begins at a later step; the time left is that of the steps that are still to come."""

    def __init__(self, total: int | None = None) -> None:
        """total: steps of the whole run, where they are known before verl's progress bar says them."""
        self.total = total
        self._seconds: deque[float] = deque(maxlen=LAST)
        self._validations: list[float] = []
        self._steps = 0

    def line(self, line: str) -> str | None:
        """A console line -> a step's line, an alarm of the guard, or None for others."""
        if bar := _BAR.search(line):
            self.total = int(bar[2]) or self.total
        if alarm := alarm_text(line):
            return alarm
        found = console_step(line)
        if found is None:
            return None
        step, metrics = found
        text = step_text(metrics)
        if not text:
            return None
        seconds = metrics.get(SECONDS)
        if seconds is None:  # a validation before training
            return f"step {step}: {text}"
        self._seconds.append(seconds)
        self._steps += 1
        if VALIDATION_SECONDS in metrics:
            self._validations.append(metrics[VALIDATION_SECONDS])
        return f"step {step}{self._told(step)}: {text}"

    def _told(self, step: int) -> str:
        # Validations are spread evenly over the steps seen: of how many will come nothing is known but that.
        each = median(self._seconds) + sum(self._validations) / self._steps
        if self.total is None or self.total < step:
            return f" ({each:.3g} s a step)"
        if self.total == step:
            return f" of {step}"
        return f" of {self.total} ({each:.3g} s a step, {duration(each * (self.total - step))} left)"


def duration(seconds: float) -> str:
    """In the two largest units that matter.

    >>> [duration(seconds) for seconds in (0.4, 59.6, 754, 4500, 200_000)]
    ['0 s', '1 min 00 s', '12 min 34 s', '1 h 15 min', '2 d 8 h']
    """
    whole = round(seconds)
    minutes, hours, days = whole // 60, round(whole / 60) // 60, round(whole / 3600) // 24
    if days:
        return f"{days} d {round(whole / 3600) % 24} h"
    if hours:
        return f"{hours} h {round(whole / 60) % 60} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"
