"""A table of example rollouts in verl's loggers, beside the metrics: `algorithm.awpo.examples`.

verl's loggers take numbers; tables go into each by its own call, as verl's `ValidationGenerationsLogger` does it. Nothing
raises into the run: a logger that fails gets no more tables, and one line says so.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import torch

from awpo_ext.record.examples import COLUMNS, NUMBERS, ExampleOptions, Numbers, choose, example_row
from awpo_ext.record.options import RecordOptions
from awpo_ext.record.rows import rows_of
from awpo_ext.record.run_info import Secrets
from awpo_ext.verl_plugin.driver.estimator import StepChannel
from awpo_ext.verl_plugin.driver.recording import fetched

logger = logging.getLogger(__name__)

NAME = "awpo/examples"
Row = dict[str, Any]


def to_wandb(backend: Any, rows: list[Row], step: int) -> None:
    backend.log({NAME: backend.Table(columns=list(COLUMNS), data=_cells(rows))}, step=step)


def to_trackio(backend: Any, rows: list[Row], step: int) -> None:
    import pandas as pd

    trackio = backend.trackio
    trackio.log({NAME: trackio.Table(dataframe=pd.DataFrame(rows, columns=list(COLUMNS)))}, step=step)


def to_swanlab(backend: Any, rows: list[Row], step: int) -> None:
    table = backend.echarts.Table()
    table.add(headers=list(COLUMNS), rows=_cells(rows))
    backend.log({NAME: table}, step=step)


def to_clearml(backend: Any, rows: list[Row], step: int) -> None:
    import pandas as pd

    backend.log({NAME: pd.DataFrame(rows, columns=list(COLUMNS))}, step=step)


def to_mlflow(backend: Any, rows: list[Row], step: int) -> None:
    """An artifact a step, in the form of `mlflow.log_table`, whose own file would be read and sent whole each time."""
    import mlflow

    mlflow.log_dict({"columns": COLUMNS, "data": _cells(rows)}, f"{NAME.replace('/', '_')}/step_{step:06d}.json")


def to_tensorboard(backend: Any, rows: list[Row], step: int) -> None:
    backend.writer.add_text(NAME, markdown(rows), step)
    backend.writer.flush()


BACKENDS: dict[str, Callable[[Any, list[Row], int], None]] = {
    "wandb": to_wandb,
    "vemlp_wandb": to_wandb,
    "trackio": to_trackio,
    "swanlab": to_swanlab,
    "clearml": to_clearml,
    "mlflow": to_mlflow,
    "tensorboard": to_tensorboard,
}


def markdown(rows: list[Row]) -> str:
    """One section a rollout. Texts are code blocks by indentation, which nothing inside them can end."""
    sections = []
    for row in rows:
        numbers = ", ".join(f"{name} {_shown(row[name])}" for name in NUMBERS[1:])
        texts = [
            f"**{name}**\n\n{_indented(row[name])}" for name in COLUMNS if isinstance(row[name], str) and row[name]
        ]
        sections.append("\n\n".join([f"### {numbers}", *texts]))
    return "\n\n---\n\n".join(sections)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _cells(rows: list[Row]) -> list[list[Any]]:
    return [[row[name] for name in COLUMNS] for row in rows]


class ExampleTables:
    """Of one run."""

    def __init__(self, options: ExampleOptions) -> None:
        self._options = options
        self._failed: set[str] = set()
        self._last: int | None = None  # a step may have several updates: the first has its table
        self._secrets = Secrets()

    def update(
        self, tracking: Any, batch: Any, channel: StepChannel, radius: torch.Tensor, step: int, tokenizer: Any
    ) -> None:
        """A table of this update in each logger of verl's `Tracking` that can show one, where one is due."""
        loggers = getattr(tracking, "logger", None) or {}
        named = [name for name in loggers if name in BACKENDS and name not in self._failed]
        if not named or step == self._last or not self._options.due(step):
            return
        self._last = step
        try:
            rows = self._rows(batch, channel, radius, step, tokenizer)
        except Exception as error:
            self._fail(named, error)
            return
        for name in named:
            try:
                BACKENDS[name](loggers[name], rows, step)
            except Exception as error:
                self._fail([name], error)

    def _fail(self, names: list[str], error: Exception) -> None:
        self._failed.update(names)
        logger.error(
            "awpo-ext: NO MORE TABLES OF EXAMPLE ROLLOUTS in %s (%s: %s). Training and its metrics go on. Without tables: "
            "+algorithm.awpo.examples=false",
            ", ".join(names),
            type(error).__name__,
            self._secrets.hide(str(error)),
        )

    def _rows(self, batch: Any, channel: StepChannel, radius: torch.Tensor, step: int, tokenizer: Any) -> list[Row]:
        chosen = choose(numbers_of(channel), self._options.count)
        numbers = [number for number, _ in chosen]
        seen = fetched(batch, channel, channel.config.reasoning_key, numbers)
        rollouts, groups = rows_of(
            seen,
            channel.result,
            radius,
            RecordOptions(),
            lambda ids: tokenizer.decode(ids, skip_special_tokens=True),
            self._secrets,
            numbers,
        )
        prompts = {group["group"]: group for group in groups}
        return [
            example_row({**prompts[row["group"]], **row}, step, why, self._options.max_text, self._secrets.hide)
            for row, (_, why) in zip(rollouts, chosen, strict=True)
        ]


def numbers_of(channel: StepChannel) -> Numbers:
    """What the estimator left of the N rollouts."""
    low, high = channel.outcome_range.double().unbind(-1)
    share = (channel.outcome.double() - low) / (high - low)
    score = torch.where(channel.valid[:, 0], channel.reasoning[:, 0].double(), math.nan)
    return Numbers(
        advantage=channel.result.advantages.tolist(),
        share=torch.where(channel.outcome_valid, share, math.nan).tolist(),
        score=score.tolist(),
        unread=channel.unread,
        group=channel.group,
    )
