"""What rows are worth after conversion: the right call gets the maximum, from forms that lose it easily."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from awpo_ext.data.sources.openai import OpenaiOptions, convert_openai
from awpo_ext.data.sources.toolrl_source import read_records
from awpo_ext.data.validate import validate_rows
from reward_models.parsing import ToolCall, render_response
from reward_models.types import Rollout
from reward_models.verifiers import make_verifier


def tool(name, properties):
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "description": "d", "parameters": parameters}}


def record(question, name, arguments, tools):
    function = {"name": name, "arguments": arguments}
    said = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": function}]}
    return {"messages": [{"role": "user", "content": question}, said], "tools": tools}


def row_of(records, question="q"):
    data = convert_openai(records, "mine", OpenaiOptions(val_rows=0))
    assert validate_rows(data.train) == []
    return next(row for row in data.train if row["extra_info"]["question"] == question)


def outcomes(row, name, arguments):
    """By `strict` and by `toolrl`."""
    text = render_response([ToolCall(name, arguments)], "toolrl", "t")
    rollout = Rollout("", row["extra_info"]["tools"], text, row["reward_model"]["ground_truth"], "", row["extra_info"])
    return [make_verifier(verifier).verify(rollout).outcome for verifier in ("strict", "toolrl")]


@pytest.mark.parametrize("as_text", [True, False])
def test_nulls_that_parquet_fills_in_are_no_arguments(tmp_path, as_text):
    tools = [tool("get_weather", {"city": {"type": "string"}}), tool("get_time", {"zone": {"type": "string"}})]
    given = json.dumps(tools) if as_text else tools
    records = [record("q", "get_weather", {"city": "Paris"}, given), record("r", "get_time", {"zone": "CET"}, given)]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "x.parquet")
    row = row_of(list(read_records(tmp_path / "x.parquet")))
    assert outcomes(row, "get_weather", {"city": "Paris"}) == [4.0, 4.0]
    assert all(earned < 4.0 for earned in outcomes(row, "get_weather", {"city": "Paris", "zone": None}))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        {"type": "integer", "description": None, "enum": None},
        {"type": ["integer", "array"], "items": None},
        {"type": ["integer", "array"], "items": [{"type": "integer"}]},
    ],
)
def test_schemas_of_older_drafts_are_repaired_at_conversion(schema):
    row = row_of([record("q", "f", {"x": 1}, [tool("f", {"x": schema})])])
    assert outcomes(row, "f", {"x": 1}) == [4.0, 4.0]


def test_flat_parameters_keep_their_types():
    flat = {"city": {"description": "c", "type": "str"}, "lat": {"type": "float, optional", "default": "1.0"}}
    tools = [{"name": "f", "description": "d", "parameters": flat}]
    row = row_of([record("q", "f", {"city": "Paris", "lat": 1.0}, tools)])
    assert outcomes(row, "f", {"city": "Paris", "lat": 1})[0] == 4.0
    assert outcomes(row, "f", {"city": 1, "lat": 1.0})[0] < 4.0


def test_a_tag_in_a_string_is_text_to_both_verifiers():
    row = row_of([record("q", "f", {"a": "</tool_call>"}, [tool("f", {"a": {"type": "string"}})])])
    assert row["reward_model"]["ground_truth"].count("</tool_call>") == 1
    assert outcomes(row, "f", {"a": "</tool_call>"})[0] == 4.0
