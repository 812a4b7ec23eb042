"""A result as JSON, Markdown and HTML, and as the cells of a table. Everything a model wrote is escaped in the files."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

from awpo_ext.evaluate.results import FULL

_SHOWN_REASONS = 12


def write(folder: Path, result: dict[str, Any]) -> list[Path]:
    """result.json, result.md and result.html; each is whole or the one before."""
    texts = {
        "result.json": json.dumps(result, indent=1, ensure_ascii=False) + "\n",
        "result.md": render("report_md.txt", result, html=False),
        "result.html": render("report_html.txt", result, html=True),
    }
    paths = []
    for name, text in texts.items():
        path = folder / name
        half = path.with_suffix(path.suffix + ".tmp")
        half.write_text(text, encoding="utf-8", errors="replace")
        os.replace(half, path)
        paths.append(path)
    return paths


def render(template: str, result: dict[str, Any], html: bool) -> str:
    from jinja2 import Environment

    environment = Environment(autoescape=html, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(share=_share, cell=str if html else _cell, status=status)
    text = resources.files("awpo_ext.evaluate").joinpath("templates", template).read_text(encoding="utf-8")
    return environment.from_string(text).render(result=result, shown=_SHOWN_REASONS)


def cells(result: dict[str, Any]) -> list[list[str]]:
    """A table's headings and rows, as they are; `reasons` has the rest."""
    rows = result["categories"]
    ks = list(next((row["pass_at_k"] for row in rows if "pass_at_k" in row), {}))
    means = sorted({name for row in rows for name in row["means"]})
    found = [["category", "rows", "accuracy", "95 %", *(f"pass@{k}" for k in ks), *means]]
    for row in rows:
        interval = f"{_share(row['low'])} - {_share(row['high'])}" if "low" in row else "-"
        passed = [_share(row.get("pass_at_k", {}).get(k, {}).get("value")) for k in ks]
        own = [f"{row['means'][name]:.3g}" if name in row["means"] else "-" for name in means]
        found.append([row["category"], status(row), _share(row["accuracy"]), interval, *passed, *own])
    return found


def reasons(result: dict[str, Any]) -> list[str]:
    """A line for each category: its most frequent reasons, with their counts."""
    return [
        f"{row['category']}: " + ", ".join(f"{reason} {n}" for reason, n in list(row["reasons"].items())[:4])
        for row in result["categories"]
        if row["reasons"]
    ]


def status(row: dict[str, Any]) -> str:
    """`400` for a category in full, `PARTIAL: 20 of 400` otherwise."""
    return str(row["rows"]) if row["status"] == FULL else f"PARTIAL: {row['scored']} of {row['rows']}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _cell(value: Any) -> str:
    text = " ".join(str(value).split()).replace("\\", "\\\\")
    return text.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
