"""What a judge that thinks says after its thinking, where the server left both in one text.

A draft in the thinking is not a verdict. The tags are those of the model families that `vllm serve` knows; where they stand in
what a policy wrote, fencing.py has broken them before the judge could repeat them.
"""

from __future__ import annotations

import json
import re

_DECODER = json.JSONDecoder(strict=False)
_BEGINS = re.compile(
    r"<(?:\w{1,16}:)?think(?:ing)?>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|channel\|>(?:analysis|commentary)|<\|channel>"
)
_ENDS = re.compile(
    r"</(?:\w{1,16}:)?think(?:ing)?>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<\|channel\|>final<\|message\|>|<channel\|>"
)


def without_thinking(answer: str) -> str:
    """What follows a reasoning model's thinking, where the server left that in the answer; "" where it has no end.

    The tag that opens it may be missing: chat templates put it into the prompt. An answer that is one JSON object has no
    thinking, whatever its strings hold.
    """
    if _is_object(answer):
        return answer
    end = max((found.end() for found in _ENDS.finditer(answer)), default=0)
    return "" if _BEGINS.search(answer, end) else answer[end:]


def _is_object(answer: str) -> bool:
    start = len(answer) - len(answer.lstrip())
    if not answer.startswith("{", start):
        return False
    try:
        _, end = _DECODER.raw_decode(answer, start)
    except (ValueError, RecursionError):
        return False
    return not answer[end:].strip()
