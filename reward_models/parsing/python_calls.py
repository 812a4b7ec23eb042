"""The dialect `python`: BFCL's call syntax, `[f(a=1), g.h(b="x")]`, read from the syntax tree and never evaluated.

Before Python's parser sees a text, a scan of its tokens lets through only names, literals, brackets, and the marks
between them, each after a token that it may follow. So the tree is no deeper than the brackets are and no bigger than
the number of tokens allows: a chain such as `f()()()..` or `a-b-c-..` would otherwise nest without brackets.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable
from typing import Any

from reward_models.parsing.answers import CALL_START, KEYWORD_CALL, NAME
from reward_models.parsing.body import Body, CallList, Outside, read_answer, strip_fence
from reward_models.parsing.json_values import is_encodable
from reward_models.parsing.limits import MAX_CALLS, MAX_DEPTH, MAX_NUMBER_CHARS, MAX_TOKENS
from reward_models.parsing.source import Source
from reward_models.parsing.thoughts import strip_span
from reward_models.parsing.types import ParseCode, Problem, Span, ToolCall, Unreadable

# Also at the start of a line, which is too common in answers about code to look for it in other dialects.
_STRAY_CALL = re.compile(rf"^{KEYWORD_CALL}", re.MULTILINE)
_START = re.compile(rf"\[|{CALL_START}")
# LFM2, Olmo 3, and Llama 4.
_CLOSING = {
    "<|tool_call_start|>": "<|tool_call_end|>",
    "<function_calls>": "</function_calls>",
    "<|python_start|>": "<|python_end|>",
}
_OPENING = re.compile(r"\s*(<\|tool_call_start\|>|<function_calls>|<\|python_start\|>)")

# No pattern has two ways to match a text, so failing is linear too. An open string runs on to the end and is left for
# Python's parser to refuse, so that it is not scanned again.
_STRING = "|".join(
    [
        r'"""[^"\\]*(?:(?:\\(?:.|\Z)|"(?!""))[^"\\]*)*(?:"""|\Z)',
        r"'''[^'\\]*(?:(?:\\(?:.|\Z)|'(?!''))[^'\\]*)*(?:'''|\Z)",
        r'"[^"\\\n]*(?:\\(?:.|\Z)[^"\\\n]*)*(?:"|\Z)',
        r"'[^'\\\n]*(?:\\(?:.|\Z)[^'\\\n]*)*(?:'|\Z)",
    ]
)
_NUMBER = r"0[xXoObB][0-9a-fA-F_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?"
# White space comes last: it always matches there, and so is not tried again from its middle.
_TOKEN = re.compile(
    rf"(?:(?P<string>[rRuU]?(?:{_STRING}))|(?P<name>{NAME}(?:\.{NAME})*)|(?P<number>{_NUMBER})"
    r"|(?P<open>[\[({])|(?P<close>[\])}])|(?P<mark>\*\*|[,:=-]))\s*",
    re.DOTALL,
)
_VALUE = {"string", "name", "number", "open", "-"}
_AFTER_VALUE = {"close", ",", ":"}
_FOLLOWS = {
    "open": _VALUE | {"close", "**"},
    ",": _VALUE | {"close", "**"},
    ":": _VALUE,
    "=": _VALUE,
    "**": {"open"},
    "-": {"number"},
    # Not ":", which would let `lambda: lambda: ..` pass.
    "name": {"open", "=", ",", "close"},
    "string": _AFTER_VALUE,
    "number": _AFTER_VALUE,
    "close": _AFTER_VALUE,
}
_UNKNOWN_ESCAPE = re.compile(r"""\\(?![\n\r\\'"abfnrtvx0-7NuU])""")


class _Bad(Exception):
    def __init__(self, code: ParseCode) -> None:
        super().__init__(code.value)
        self.code = code


def read_python(reader: Source, start: int) -> Body:
    """Calls with keyword arguments only, in a list or bare, in the special tokens of a family or without.

    Any other text is an answer.
    """
    text = reader.text
    opening = _OPENING.match(text, start)
    if opening:
        closing = _CLOSING[opening[1]]
        start, last = opening.end(), text.rfind(closing, opening.end())
        if last < 0:
            raise Unreadable(ParseCode.UNCLOSED_BLOCK, *opening.span())
        outside = Outside(text)
        outside.add(last + len(closing), len(text))
        body = read_calls(reader, *strip_span(text, start, last))
        return outside.body(CallList())._replace(calls=body.calls, problems=body.problems)
    start, end = strip_fence(text, start)
    if not _START.match(text, start, end):
        if stray := _STRAY_CALL.search(text, start, end):
            raise Unreadable(ParseCode.STRAY_CALL, *stray.span())
        return read_answer(reader, start, end)
    return read_calls(reader, start, end)


