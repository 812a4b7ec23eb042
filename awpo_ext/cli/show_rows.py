"""Rows of a dataset as a person reads them. Renders with rich; reads no data files."""

import json
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import Row

_ROLE_STYLE = {"system": "dim", "user": "cyan", "assistant": "green"}


def _panel(title: str, text: str, style: str = "") -> Panel:
    # Text, not str: prompts are full of square brackets, which rich would take for markup.
    return Panel(Text(text, style=style), title=title, title_align="left", border_style=style or "none")


def _json(text: str) -> Any:
    """The value, or the text itself where it is not JSON: a broken row must be readable too."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _tools(text: str) -> RenderableType:
    tools = _json(text)
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        return _panel("tools", text)
    table = Table("tool", "parameters", title="tools", title_justify="left", show_lines=False)
    for tool in tools:
        parameters = tool.get("parameters", {})
        required = parameters.get("required", ())
        names = [name if name in required else f"{name}?" for name in parameters.get("properties", {})]
        table.add_row(Text(str(tool.get("name"))), Text(", ".join(names)))
    return table


def select_rows(rows: list[Row], category: str | None, search: str | None) -> list[tuple[int, Row]]:
    """(place in the file, row) of the rows of a category that hold a text, in any case; None asks for nothing."""
    found = []
    for number, row in enumerate(rows):
        info = row.get("extra_info") or row
        text = json.dumps([row.get("prompt") or row.get("messages"), row.get("reward_model")], ensure_ascii=False)
        fits = category is None or info.get("category") == category
        if fits and (search is None or search.casefold() in text.casefold()):
            found.append((number, row))
    return found


class PromptRenderer:
    """A row's prompt as the model reads it: through a tokenizer's chat template. DataError where it cannot be loaded."""

    def __init__(self, name: str) -> None:
        try:
            from transformers import AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        except Exception as error:  # not installed, offline, not found, broken: many unrelated types
            raise DataError(f"--tokenizer {name}: cannot be loaded ({type(error).__name__}: {error})") from error

    def panel(self, row: Row) -> RenderableType:
        """The rendered text with special tokens, titled by its length in tokens."""
        messages, is_prompt = (row["prompt"], True) if row.get("prompt") else (row["messages"], False)
        text = self._tokenizer.apply_chat_template(messages, add_generation_prompt=is_prompt, tokenize=False)
        tokens = len(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        return _panel(f"as the model reads it, {tokens} tokens", text, "dim")


def render_row(row: Row) -> RenderableType:
    """The row's messages, ground truth, tools and remaining fields; fields it does not have are left out.

    In the tools' table a `?` marks an argument that the schema does not require.
    """
    info = row.get("extra_info") or {key: row[key] for key in ("id", "category") if key in row}
    facts = Table.grid(padding=(0, 2))
    for name in ("id", "category", "split", "index", "question"):
        if info.get(name) is not None:
            facts.add_row(Text(name, style="bold"), Text(str(info[name])))
    facts.add_row(Text("data_source", style="bold"), Text(str(row.get("data_source"))))
    parts: list[RenderableType] = [facts]
    for message in row.get("messages") or row.get("prompt") or []:
        role = str(message.get("role"))
        parts.append(_panel(role, str(message.get("content")), _ROLE_STYLE.get(role, "")))
    for number, text in enumerate(info.get("user_turns") or [], start=2):
        parts.append(_panel(f"user, turn {number}", str(text), _ROLE_STYLE["user"]))
    if row.get("reward_model"):
        parts.append(_panel("ground truth", str(row["reward_model"].get("ground_truth")), "green"))
    if info.get("tools"):
        parts.append(_tools(info["tools"]))
    if info.get("possible_answer"):
        answers = json.dumps(_json(info["possible_answer"]), indent=2, ensure_ascii=False)
        parts.append(_panel("possible answers", answers))
    return Group(*parts)
