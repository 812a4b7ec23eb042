"""BFCL's multi-turn categories -> rows for verl's tool agent loop and the verifier `state`, and the tools they use.

A row has the user's messages turn by turn, the classes with their start, and the ground-truth calls of each turn. Its tools
are given by verl through the tokenizer's own chat template, from the file `tools.yaml` that is written beside the rows.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from awpo_ext.data.dataset import Dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.rows import MULTI_TURN_SCHEMA, Row, multi_turn_row, rl_row
from awpo_ext.data.sources.bfcl_source import LICENCE, BfclSource, read_json_lines
from awpo_ext.data.split import split_rows
from awpo_ext.data.tools import Tool, normalise_tool

CATEGORIES = ("multi_turn_base", "multi_turn_miss_func", "multi_turn_miss_param", "multi_turn_long_context")

_MODULES = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
# class -> module, which is also the name of its file of tool definitions
_CLASSES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "TwitterAPI": "posting_api",
    "VehicleControlAPI": "vehicle_control",
}
_SYSTEM = (
    "You are a helpful assistant that answers requests by calling tools, several after one another where a request needs "
    "it. Reason inside <think></think> before each call. When a request is done, or no tool can help, say so in plain "
    "words and call nothing."
)
_MORE_TOOLS = "I have updated some more functions you can choose from. What about now?"  # as BFCL asks


def targets() -> dict[str, str]:
    """class -> "module:Class": the verifier's `classes`, for all of BFCL's."""
    return {name: f"{_MODULES}.{module}:{name}" for name, module in _CLASSES.items()}


def read_tools(source: BfclSource) -> dict[str, list[Tool]]:
    """class -> its tools, normalised."""
    tools: dict[str, list[Tool]] = {}
    for name, module in _CLASSES.items():
        lines = [line for line in source.read(f"multi_turn_func_doc/{module}.json").split("\n") if line.strip()]
        tools[name] = [normalise_tool(json.loads(line)) for line in lines]
    return tools


def tools_file(tools: dict[str, list[Tool]]) -> dict[str, Any]:
    """What verl's `multi_turn.tool_config_path` holds. DataError where two classes have a tool of the same name."""
    entries, owner = [], dict[str, str]()
    for name, definitions in tools.items():
        for tool in definitions:
            if owner.setdefault(tool["name"], name) != name:
                raise DataError(
                    f"the tool {tool['name']!r} is in {owner[tool['name']]} and in {name}; verl knows one a name"
                )
            entries.append(
                {
                    "class_name": "awpo_ext.verl_plugin.rollout.state_tool.StateTool",
                    "config": {"type": "native", "class": name, "target": targets()[name]},
                    "tool_schema": {"type": "function", "function": tool},
                }
            )
    return {"tools": entries}


def multi_turn_bfcl_row(
    entry: dict[str, Any], answer: list[list[str]], category: str, tools: dict[str, list[Tool]]
) -> Row:
    """One entry as a row. A turn in which BFCL hands over withheld tools gets them with its message."""
    withheld = {int(turn): names for turn, names in entry.get("missed_function", {}).items()}
    hidden = {name for names in withheld.values() for name in names} | set(entry.get("excluded_function", ()))
    offered = [tool for name in entry["involved_classes"] for tool in tools[name]]
    by_name = {tool["name"]: tool for tool in offered}
    asked = []
    for number, messages in enumerate(entry["question"]):
        if number in withheld:
            definitions = [json.dumps(by_name[name], ensure_ascii=False) for name in withheld[number]]
            asked.append("\n".join([*definitions, _MORE_TOOLS]))
        elif len(messages) == 1 and messages[0]["role"] == "user":
            asked.append(messages[0]["content"])
        else:
            raise DataError(f"{category}, id {entry['id']!r}: expected one message of the user in each turn")
    if len(asked) != len(answer):
        raise DataError(f"{category}, id {entry['id']!r}: {len(asked)} turns, but {len(answer)} in the ground truth")
    truth = {
        "involved_classes": entry["involved_classes"],
        "initial_config": {name: entry["initial_config"].get(name, {}) for name in entry["involved_classes"]},
        "turns": answer,
    }
    if category == "multi_turn_long_context":
        truth["long_context"] = True
    now = [tool for tool in offered if tool["name"] not in hidden]
    row = rl_row(
        data_source=f"bfcl/{category}",
        prompt=[{"role": "system", "content": _SYSTEM}, {"role": "user", "content": asked[0]}],
        ground_truth=json.dumps(truth, ensure_ascii=False),
        row_id=entry["id"],
        category=category,
        question="\n".join(asked),
        tools=now,
    )
    later = [withheld.get(number, []) for number in range(1, len(asked))]
    return multi_turn_row(row, asked[1:], [tool["name"] for tool in now], later)


def convert_multi_turn(source: BfclSource, categories: Sequence[str], val_rows: int, seed: int) -> Dataset:
    """The categories as one dataset without SFT rows. The four share their tasks, so rows of one task stay on one side."""
    tools = read_tools(source)
    rows = []
    for category in categories:
        name = f"BFCL_v4_{category}.json"
        answers = {record["id"]: record for record in read_json_lines(source, f"possible_answer/{name}")}
        for entry in read_json_lines(source, name):
            if entry["id"] not in answers:
                raise DataError(f"possible_answer/{name}: no ground_truth for the id {entry['id']!r}")
            try:
                rows.append(multi_turn_bfcl_row(entry, answers[entry["id"]]["ground_truth"], category, tools))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise DataError(f"{category}, id {entry['id']!r}: not in the form of BFCL v4 ({error!r})") from error
    # multi_turn_base_7, multi_turn_miss_param_7 and so on are variants of one task
    train, val = split_rows(rows, val_rows, seed, lambda row: [row["extra_info"]["id"].rsplit("_", 1)[1]])
    about = {
        "source": {"name": "bfcl-eval", "kind": source.kind, "version": source.version},
        "licence": LICENCE,
        "options": {"categories": list(categories), "val_rows": val_rows, "seed": seed},
    }
    return Dataset(train, val, [], about, schema=MULTI_TURN_SCHEMA)


def write_tools(out: Path, source: BfclSource) -> None:
    """tools.yaml for verl and overrides.txt with the verifier's classes, which recipes/run_awpo_multiturn.sh reads."""
    text = json.dumps(tools_file(read_tools(source)), indent=1, ensure_ascii=False)  # JSON is YAML too
    (out / "tools.yaml").write_text(text + "\n", encoding="utf-8")
    key = "+reward.custom_reward_function.reward_kwargs.verifier_kwargs.classes"
    lines = [f"{key}.{name}={target}" for name, target in targets().items()]
    (out / "overrides.txt").write_text("\n".join(lines) + "\n")
