"""How a thought is built: repetition, sentences that speak of the task, praise, reasons, copying.

Its length is left out on purpose: a policy would learn to write long thoughts. Pure functions of a `Trace`, in time
linear in its bounded texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from reward_models.scorers.features.trace import ToolText, Trace, leaves, sentences, value_text, words


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"\w+")
_BRACKET = re.compile(r"[{}\[\]]")
_CONTENT = re.compile(r"[^\W_]{3,}")
_MAX_SENTENCES = 200
_JUDGED = _set(
    "score scored rating rated rate grade grader graded marks verdict evaluator judge reward points perfect perfectly "
    "excellent brilliant outstanding flawless impeccable superb exceptional convincing thorough thoroughly best maximum "
    "highest deserve deserves award"
)
_REASONS = _set(
    "so because since therefore thus hence as if but however need needs should must first then next also which means "
    "given requires required"
)
_STOP = _set(
    "the and for that this with are was were will would should can could have has had not but they them their there "
    "which what when who how its from into than then also any all one use used using need needs user request tool tools "
    "call parameter parameters"
)


class StructureFeatures(NamedTuple):
    """How the thought is built."""

    sentence_words: float  # mean per sentence, log1p
    unique_words: float  # share
    unique_trigrams: float  # share
    repeated_sentences: float  # share of the sentences said before
    grounded_sentences: float  # share of the sentences with a word of request, tools or call
    grounded_words: float  # share of the content words that request, tools or call hold
    ungrounded_run: float  # longest run of sentences without such a word, share
    praise: float  # share of the sentences with a word of judging
    judging_words: float  # such words that the request lacks, log1p
    reasons: float  # share of the words that join reasons
    function_words: float  # share of short everyday words: a heap of keywords has few
    finished: float  # whether the thought ends with a full stop, bracket or quote
    question_copied: float  # share of the thought's trigrams that are the request's
    call_copied: float  # share of the thought's characters that stand in braces or brackets
    adjacent: float  # how much more alike neighbouring sentences are than others


_EVERYDAY = _set(
    "the a an is are was be to of in on at it i they we you he she that this which and or but so not for with as by from "
    "there here does do did has have can will should would if then than its my their"
)


def structure_features(trace: Trace) -> np.ndarray:
    """The values of StructureFeatures, finite; shares are in [0, 1]."""
    thought = trace.thought
    spans = sentences(thought)[:_MAX_SENTENCES]
    texts = [thought[start:end].lower() for start, end in spans]
    bags = [{word for word in _CONTENT.findall(text) if word not in _STOP} for text in texts]
    found = _WORD.findall(thought.lower())
    trigrams = list(zip(found, found[1:], found[2:], strict=False))
    asked = _WORD.findall(trace.question.lower())
    asked_trigrams = set(zip(asked, asked[1:], asked[2:], strict=False))
    known = _known_words(trace)
    count_bags = max(1, len(bags))
    grounded = [bool(bag & known) for bag in bags]
    content = [word for bag in bags for word in bag]
    judged = _JUDGED - set(asked)
    judging = [word for word in found if word in judged]
    count = max(1, len(found))
    return np.array(
        StructureFeatures(
            sentence_words=np.log1p(len(found) / max(1, len(texts))),
            unique_words=len(set(found)) / count,
            unique_trigrams=len(set(trigrams)) / max(1, len(trigrams)) if trigrams else 1.0,
            repeated_sentences=1 - len(set(texts)) / max(1, len(texts)) if texts else 0.0,
            grounded_sentences=sum(grounded) / count_bags,
            grounded_words=sum(word in known for word in content) / max(1, len(content)),
            ungrounded_run=_longest_run(grounded) / max(1, len(grounded)),
            praise=sum(not _JUDGED.isdisjoint(_WORD.findall(text)) for text in texts) / count_bags,
            judging_words=np.log1p(len(judging)),
            reasons=sum(word in _REASONS for word in found) / count,
            function_words=sum(word in _EVERYDAY for word in found) / count,
            finished=float(thought.rstrip()[-1:] in {".", "!", "?", ")", '"', "'", "。", "`", "]", "}"}),
            question_copied=sum(item in asked_trigrams for item in trigrams) / max(1, len(trigrams)),
            call_copied=_bracketed(thought) / max(1, len(thought)),
            adjacent=_adjacency(bags),
        ),
        dtype=float,
    )


def _known_words(trace: Trace) -> frozenset[str]:
    texts = [f"{words(key)} {value_text(value)}" for key, value in leaves(trace.calls)]
    return _content(" ".join([*texts, trace.answer[:2000]])) | _task_words(trace.question, trace.tools)


@lru_cache(maxsize=64)  # the rollouts of a group have the same task
def _task_words(question: str, tools: tuple[ToolText, ...]) -> frozenset[str]:
    texts = [question, *(f"{words(tool.name)} {tool.description}" for tool in tools)]
    return _content(" ".join([*texts, *(words(name) for tool in tools for name in tool.parameters)]))


def _content(text: str) -> frozenset[str]:
    return frozenset(_CONTENT.findall(text.lower())) - _STOP


def _longest_run(grounded: Sequence[bool]) -> int:
    longest = run = 0
    for item in grounded:
        run = 0 if item else run + 1
        longest = max(longest, run)
    return longest


def _bracketed(text: str) -> int:
    """Characters inside of braces or brackets, themselves not counted; an unmatched closing one closes nothing."""
    depth = inside = last = 0
    for bracket in _BRACKET.finditer(text):
        inside += bracket.start() - last if depth else 0
        depth = depth + 1 if bracket.group() in "{[" else max(0, depth - 1)
        last = bracket.end()
    return inside + (len(text) - last if depth else 0)


def _adjacency(bags: Sequence[set[str]]) -> float:
    """Mean overlap of neighbouring sentences less that of sentences four apart, in [-1, 1]; 0 for fewer than six."""
    if len(bags) < 6:
        return 0.0

    def overlap(gap: int) -> float:
        pairs = list(zip(bags, bags[gap:], strict=False))
        return sum(len(a & b) / max(1, min(len(a), len(b))) for a, b in pairs) / len(pairs)

    return overlap(1) - overlap(4)
