"""Make hostile text safe to quote in a prompt: nothing hidden, no chat-template tokens, no way out of its fence.

What is quoted stays readable: a person sees the same words. Whether the words sway the model is another matter; see
canaries.py.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from hashlib import sha256

from reward_models.parsing import parse_response

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f]")  # of ASCII, without tab and line feed
# Zero-width, bidirectional and tag characters are Cf.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co"})
# Invisible, though Unicode files them under marks and letters: joiners, variation selectors, fillers.
_HIDDEN_OTHERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
# `<|im_end|>`, `</s>`, `<start_of_turn>`, `<!-- -->`: a tokenizer may read the first as one real special token.
_TAG = re.compile(r"<(?=[|｜/!?A-Za-z])")
_BRACKET_TOKEN = re.compile(r"\[(?=/?[A-Z_]+\])")  # `[INST]`
_FENCE_WORD = re.compile(r"(?:BEGIN|END)[\W_]*UNTRUSTED", re.IGNORECASE)
_FENCE_SHOWN = "(fence)"


def make_nonce(*texts: str) -> str:
    """16 hex digits that stand for exactly these texts.

    Not random, so that equal prompts stay equal: the cache needs that. No text can hold its own nonce but by a
    preimage of SHA-256.
    """
    digest = sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def clean(text: str, max_chars: int) -> str:
    """The visible text: hidden characters gone, tags and special tokens broken by a space, about `max_chars` long.

    Where it is longer, the middle is cut out and the cut is marked. Lone surrogates become "?".
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    if not text.isascii():
        text = _HIDDEN_OTHERS.sub("", text)
        hidden = {char for char in set(text) - {"\n", "\t"} if unicodedata.category(char) in _HIDDEN_CATEGORIES}
        if hidden:
            text = text.translate({ord(char): None for char in hidden})
    text = _BRACKET_TOKEN.sub(lambda found: found[0] + " ", _TAG.sub("< ", text))
    return _cut(text, max_chars).strip()


def neutralise(text: str, nonce: str) -> str:
    """The text without the fence's own words."""
    return re.sub(nonce, _FENCE_SHOWN, _FENCE_WORD.sub(_FENCE_SHOWN, text), flags=re.IGNORECASE)


def encode_action(text: str) -> str:
    """What follows the thought, as one line of JSON: its calls and answer, or the raw text where it cannot be read.

    Inside JSON a line break is two characters, so no argument can begin a line of the prompt.
    """
    parsed = parse_response(text)
    action: Mapping[str, object]
    if parsed.calls:
        calls = [{"name": call.name, "arguments": call.arguments} for call in parsed.calls]
        action = {"calls": calls} if parsed.answer is None else {"calls": calls, "answer": parsed.answer}
    elif parsed.answer is not None:
        action = {"answer": parsed.answer}
    else:
        action = {"unreadable": text}
    return json.dumps(action, ensure_ascii=False, default=repr)


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    half = max_chars // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters cut]\n{text[-half:]}"
