"""The rubric: a versioned text file with its content hash, checked when it is read, and the prompt made of it.

The static rubric comes first, the task next and what is judged last, so that servers share the prefix among rollouts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from reward_models.judges.llm import yes_no
from reward_models.judges.llm.echo import echo_keys
from reward_models.judges.llm.fencing import clean, encode_action, make_nonce, neutralise
from reward_models.judges.llm.verdict import Scale

SCORE, YES_NO = "score", "yes_no"
VERDICTS = (SCORE, YES_NO)
BUILT_IN = {  # by the verdict that is asked for and whether there is a reference
    (SCORE, False): "reasoning_v2",
    (SCORE, True): "reasoning_reference_v2",
    (YES_NO, False): "fits_v1",
    (YES_NO, True): "fits_reference_v1",
}
_FOLDER = Path(__file__).parent / "prompts"

_MAX_CHARS = {"question": 16_000, "tools": 16_000, "reference": 4_000, "thought": 8_000, "action": 8_000}
_TRUSTED = ("question", "tools", "reference")
_UNTRUSTED = ("thought", "action")
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_SCALE = re.compile(r"\b(?:from|scale(?: of| from)?:?)\s+(\d+)\s*(?:to|-|–)\s*(\d+)\b", re.IGNORECASE)
_ONE_WORD = "Answer Yes or No."
_MAX_FILE_CHARS = 100_000


@dataclass(frozen=True)
class Prompt:
    """The text for the model; `echo_keys` are what its own verdicts are compared with, see echo.py."""

    text: str

    @cached_property
    def echo_keys(self) -> tuple[str, ...]:
        return echo_keys(self.text)


@dataclass(frozen=True)
class Rubric:
    """A prompt file that passed its checks; `hash` is the first 12 hex digits of the SHA-256 of its text.

    `verdict` is what it asks for, one of VERDICTS; the scale of `yes_no` is 0 to 1.
    """

    name: str
    text: str
    verdict: str
    scale: Scale
    hash: str

    @property
    def version(self) -> str:
        """Name and hash, for records."""
        return f"{self.name}@{self.hash}"

    def render(self, question: str, tools: str, thought: str, action: str, reference: str = "") -> Prompt:
        """The prompt for one rollout.

        `action` is what stands after the thought, `reference` the data set's own answer; both are shown as JSON. Every
        text is cleaned, bounded and stripped of the fence's words, whoever wrote it; "(none)" stands for a blank one.
        """
        texts = {"question": question, "tools": tools, "thought": thought, "action": "", "reference": ""}
        if action.strip():
            texts["action"] = encode_action(action)
        if reference.strip():
            texts["reference"] = encode_action(reference)
        texts = {name: clean(text, _MAX_CHARS[name]) for name, text in texts.items()}
        nonce = make_nonce(self.text, *texts.values())
        values = {name: neutralise(text, nonce) or "(none)" for name, text in texts.items()}
        values["nonce"] = nonce
        # One pass: a placeholder inside a text is text.
        return Prompt(_PLACEHOLDER.sub(lambda found: values[found[1]], self.text))


def load_rubric(source: str | None, *, reference: bool, scale: int | None, verdict: str = SCORE) -> Rubric:
    """Read and check a rubric.

    Args:
        source: path of a text file; None: the built-in one.
        reference: whether prompts show the data set's own answer.
        scale: the top of the scale that the caller expects; None: whatever the prompt states. Not for `yes_no`.
        verdict: what the prompt should ask for, one of VERDICTS.

    ValueError, with the fix, where the file cannot be read, or a placeholder is unknown, missing or misplaced. For
    `score` also where the scale is not stated once as "from A to B", or differs from `scale`; for `yes_no` where the
    prompt does not ask for the one word.
    """
    path = _FOLDER / f"{BUILT_IN[verdict, reference]}.txt" if source is None else Path(source).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ValueError(f"rubric={source!r} cannot be read: {reason}; give the path of a text file") from None
    where = f"rubric {path.name!r}"
    if len(text) > _MAX_FILE_CHARS:
        raise ValueError(f"{where} has {len(text)} characters; at most {_MAX_FILE_CHARS} are read")
    _check_placeholders(text, where, reference)
    if verdict == YES_NO:
        _check_question(text, where)
        stated = yes_no.SCALE
    else:
        _check_keys(text, where)
        stated = _stated_scale(text, where, scale)
    return Rubric(path.stem, text.strip(), verdict, stated, sha256(text.encode()).hexdigest()[:12])


def _check_placeholders(text: str, where: str, reference: bool) -> None:
    known = {name for name in (*_MAX_CHARS, "nonce") if reference or name != "reference"}
    places: dict[str, list[int]] = {}
    for found in _PLACEHOLDER.finditer(text):
        places.setdefault(found[1], []).append(found.start())
    if not reference and "reference" in places:
        raise ValueError(f"{where} shows {{{{reference}}}}: set reference=true, or remove the placeholder")
    for name in places:
        if name not in known:
            raise ValueError(f"{where} has an unknown placeholder {_braced(name)}; known: {_list(known)}")
    missing = known - set(places)
    if missing:
        hint = "" if "reference" not in missing else "; without {{reference}}, set reference=false"
        raise ValueError(f"{where} lacks the placeholder {_list(missing)}; write it where that text belongs{hint}")
    _check_order(places, where)


def _check_order(places: Mapping[str, list[int]], where: str) -> None:
    first, last = places["nonce"][0], places["nonce"][-1]
    for name in _UNTRUSTED:
        if len(places[name]) != 1 or not first < places[name][0] < last:
            raise ValueError(
                f"{where} must hold {_braced(name)} once, between a line with {{{{nonce}}}} and another: that is the "
                "fence around what the policy wrote"
            )
    for name in _TRUSTED:
        if any(place > first for place in places.get(name, ())):
            raise ValueError(
                f"{where} must hold {_braced(name)} before the first {{{{nonce}}}}: the response comes last"
            )


def _check_keys(text: str, where: str) -> None:
    for key in ("reasons", "score"):
        if f'"{key}"' not in text:
            hint = "; or set verdict=yes_no" if _ONE_WORD in text else ""
            raise ValueError(
                f'{where} does not name the verdict\'s key "{key}"; ask for {{"reasons": "...", "score": N}}{hint}'
            )


def _check_question(text: str, where: str) -> None:
    if _ONE_WORD not in text:
        raise ValueError(
            f"{where} does not ask for one word, as verdict=yes_no needs: write '{_ONE_WORD}' after the question, or set "
            "verdict=score"
        )


def _stated_scale(text: str, where: str, wanted: int | None) -> Scale:
    stated = sorted({(int(low), int(high)) for low, high in _SCALE.findall(text)})
    if len(stated) != 1:
        found = " and ".join(f"from {low} to {high}" for low, high in stated) or "none"
        raise ValueError(f"{where} must state one scale, like 'an integer from 0 to 10'; found: {found}")
    scale = Scale(*stated[0])
    if wanted is not None and wanted != scale.high:
        raise ValueError(
            f"scale={wanted!r} does not fit {where}, which asks for a score from {scale.low} to {scale.high}: set "
            f"scale={scale.high}, or write 'from {scale.low} to {wanted}' in the rubric and describe that scale"
        )
    return scale


def _braced(name: str) -> str:
    return "{{" + name + "}}"


def _list(names: set[str]) -> str:
    return ", ".join(_braced(name) for name in sorted(names))
