"""Our dialects beside vLLM's and verl's parsers on texts of others: python benchmarks/parser_agreement.py TEST_FILES..

Takes every string of Python test files that has a family's tokens, cuts its thought off, and reads the rest with
`auto` and with the family's parser. Prints counts, then the texts that are read differently. Needs vLLM and verl.
"""

import ast
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reward_models.parsing import parse_response
from reward_models.parsing.engine_jobs import run_verl, run_vllm

# A family's sign, and the parser for it; of several the first.
PARSERS = (
    (r"<function=[^>]+>\s*(?:<parameter|</function)", "vllm:qwen3_coder"),
    (r"<arg_key>", "vllm:glm45"),
    (r"\]<\]minimax\[>\[|<invoke name=\"[^\"]+\">\s*<(?!parameter|/invoke)", "vllm:minimax_m3"),
    (r"<invoke name=", "vllm:minimax_m2"),
    (r"<｜DSML｜function_calls", "vllm:deepseek_v32"),
    (r"<｜DSML｜tool_calls", "vllm:deepseek_v4"),
    (r"<｜tool▁sep｜>[\w.-]+\s*```json", "vllm:deepseek_v3"),
    (r"<｜tool▁sep｜>", "vllm:deepseek_v31"),
    (r"<\|tool_call_begin\|>", "vllm:kimi_k2"),
    (r"\[TOOL_CALLS\]", "vllm:mistral"),
    (r"<\|python_tag\|>", "vllm:llama3_json"),
    (r"<\|tool_call>call", "vllm:gemma4"),
    (r"<start_function_call>", "vllm:functiongemma"),
    (r"<\|channel\|>", "verl:gpt-oss"),
    (r"<tool_call>\s*\{", "vllm:hermes"),
    (r"^\s*\[\w+\(\w+=", "vllm:pythonic"),
)


def strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 12 <= len(node.value) <= 20_000:
            yield node.value


def theirs(text: str, parser: str) -> list[tuple[str, Any]]:
    engine, _, name = parser.partition(":")
    if parser == "verl:gpt-oss" and not text.startswith("<|start|>"):
        text = "<|start|>assistant" + text
    try:
        found = (run_verl if engine == "verl" else run_vllm)({"parser": name, "text": text, "tools": []})
        return [(call, json.loads(arguments)) for call, arguments in found["calls"]]
    except Exception as error:  # whatever a parser raises, and arguments that are no JSON
        return [(type(error).__name__, None)]


def as_text(value: Any) -> Any:
    """A value without the types that no schema declares here."""
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    return value.strip() if isinstance(value, str) else json.dumps(value).replace("null", "none")


def compare(texts: list[str]) -> None:
    counts: Counter[str] = Counter()
    for text in texts:
        parser = next((parser for sign, parser in PARSERS if re.search(sign, text)), None)
        if parser is None:
            continue
        parsed = parse_response(text)
        ours = [(call.name, call.arguments) for call in parsed.calls]
        other = theirs(text if parsed.dialect == "harmony" else text[parsed.body_span[0] :], parser)
        if not other and not ours:
            continue
        same = [(n, as_text(a)) for n, a in ours] == [(n, as_text(a)) for n, a in other]
        kind = "same" if same else "ours only" if not other else "theirs only" if not ours else "differ"
        counts[kind] += 1
        if kind != "same":
            codes = [problem.code.value for problem in parsed.problems]
            print(f"{kind} {parser} {codes}\n  text   {text[:300]!r}\n  theirs {other}\n  ours   {ours}")
    print(dict(counts))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    compare(list(dict.fromkeys(text for name in sys.argv[1:] for text in strings(Path(name)))))
