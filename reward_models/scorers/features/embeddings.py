"""What sentence embeddings say of a trace: is the thought about this task, this call, and from beginning to end?

The thought is embedded as two pieces, cut at a sentence: MiniLM reads 256 tokens, and a whole thought is often longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reward_models.scorers.features.trace import ToolText, Trace, call_text, sentences, words

PIECE_CHARS = 1200  # about MiniLM's 256 tokens; of a longer piece the start is read
_MAX_OTHERS = 8  # tools not called, in the order in which they are listed
_MIN_SPLIT = 160  # a shorter thought is one piece


class EmbeddingFeatures(NamedTuple):
    """Cosines among thought, request, call and tools."""

    thought_question: float
    thought_call: float
    call_question: float
    first_question: float  # the thought's first piece
    last_question: float
    first_call: float
    last_call: float
    first_last: float
    thought_tool: float  # the called tools' descriptions, mean
    thought_other_tool: float  # the nearest tool that is not called; 0 where there is none
    tool_margin: float  # thought_tool less thought_other_tool; 0 where there is none
    call_tool_margin: float


@dataclass(frozen=True)
class Texts:
    """The texts of one trace to embed: one or two pieces of the thought; what there is of question, call and tools."""

    pieces: tuple[str, ...]
    question: str
    call: str
    called: tuple[str, ...]
    others: tuple[str, ...]

    def all(self) -> list[str]:
        return [text for text in (*self.pieces, self.question, self.call, *self.called, *self.others) if text]


def texts_of(trace: Trace) -> Texts:
    """What has to be embedded for a trace whose thought is not blank."""
    names = {call.name.strip() for call in trace.calls}
    return Texts(
        pieces=_pieces(trace.thought),
        question=trace.question.strip()[:PIECE_CHARS],
        call=(call_text(trace.calls) or trace.answer).strip()[:PIECE_CHARS],
        called=tuple(_tool_text(tool) for tool in trace.tools if tool.name in names),
        others=tuple(_tool_text(tool) for tool in trace.tools if tool.name not in names)[:_MAX_OTHERS],
    )


def embedding_features(texts: Texts, vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The values of EmbeddingFeatures from unit-length `vectors`; 0 for what the trace does not have."""
    first, last = vectors[texts.pieces[0]], vectors[texts.pieces[-1]]
    thought = first + last
    thought = thought / max(1e-9, float(np.linalg.norm(thought)))
    zero = np.zeros_like(thought)
    question = vectors[texts.question] if texts.question else zero
    call = vectors[texts.call] if texts.call else zero
    called = [vectors[text] for text in texts.called]
    others = [vectors[text] for text in texts.others]
    tool = _mean([thought @ vector for vector in called])
    other = max((float(thought @ vector) for vector in others), default=0.0)
    call_tool = _mean([call @ vector for vector in called])
    call_other = max((float(call @ vector) for vector in others), default=0.0)
    both = bool(called) and bool(others)
    return np.array(
        EmbeddingFeatures(
            thought_question=thought @ question,
            thought_call=thought @ call,
            call_question=call @ question,
            first_question=first @ question,
            last_question=last @ question,
            first_call=first @ call,
            last_call=last @ call,
            first_last=first @ last if len(texts.pieces) > 1 else 0.6,
            thought_tool=tool,
            thought_other_tool=other,
            tool_margin=tool - other if both else 0.0,
            call_tool_margin=call_tool - call_other if both else 0.0,
        ),
        dtype=float,
    )


def _pieces(thought: str) -> tuple[str, ...]:
    """The thought as one text, or as two of about the same length, each cut to PIECE_CHARS."""
    text = thought.strip()
    if len(text) < _MIN_SPLIT:
        return (text,)
    starts = [start for start, _ in sentences(text)][1:]
    cut = min(starts, key=lambda start: abs(start - len(text) // 2), default=0)
    if cut < len(text) // 4 or cut > 3 * len(text) // 4:
        cut = len(text) // 2
    # A long second half keeps its end: that is where conclusions stand.
    return (text[:cut].strip()[:PIECE_CHARS] or "-", text[cut:].strip()[-PIECE_CHARS:] or "-")


def _tool_text(tool: ToolText) -> str:
    return f"{words(tool.name)}: {tool.description}"[:300]


def _mean(items: Sequence[float]) -> float:
    return float(np.mean(items)) if items else 0.0
