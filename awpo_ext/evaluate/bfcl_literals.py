"""What replaces the two `eval`s of `bfcl-eval`: nothing that a model writes is run as code.

The package evaluates sums that stand among a call's arguments, and the calls of its multi-turn tools. Here a sum is computed
from constants, and a call is a method of one of the row's tools with constants as arguments. Anything else raises, as
a name that does not exist does there; the only right answers that this loses are sums that call a function.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping
from typing import Any

_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def compute(text: str) -> Any:
    """The value of an expression of constants; ValueError where it is another. How long it takes is not bounded."""
    return _value(ast.parse(text, mode="eval").body)


def _value(node: ast.AST) -> Any:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    return ast.literal_eval(node)


def call_method(text: str, instances: Mapping[str, Any]) -> Any:
    """What `instance.method(argument=constant, ..)` returns, for an instance by its name in `instances`.

    NameError for anything that is not a public method of one; ValueError for arguments that are not constants.
    """
    node = ast.parse(text.strip(), mode="eval").body
    function = node.func if isinstance(node, ast.Call) else None
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        name = function.id if isinstance(function, ast.Name) else text[:100]
        raise NameError(f"name {name!r} is not defined")
    owner, method = function.value.id, function.attr
    if not owner.endswith("_instance") or owner not in instances or method.startswith("_"):
        raise NameError(f"name {owner!r} is not defined")
    positional = [_value(argument) for argument in node.args]
    return getattr(instances[owner], method)(*positional, **_by_name(node))


def _by_name(node: ast.Call) -> dict[str, Any]:
    if any(keyword.arg is None for keyword in node.keywords):
        raise ValueError("** is not allowed")
    return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
