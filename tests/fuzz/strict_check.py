"""What holds for every response that the verifier `strict` scores: parser, matcher and schemas together."""

import json
import zlib

from reward_models.parsing import ToolCall, render_response
from reward_models.types import Rollout
from reward_models.verifiers import make_verifier
from reward_models.verifiers.reasons import REASON_CODES
from tests.reward_models.parsing.strategies import check

WEATHER = ToolCall("weather.get", {"city": "São Paulo", "days": 3, "x": [-1.5, None, True, {"k": "a\"'\\\n"}]})
TOOLS = [
    {
        "name": "weather.get",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "number"}, "x": {"type": "array"}},
            "required": ["city"],
        },
    },
    {"name": "f", "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}, "b": {"type": "tuple"}}}},
]
TRUTHS = [
    render_response([WEATHER], "toolrl", thought="t"),
    render_response([WEATHER, ToolCall("f", {}), WEATHER, ToolCall("f", {"a": 1})], "toolrl", thought="t"),
    json.dumps([{"f": {"a": [1, 2.0, ""], "b": [[2, "c"], ""]}}, {"weather.get": {"city": ["Rome", "São Paulo"]}}]),
    "[]",
]
VERIFIERS = {}


def check_strict(text, dialect):
    """The parser's promises, then: a score in range, a reason that has a number, and 4 for nothing but a full score."""
    parsed = check(text, dialect)
    if dialect not in VERIFIERS:
        VERIFIERS[dialect] = make_verifier("strict", dialect=dialect)
    verifier = VERIFIERS[dialect]
    truth = TRUTHS[zlib.crc32(text.encode("utf-8", "replace")) % len(TRUTHS)]
    outcome = verifier.verify(Rollout("q", json.dumps(TOOLS), text, truth, "fuzz"))
    low, high = verifier.outcome_range
    assert low <= outcome.outcome <= high
    assert outcome.valid and {outcome.reason, *outcome.reasons} <= REASON_CODES.keys()
    assert (outcome.correctness == verifier.config.correctness_max) == (outcome.parts["score"] == 1.0)
    return parsed
