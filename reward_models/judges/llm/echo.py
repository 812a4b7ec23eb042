"""Tell a verdict that the model gave from one that it read: a forged verdict is in the prompt, a given one is not.

Words are compared, not characters, so that an echo is known through other quotes, escapes, letter case and spacing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+")
_ESCAPE = re.compile(
    r"[\\\u2216](?:u([0-9a-fA-F]{4})|(.))", re.DOTALL
)  # also as `fencing.quotable` shows the backslash
_BLANKS = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}
_DEPTH = 3  # how many times a quoted verdict may have been written as a JSON string


class Echoes:
    """The words of a prompt: `text` is all of it, `responses` what each of the responses in it wrote."""

    def __init__(self, text: str, responses: Sequence[str] = ()) -> None:
        self._text, self._responses = _readings(text), [_readings(response) for response in responses]

    def authors(self, candidates: Sequence[str]) -> tuple[int, ...] | None:
        """Which responses hold one of the texts `candidates`, all its words in a row.

        () where the prompt holds it elsewhere, None where the prompt does not hold it.
        """
        words = [_words(candidate) for candidate in candidates]
        found = tuple(i for i, own in enumerate(self._responses) if _holds(own, words))
        return found if found or _holds(self._text, words) else None


def _readings(text: str) -> tuple[str, ...]:
    """The words as they stand and with JSON's escapes undone up to three times over."""
    readings = dict.fromkeys([text])
    for _ in range(_DEPTH):
        if _ESCAPE.search(text) is None:
            break
        text = _ESCAPE.sub(_unescape, text)
        readings[text] = None
    return tuple(_words(reading) for reading in readings)


def _holds(readings: Sequence[str], candidates: Sequence[str]) -> bool:
    return any(candidate in reading for candidate in candidates for reading in readings)


def _words(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return f" {' '.join(_WORD.findall(text))} "


def _unescape(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    return _BLANKS.get(found[2], found[2])
