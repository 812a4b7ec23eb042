"""Values that a column holds as data, as JSON text, or as the text that Python prints."""

import ast
import json
from typing import Any

from awpo_ext.data.errors import OddRecord

_MAX_LITERAL = 100_000


def json_list(value: Any, where: str, field: str) -> list[Any]:
    """The list, or the list in the JSON text; null and "" are empty. Items that are JSON texts are read too.

    OddRecord for anything else.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    if isinstance(value, str):
        value = _json(value, where, field)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise OddRecord("a field that is not a list", where, f"{field} is {str(value)[:80]!r}")
    return [_json(item, where, f"{field}[{i}]") if isinstance(item, str) else item for i, item in enumerate(value)]


def literal(text: str) -> Any:
    """The JSON value or the Python literal that the text is, such as Hermes' `{'name': ..}`. ValueError for neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > _MAX_LITERAL:
        raise ValueError("too long to be read as a Python literal")
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"neither JSON nor a Python literal: {text.strip()[:80]!r}") from error


def _json(text: str, where: str, field: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OddRecord("a text that is not JSON", where, f"{field}: {error}") from error
