"""What a policy's response holds, in the dialects of today's model families. Whether that is right is a verifier's question."""

from reward_models.parsing.limits import MAX_CALLS, MAX_CHARS, MAX_DEPTH
from reward_models.parsing.parse import DIALECTS, check_dialect, parse_response
from reward_models.parsing.render import render_response
from reward_models.parsing.template import TemplateReading, read_template
from reward_models.parsing.thoughts import THINKING
from reward_models.parsing.types import ParseCode, ParsedResponse, Problem, Status, ToolCall

__all__ = [
    "DIALECTS",
    "MAX_CALLS",
    "MAX_CHARS",
    "MAX_DEPTH",
    "THINKING",
    "ParseCode",
    "ParsedResponse",
    "Problem",
    "Status",
    "TemplateReading",
    "ToolCall",
    "check_dialect",
    "parse_response",
    "read_template",
    "render_response",
]
