"""From BFCL's possible answers to one call: the first acceptable alternative of each argument.

BFCL gives a call as {tool: {argument: [alternatives]}}. "" among the alternatives says that the argument may be left
out. Where an alternative is a dict, or a list of dicts, the fields of those dicts hold lists of alternatives again,
but *only* there: dicts deeper down are plain values (this is how BFCL's checker compares them). Not a checker.
"""

from typing import Any

from awpo_ext.data.tools import Schema, Tool
from reward_models.parsing import ToolCall

_LEFT_OUT = object()


class NoAcceptableCall(ValueError):
    """The answer names no call that fits the tool's schema: a defect of the row."""


def _pick(alternatives: list[Any], required: bool) -> Any:
    """The first alternative, or _LEFT_OUT. A required argument takes its first alternative that is not ""."""
    given = [value for value in alternatives if value != ""]
    if not alternatives or (alternatives[0] == "" and not required):
        return _LEFT_OUT
    return given[0] if given else ""


def _unwrap_dict(fields: dict[str, Any], schema: Schema) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    result = {}
    for name, alternatives in fields.items():
        value = _pick(alternatives, name in required) if isinstance(alternatives, list) else alternatives
        if value is not _LEFT_OUT:
            result[name] = value
    return result


def unwrap(alternative: Any, schema: Schema) -> Any:
    """One alternative of an argument as the plain JSON value that a model would write.

    Scalars and lists of them stand as they are; the fields of a dict, or of the dicts in a list, are lists of
    alternatives of which the first is taken, "" leaving the field out unless `schema` requires it.
    """
    if isinstance(alternative, dict):
        return _unwrap_dict(alternative, schema)
    if isinstance(alternative, list):
        items = schema.get("items", {})
        return [_unwrap_dict(item, items) if isinstance(item, dict) else item for item in alternative]
    return alternative


def first_call(answer: dict[str, dict[str, list[Any]]], tools: list[Tool]) -> ToolCall:
    """The call that takes the first acceptable alternative of each argument.

    `answer` is one call of BFCL's ground truth, `tools` the row's normalised tools. An optional argument whose first
    alternative is "" is left out; so is one that the schema does not know, if it may be. Raises NoAcceptableCall
    where the tool is not among the tools, a required argument has no value, or an unknown one must be given.
    """
    (name, arguments), *others = answer.items()
    if others:
        raise NoAcceptableCall("an answer names several tools at once")
    tool = next((tool for tool in tools if tool["name"] == name), None)
    if tool is None:
        raise NoAcceptableCall("the answer calls a tool that the row does not offer")
    schemas, required = tool["parameters"]["properties"], set(tool["parameters"].get("required", ()))
    parameters = {}
    for argument, alternatives in arguments.items():
        if argument not in schemas:
            if alternatives and "" not in alternatives:
                raise NoAcceptableCall("the answer needs an argument that the tool does not have")
            continue
        value = _pick(alternatives, argument in required)
        if value is not _LEFT_OUT:
            parameters[argument] = unwrap(value, schemas[argument])
    if not required <= parameters.keys():
        raise NoAcceptableCall("a required argument has no acceptable value")
    return ToolCall(name, parameters)
