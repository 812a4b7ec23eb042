"""The tools of a record: OpenAI's, Anthropic's and MCP's definitions, and flat ones like xLAM's; each is compiled.

A schema that cannot be compiled would end a run at the row's first rollout, so it is refused here.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from awpo_ext.data.errors import OddRecord
from awpo_ext.data.forms.json_text import json_list
from awpo_ext.data.tools import Tool, normalise_tool
from reward_models.verifiers import schema


def read_tools(value: Any, where: str) -> tuple[Tool, ...]:
    """The tools as {name, description, parameters}; () for null or nothing. OddRecord, naming the tool, where one is bad."""
    return tuple(_tool(tool, f"{where}, tools[{i}]") for i, tool in enumerate(json_list(value, where, "tools")))


def compiled(tools: Sequence[Tool]) -> Mapping[str, schema.Tool]:
    """The tools by name, as the verifiers see them."""
    return schema.read_tools(json.dumps(list(tools), ensure_ascii=False))


def _tool(value: Any, where: str) -> Tool:
    function = value.get("function") or value if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise OddRecord('a tool that is not {"name", "description", "parameters"}', where, repr(str(value)[:120]))
    parameters = function.get("parameters") or function.get("arguments")  # ToolACE has either
    try:
        if isinstance(parameters, str):
            parameters = json.loads(parameters)
        description = str(function.get("description") or "")
        tool = normalise_tool({**function, "description": description, "parameters": parameters})
        compiled([tool])
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OddRecord(
            "a tool whose parameters are not a JSON schema", f"{where} ({function['name']})", reason
        ) from error
    return tool
