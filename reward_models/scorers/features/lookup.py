"""Where names, values and numbers stand in a text. Every search is in time linear in the text, with bounded results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

NEGATION = re.compile(
    r"\b(?:not|no|never|cannot|nor|neither|without|unlike|instead of|rather than|avoid\w*|irrelevant|unnecessary|"
    r"unrelated|mistake|wrong|\w+n['’]t)\b"
)
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?!\w)")
QUOTED = re.compile(r"[\"“`]([^\"”`\n]{1,80})[\"”`]|(?<!\w)'([^'\n]{1,80})'(?!\w)")
PROPER = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'-]+(?: [A-Z][\w'-]+){0,4}")
_COUNTED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_DECADES = "thirty forty fifty sixty seventy eighty ninety"
_OTHERS = {"once": 1.0, "twice": 2.0, "double": 2.0, "thrice": 3.0, "half": 0.5, "dozen": 12.0, "hundred": 100.0}
_SPELT = {word: float(number) for number, word in enumerate(_COUNTED.split())} | _OTHERS
_SPELT |= {word: 10.0 * tens for tens, word in enumerate(_DECADES.split(), 3)}
_SCALES = {"hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9}
_SCALED = re.compile(rf"(?<![\w.,])(\d[\d,]*(?:\.\d+)?|[a-z]+)[ -]?({'|'.join(_SCALES)})(?!\w)")
_HAS_SCALE = re.compile(r"hundred|thousand|million|billion|\d ?(?:k|m|bn)\b")
_WORD_NUMBER = re.compile(rf"(?<![a-z0-9_])(?:{'|'.join(sorted(_SPELT, key=len, reverse=True))})(?![a-z0-9_])")
_GLUED = re.compile(r"(?<![\w.,])(\d[\d,]*(?:\.\d+)?)(?=[a-z°²])")  # 10km, 5th, 90s


def places_of(text: str, where: str, limit: int) -> list[int]:
    """The starts of whole-word occurrences of `text`, at most `limit`; 5 does not stand in 15, 5.3, 4.5 or v5."""
    found, start = list[int](), where.find(text)
    for _ in range(4 * limit):
        if start < 0 or len(found) >= limit:
            break
        end = start + len(text)
        inside_left = start > 0 and _wordy(where[start - 1]) and _wordy(text[0])
        fraction = start > 1 and where[start - 1] == "." and where[start - 2].isdigit() and text[0].isdigit()
        decimal = end + 1 < len(where) and where[end] in ".," and where[end + 1].isdigit() and text[-1].isdigit()
        inside_right = end < len(where) and _wordy(where[end]) and _wordy(text[-1])
        if not (inside_left or inside_right or decimal or fraction):
            found.append(start)
        start = where.find(text, start + 1)
    return found


def _wordy(character: str) -> bool:
    return character == "_" or (character.isascii() and character.isalnum())  # scripts without spaces have no words


def as_number(text: str) -> float | None:
    try:
        return float(text.replace(",", "")) if len(text) < 40 else None
    except ValueError:
        return None


@lru_cache(
    maxsize=128
)  # several features ask for those of the same texts, and the rollouts of a group have one request
def numbers_of(text: str) -> frozenset[float]:
    """The numbers of a text in lower case: written as digits, with a unit (10km, 5th), a scale (2.5 million) or a percent
    sign (as fractions too), and as words up to ninety."""
    found: set[float] = set()
    for match in list(NUMBER.finditer(text))[:300]:
        number = as_number(match.group())
        if number is not None:
            found.add(number)
            if text[match.end() : match.end() + 2].lstrip()[:1] == "%":
                found.add(round(number / 100, 10))
    found.update(_SPELT[word] for word in _WORD_NUMBER.findall(text))
    glued = (as_number(match.group(1)) for match in list(_GLUED.finditer(text))[:100])
    found.update(number for number in glued if number is not None)
    for match in list(_SCALED.finditer(text))[:100] if _HAS_SCALE.search(text) else ():
        count, scale = match.groups()
        number = _SPELT.get(count, 1.0 if count == "a" else None) if count.isalpha() else as_number(count)
        if number is not None:
            found.add(number * _SCALES[scale])
    return frozenset(found)


def share(items: Iterable[object], neutral: float = 0.5) -> float:
    found = [bool(item) if not isinstance(item, float) else item for item in items]
    return float(sum(found) / len(found)) if found else neutral


def mean(items: Sequence[float], neutral: float) -> float:
    return float(np.mean(items)) if items else neutral