def read_calls(reader: Source, start: int, end: int) -> Body:
    """The calls that text[start:end], a stripped span, consists of.

    Argument values are constants (also negative numbers), lists, tuples and dicts with string keys; `f(**{"a-b": 1})`
    gives an argument whose name is no identifier. Tuples stay tuples. Raises Unreadable.
    """
    text = reader.text
    if not _START.match(text, start, end):
        raise Unreadable(ParseCode.NOT_PYTHON, start, end)
    tokens, spans = _scan(text, start, end)
    nodes = _list_items("".join(tokens) if text[start] == "[" else f"[{''.join(tokens)}]", start, end)
    if not nodes:
        raise Unreadable(ParseCode.NO_ACTION, start, end)
    if len(nodes) > MAX_CALLS:
        raise Unreadable(ParseCode.TOO_MANY_CALLS, start, end)
    calls, problems = [], []
    for node, span in zip(nodes, spans, strict=True):
        try:
            calls.append(_call(node, span))
        except _Bad as error:
            problems.append(Problem(error.code, *span))
    return Body(calls, problems=problems)


def _scan(text: str, start: int, end: int) -> tuple[list[str], list[Span]]:
    """The tokens of text[start:end], unknown escapes made explicit, and the spans of the outer list's items."""
    tokens: list[str] = []
    items: list[Span] = []
    depth = 0 if text[start] == "[" else 1
    previous, position, item, item_end = "open", start, None, start
    while position < end:
        token = _TOKEN.match(text, position, end)
        if token is None:
            raise Unreadable(ParseCode.NOT_PYTHON, start, position)
        kind, piece = token.lastgroup, token[token.lastgroup]
        span = token.span(kind)
        if kind == "mark":
            kind = piece
        if kind not in _FOLLOWS[previous] or (previous == "name" and kind == "open" and piece != "("):
            raise Unreadable(ParseCode.NOT_PYTHON, *span)
        if len(tokens) == MAX_TOKENS:
            raise Unreadable(ParseCode.TOO_MANY_TOKENS, start, position)
        if depth == 1 and item is not None and kind in (",", "close"):
            items.append((item, item_end))
            item = None
        elif depth == 1 and item is None and kind != "close":
            item = position
        depth += (kind == "open") - (kind == "close")
        tokens.append(_checked(kind, piece, span, depth))
        previous, position, item_end = kind, token.end(), span[1]
    if item is not None:
        items.append((item, item_end))
    return tokens, items


def _checked(kind: str, piece: str, span: Span, depth: int) -> str:
    """The token as Python's parser may have it; Unreadable where it is beyond a limit."""
    if kind == "string" and "\\" in piece and piece[0] not in "rR":
        return _explicit(piece)
    if kind == "number" and len(piece) > MAX_NUMBER_CHARS:
        raise Unreadable(ParseCode.NUMBER_TOO_LONG, *span)
    if depth > MAX_DEPTH or (kind == "name" and piece.count(".") > MAX_DEPTH):
        raise Unreadable(ParseCode.TOO_DEEP, *span)
    return piece


def _explicit(string: str) -> str:
    # Python keeps the backslash of an unknown escape such as \d as well, but warns, and will refuse it one day.
    if "\0" in string:
        return string  # which Python's parser refuses
    # Pairs are put out of sight first, so that each backslash left starts an escape.
    return _UNKNOWN_ESCAPE.sub(r"\\\\", string.replace(r"\\", "\0\0")).replace("\0\0", r"\\")


def _list_items(source: str, start: int, end: int) -> list[ast.expr]:
    try:
        tree = ast.parse(source, mode="eval").body
    except UnicodeEncodeError:
        raise Unreadable(ParseCode.LONE_SURROGATE, start, end) from None
    except (SyntaxError, ValueError, MemoryError):
        raise Unreadable(ParseCode.NOT_PYTHON, start, end) from None
    # `[f()], [g()]` is a tuple of lists.
    if not isinstance(tree, ast.List):
        raise Unreadable(ParseCode.NOT_PYTHON, start, end)
    return tree.elts


def _call(node: ast.expr, span: Span) -> ToolCall:
    if not isinstance(node, ast.Call):
        raise _Bad(ParseCode.BAD_CALL)
    if node.args:
        raise _Bad(ParseCode.POSITIONAL_ARGUMENT)
    arguments = _unique(pair for keyword in node.keywords for pair in _arguments(keyword))
    if not is_encodable(arguments):
        raise _Bad(ParseCode.LONE_SURROGATE)
    return ToolCall(_dotted(node.func), arguments, span)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Name):
        return node.id
    raise _Bad(ParseCode.BAD_CALL)


def _arguments(keyword: ast.keyword) -> Iterable[tuple[str, Any]]:
    if keyword.arg is not None:
        return [(keyword.arg, _value(keyword.value))]
    if not isinstance(keyword.value, ast.Dict):
        raise _Bad(ParseCode.BAD_VALUE)
    return _value(keyword.value).items()


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return _constant(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand)
        if type(value) in (int, float):
            return -value
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.Dict):
        return _unique((_key(key), _value(value)) for key, value in zip(node.keys, node.values, strict=True))
    raise _Bad(ParseCode.BAD_VALUE)


def _constant(value: Any) -> Any:
    if isinstance(value, float) and math.isinf(value):
        raise _Bad(ParseCode.NOT_FINITE)
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise _Bad(ParseCode.BAD_VALUE)


def _key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise _Bad(ParseCode.BAD_VALUE)


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Bad(ParseCode.DUPLICATE_KEY)
    return value
