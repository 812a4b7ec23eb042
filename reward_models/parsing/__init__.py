"""What a policy's response holds, in any of five dialects. Whether that is right is a verifier's question."""

from reward_models.parsing.limits import MAX_CALLS, MAX_CHARS, MAX_DEPTH
from reward_models.parsing.parse import DIALECTS, parse_response
from reward_models.parsing.render import render_response
from reward_models.parsing.types import ParseCode, ParsedResponse, Problem, Status, ToolCall

__all__ = [
    "DIALECTS",
    "MAX_CALLS",
    "MAX_CHARS",
    "MAX_DEPTH",
    "ParseCode",
    "ParsedResponse",
    "Problem",
    "Status",
    "ToolCall",
    "parse_response",
    "render_response",
]
