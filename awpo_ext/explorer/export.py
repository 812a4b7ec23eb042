"""The page and its data as one HTML file that needs no server and no network.

Scripts and style are named by their hashes in the file's content security policy; the data are gzip in base64, in blocks
that are no scripts.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from typing import Any

import numpy as np

from awpo_ext.explorer.api import Explorer, stored_row
from awpo_ext.explorer.detail import rollout_detail, search_texts
from awpo_ext.explorer.index import Columns, packed
from awpo_ext.explorer.server import STATIC

BLOCK = 100  # rollouts whose texts are packed together
DEFAULT_ROLLOUTS = 2000
# In the order in which they must be read; each may use those before it.
MODULES = (
    "dom.js", "filters.js", "data.js", "charts.js", "calls.js", "terms.js", "rollout.js", "list.js", "steps.js",
    "findings.js", "runs.js", "app.js",
)  # fmt: skip
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w.]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:const|let|function|class)) (\w+)", re.MULTILINE)


def export_page(explorer: Explorer, rollouts: int = DEFAULT_ROLLOUTS) -> str:
    """The file's text.

    Args:
        rollouts: at most so many of each run go into the file, whole groups, evenly spread over the run; the page says
            so. Metrics are always whole.
    """
    for index in explorer.indexes:
        index.refresh()
    kept = [_kept(index.columns, rollouts) for index in explorer.indexes]
    runs = explorer.runs()
    parts: dict[str, bytes] = {}
    for i, (index, rows) in enumerate(zip(explorer.indexes, kept, strict=True)):
        runs["runs"][i] |= {"block": BLOCK, "rollouts": len(rows), "of": index.columns.count}
        parts[f"metrics-{i}"] = _dumps(explorer.metrics(i))
        parts[f"rows-{i}"] = _frame(index.columns, rows)
        for k in range(0, len(rows), BLOCK):
            stored = [stored_row(*index.place(int(row))) for row in rows[k : k + BLOCK]]
            details = [{**rollout_detail(row), "search_text": search_texts(row)} for row in stored]
            parts[f"texts-{i}-{k // BLOCK}"] = _dumps(details)
    return _page({"runs": _dumps(runs), **parts})


def _kept(columns: Columns, rollouts: int) -> np.ndarray:
    """The rows of as many groups as there is room for."""
    if columns.count <= rollouts:
        return np.arange(columns.count)
    group = columns.numbers["group"].astype(int)
    groups = len(columns.groups["uid"])
    wanted = max(1, groups * rollouts // columns.count)
    chosen = np.unique(np.linspace(0, groups - 1, wanted).astype(int))
    return np.flatnonzero(np.isin(group, chosen))


def _frame(columns: Columns, rows: np.ndarray) -> bytes:
    """`RunIndex.frame` of some rows, with groups numbered anew."""
    numbers = {name: values[rows] for name, values in columns.numbers.items()}
    old, group = np.unique(numbers.get("group", np.empty(0)).astype(int), return_inverse=True)
    groups = {name: [values[i] for i in old] for name, values in columns.groups.items()}
    if len(rows):
        numbers["group"] = group
    words = {name: list(codes) for name, codes in columns.words.items()}
    head = {
        "first": 0,
        "count": len(rows),
        "generation": 0,
        "columns": list(numbers),
        "groups": groups,
        "words": words,
    }
    return packed(head, list(numbers.values()))


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _page(parts: dict[str, bytes]) -> str:
    library = _text("vendor/uPlot.iife.min.js")
    modules = "\n".join(map(_module, MODULES))
    scripts = [library, f'"use strict";\n(() => {{\nconst modules = {{}};\n{modules}\n}})();\n']
    style = _text("vendor/uPlot.min.css") + "\n" + _text("style.css") + "\n" + _text("rollout.css")
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    blocks = [
        f'<script type="application/json" id="part-{name}">{base64.b64encode(gzip.compress(data, 6)).decode()}</script>'
        for name, data in parts.items()
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>awpo view</title>\n<style>{style}</style>\n</head>\n<body>\n"
        + "\n".join(blocks)
        + "".join(f"\n<script>{script}</script>" for script in scripts)
        + "\n</body>\n</html>\n"
    )


def _module(name: str) -> str:
    """A module as a function's body: what it exports goes into `modules`, what it imports comes from there."""
    text = _text(name)
    exports = ", ".join(found[2] for found in _EXPORT.finditer(text))
    body = _EXPORT.sub(r"\1 \2", _IMPORT.sub(r'const \1 = modules["\2"];', text))
    return f'modules["{name}"] = (() => {{\n{body}\nreturn {{ {exports} }};\n}})();'


def _text(name: str) -> str:
    text = (STATIC / name).read_text(encoding="utf-8")
    if "</script" in text or "</style" in text:
        raise ValueError(f"{name} cannot stand in a page: it holds a closing tag")
    return text


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
