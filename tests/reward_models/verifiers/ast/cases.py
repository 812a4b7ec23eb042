"""What the tests of the verifier `ast` share: schemas, tools, and the codes of calls."""

import json

from reward_models.parsing import ToolCall
from reward_models.verifiers.ast.rows import read_row
from reward_models.verifiers.ast.rules import AstCode
from reward_models.verifiers.ast.verifier import check_calls

OK = AstCode.ACCEPTED.value
STRING, INTEGER, FLOAT, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "float"}, {"type": "boolean"}
DICT = {"type": "dict"}


def array_of(items, kind="array"):
    return {"type": kind, "items": {"type": items}}


def tool(name="f", required=(), **properties):
    return {"name": name, "parameters": {"type": "dict", "properties": properties, "required": list(required)}}


def codes(tools, answers, calls, language="python"):
    expected = read_row(json.dumps(tools), json.dumps(answers), language)
    return check_calls(expected, [ToolCall(name, arguments) for name, arguments in calls])


def code(schema, accepted, value, language="python"):
    """The verdict on f(a=value)."""
    return codes([tool(a=schema)], [{"f": {"a": accepted}}], [("f", {"a": value})], language)[0]


TWO_TOOLS = [tool("f", ["a"], a=INTEGER), tool("g.h", ["a"], a=STRING)]
