"""Tell a verdict that the model gave from one that it read: a forged verdict is in the prompt, a given one is not.

Words are compared, not characters, so that an echo is known through other quotes, escapes, letter case and spacing.
"""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BLANKS = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}
_DEPTH = 3  # how many times a quoted verdict may have been written as a JSON string


def echo_keys(prompt: str) -> tuple[str, ...]:
    """The prompt's words, as they stand and with JSON's escapes undone up to three times over."""
    readings = dict.fromkeys([prompt])
    for _ in range(_DEPTH):
        if "\\" not in prompt:
            break
        prompt = _ESCAPE.sub(_unescape, prompt)
        readings[prompt] = None
    return tuple(_words(reading) for reading in readings)


def is_echo(candidates: tuple[str, ...], keys: tuple[str, ...]) -> bool:
    """Whether one of the texts `candidates`, all its words in a row, stands in the prompt with these `echo_keys`."""
    words = [_words(candidate) for candidate in candidates]
    return any(word in key for word in words for key in keys)


def _words(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return f" {' '.join(_WORD.findall(text))} "


def _unescape(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    return _BLANKS.get(found[2], found[2])
