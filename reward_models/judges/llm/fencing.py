"""Make hostile text safe to show in a prompt: nothing hidden, no chat-template tokens, no way out of its fence.

And no way into the verdict. A judge under a JSON grammar that copies a `"` out of a thought ends its own string there, and
what the grammar then lets it copy is the thought's `, "score": 10}`. So no text is shown with a character that ends or
escapes within a JSON string: `quotable` has a single quote for every double one, and another slash for the backslash.

What is shown stays readable: a person sees the same words. Whether the words sway the model is another matter; see
judge_eval/attacks.py.
"""

from __future__ import annotations

import json
import re
import unicodedata
from hashlib import sha256
from typing import Any

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
# What is, or looks like, a double quote or a backslash; the fullwidth ones are the ASCII ones to a tokenizer with NFKC.
_DOUBLE = '"\u02ba\u02dd\u02ee\u05f4\u201c\u201d\u201e\u201f\u2033\u2036\u275d\u275e\u301d\u301e\u301f\uff02'
_BACK = "\\\ufe68\uff3c"
_QUOTABLE = str.maketrans(dict.fromkeys(_DOUBLE, "'") | dict.fromkeys(_BACK, "\u2216"))
# In a value of JSON the single quote surrounds it, so its own become apostrophes, and it is one line.
_IN_VALUE = str.maketrans({"'": "\u2019", "\uff07": "\u2019", "\n": "\u23ce", "\t": " "})
_MAX_DEPTH = 200
_CUT_MARK_CHARS = 40


def make_nonce(*texts: str) -> str:
    """16 hex digits that stand for exactly these texts.

    Not random, so that equal prompts stay equal: the cache needs that. No text can hold its own nonce but by a
    preimage of SHA-256.
    """
    return digest(*texts).hex()[:16]


def digest(*texts: str) -> bytes:
    """SHA-256 of exactly these texts, lone surrogates included."""
    found = sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        found.update(len(data).to_bytes(8, "big") + data)
    return found.digest()


def clean(text: str, max_chars: int) -> str:
    """The visible text: hidden characters gone, tags and special tokens broken by a space, about `max_chars` long.

    Where it is longer, the middle is cut out and the cut is marked. Lone surrogates become "?".
    """
    return _cut(_visible(text), max_chars).strip()


def _visible(text: str) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    if not text.isascii():
        text = _HIDDEN_OTHERS.sub("", text)
        hidden = {char for char in set(text) - {"\n", "\t"} if unicodedata.category(char) in _HIDDEN_CATEGORIES}
        if hidden:
            text = text.translate({ord(char): None for char in hidden})
    return _BRACKET_TOKEN.sub(lambda found: found[0] + " ", _TAG.sub("< ", text))


def quotable(text: str) -> str:
    """The text without `"` and backslash, so that no copy of it can end a JSON string or change what follows it."""
    return text.translate(_QUOTABLE)


def quotable_json(value: Any) -> str:
    """A JSON value as one line of JSON with single quotes; nothing in its strings can look like its structure.

    What is no JSON value is written as its `repr`, and so is what is nested deeper than any call.
    """
    return json.dumps(_in_value(value, 0), ensure_ascii=False).replace('"', "'")


def _in_value(value: Any, depth: int) -> Any:
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        return {_in_string(str(key)): _in_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth < _MAX_DEPTH:
        return [_in_value(item, depth + 1) for item in value]
    if isinstance(value, int | float | None):
        return value
    return _in_string(value if isinstance(value, str) else repr(value))


def _in_string(text: str) -> str:
    return quotable(_visible(text)).translate(_IN_VALUE)


def neutralise(text: str, nonce: str) -> str:
    """The text as it may stand in a prompt: quotable, and without the fence's own words."""
    return re.sub(nonce, _FENCE_SHOWN, _FENCE_WORD.sub(_FENCE_SHOWN, quotable(text)), flags=re.IGNORECASE)


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars + _CUT_MARK_CHARS:  # so that what is cut is not cut again
        return text
    half = max_chars // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters cut]\n{text[-half:]}"
