"""A number for each reason of an outcome, so that reasons can be logged in a numeric column and counted.

Numbers are never reused or changed; a new reason takes a new one. A reason that is not here, such as one of a verifier
of your own, is 0 in the column and still stands by name in `Outcome.reason`.
"""

from __future__ import annotations

UNLISTED = 0

_GROUPS: dict[int, tuple[str, ...]] = {
    # All is right.
    1: ("exact", "abstained", "well_formed"),
    # toolrl
    10: ("partial", "no_call_expected", "no_tool_call"),
    # Reading the response: the parser's codes.
    100: (
        "too_long", "too_deep", "too_many_calls", "too_many_tokens", "number_too_long", "unclosed_think",
        "unclosed_block", "repeated_block", "stray_tag", "stray_call", "no_action", "blank_answer", "not_json",
        "not_python", "bad_call", "bad_message", "bad_value", "positional_argument", "duplicate_key", "not_finite",
        "lone_surrogate", "not_markup", "parser_failed",
    ),
    # Matching
    200: (
        "unknown_tool", "missing_call", "extra_call", "repeated_call", "wrong_order",
        "missing_argument", "extra_argument", "off_schema", "wrong_value", "wrong_length", "wrong_keys", "wrong_type",
        "value_too_deep", "no_call", "called_a_tool",
    ),
    # Format and composites
    300: ("no_thought", "stray_text", "thought_too_short", "thought_too_long", "gated"),
    # ast
    400: (
        "accepted", "wrong_count", "no_match", "wrong_name", "missing_required", "unexpected_param", "type_error",
        "item_type_error", "value_error", "missing_optional", "not_calls",
    ),
    # exec and state, and the limits of their sandbox
    500: (
        "wrong_result", "call_raised", "too_many_turns", "missing_turn", "wrong_state", "missing_result", "timeout",
        "cpu_limit", "memory_limit", "output_limit", "crashed", "job_raised", "too_large", "not_executed",
    ),
    # The machinery
    900: ("worker_died", "worker_hung", "sandbox_unavailable"),
}  # fmt: skip

REASON_CODES = {name: first + place for first, names in _GROUPS.items() for place, name in enumerate(names)}


def reason_code(reason: str) -> int:
    """The number of a reason; UNLISTED for one that has none."""
    return REASON_CODES.get(reason, UNLISTED)
