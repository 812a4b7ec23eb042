"""Which form a record has, and its reader. Every reader gives OpenAI's form, which `sources.openai_source` reads strictly."""

from collections.abc import Callable
from typing import Any

from awpo_ext.data.errors import DataError, OddRecord
from awpo_ext.data.forms.glaive import read_glaive
from awpo_ext.data.forms.prompt_completion import read_prompt_completion
from awpo_ext.data.forms.sharegpt import read_sharegpt
from awpo_ext.data.forms.xlam import read_xlam

Record = dict[str, Any]
Reader = Callable[[Record, str], Record]


def _as_it_is(record: Record, where: str) -> Record:
    return record


FORMS: dict[str, Reader] = {
    "openai": _as_it_is,
    "sharegpt": read_sharegpt,
    "xlam": read_xlam,
    "glaive": read_glaive,
    "trl": read_prompt_completion,
}
# Data sets and tools by name, and the form that they write.
SAME_AS = {
    "anthropic": "openai",
    "responses": "openai",
    "llama-factory": "sharegpt",
    "hermes": "sharegpt",
    "toolace": "sharegpt",
    "apigen-mt": "sharegpt",
}
# Columns that tell a form; parquet fills absent ones with null, so null is absent.
_SIGNS = (
    ("xlam", ("query", "answers")),
    ("glaive", ("chat",)),
    ("trl", ("prompt", "completion")),
    ("sharegpt", ("conversations",)),
    ("openai", ("messages",)),
)
_TOOLRL = (("prompt", "reward_model"), ("instruction", "input", "output"), ("system", "user", "answer"))


def check_form(name: str) -> str:
    """The form that `--format` names, or "auto". DataError for an unknown name."""
    form = SAME_AS.get(name, name)
    if form != "auto" and form not in FORMS:
        raise DataError(f"--format: {name!r}; choose from auto, {', '.join((*FORMS, *SAME_AS))}")
    return form


def detect(record: Record, where: str) -> str:
    """The form of a record by its columns. OddRecord where it has none of them; it names the right command for ToolRL's."""
    there = {key for key, value in record.items() if value is not None}
    for form, columns in _SIGNS:
        if there.issuperset(columns):
            named = form == "openai" and _has_names_of_sharegpt(record["messages"])
            return "sharegpt" if named else form
    if any(there.issuperset(columns) for columns in _TOOLRL):
        raise OddRecord("a form that `awpo data toolrl` reads", where, f"columns {', '.join(sorted(there))}")
    known = "; ".join(f"{form}: {', '.join(columns)}" for form, columns in _SIGNS)
    raise OddRecord("no known form", where, f"columns {', '.join(sorted(there)) or 'none'}, known forms are {known}")


def to_openai(record: Record, where: str, form: str = "auto") -> tuple[Record, str]:
    """The record with `messages` and `tools`, and the form that it had. OddRecord where it cannot be read."""
    found = detect(record, where) if form == "auto" else form
    return FORMS[found](record, where), found


def _has_names_of_sharegpt(messages: Any) -> bool:
    return isinstance(messages, list) and bool(messages) and isinstance(messages[0], dict) and "from" in messages[0]
