"""Fixtures for data: the installed BFCL data, the shared ToolRL data, and small synthetic sources."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest

from awpo_ext.data.sources.bfcl_source import BfclSource, find_source
from tests.paths import SHARED


@pytest.fixture(scope="session")
def bfcl_source() -> BfclSource:
    try:
        importlib.metadata.distribution("bfcl-eval")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("bfcl-eval is not installed")
    return find_source()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the shared tool-use data (../shared/data) is not on this machine")
    return SHARED


def bfcl_entry(number: int, question: str, name: str = "add") -> tuple[dict[str, Any], dict[str, Any]]:
    """An entry of BFCL and its answer: add(a, b=...)."""
    tool = {
        "name": name,
        "description": "Calculate the sum of two numbers.",
        "parameters": {
            "type": "dict",
            "properties": {
                "a": {"type": "integer", "description": "The first summand."},
                "b": {"type": "float", "description": "What is added. Default is 1."},
            },
            "required": ["a"],
        },
    }
    row_id = f"simple_python_{number}"
    entry = {"id": row_id, "question": [[{"role": "user", "content": question}]], "function": [tool]}
    return entry, {"id": row_id, "ground_truth": [{name: {"a": [number], "b": ["", 1.0]}}]}


@pytest.fixture
def bfcl_folder(tmp_path: Path) -> Path:
    """A folder in BFCL's form with 20 simple rows, two of which (3 and 13) ask the same question."""
    folder = tmp_path / "bfcl"
    (folder / "possible_answer").mkdir(parents=True)
    pairs = [bfcl_entry(i, f"Add one to {3 if i == 13 else i}.") for i in range(20)]
    for name, records in (("", [p[0] for p in pairs]), ("possible_answer/", [p[1] for p in pairs])):
        text = "\n".join(json.dumps(record) for record in records)
        (folder / f"{name}BFCL_v4_simple_python.json").write_text(text, encoding="utf-8")
    return folder


def toolrl_record(number: int, thought: str = "The add tool sums, so I call it.", question: str | None = None) -> dict:
    """A record in rlla_sft.json's form."""
    system = (
        "You call tools.\n\n**Available Tools**\nIn your response, you can use the following tools:\n"
        "1. Name: add\nDescription: Add numbers\n"
        'Parameters: {"a": {"description": "first", "type": "int", "default": ""}, "b": {"type": "List[float]"}}\n\n'
        "**Steps for Each Turn**\n1. Think."
    )
    question = question or f"Add {number} and 2."
    call = json.dumps({"name": "add", "parameters": {"a": number, "b": [2.0]}})
    return {
        "instruction": system,
        "input": f"**Dialogue Records History**\n<user> {question} </user>",
        "output": f"<think> {thought} </think>\n<tool_call>\n{call}\n</tool_call>",
    }


@pytest.fixture
def toolrl_file(tmp_path: Path) -> Path:
    """Twelve records in rlla_sft.json's form as JSON."""
    path = tmp_path / "rlla.json"
    path.write_text(json.dumps([toolrl_record(i) for i in range(12)]), encoding="utf-8")
    return path


@pytest.fixture
def make_toolrl_record():
    return toolrl_record


@pytest.fixture
def make_bfcl_entry():
    return bfcl_entry
