"""Ways to spoil an honest trace, each under its own name, so that whole kinds can be held out of training.

A corruption changes the thought, or the call that the thought is about, and nothing else; it returns None where it
does not apply to a trace. Text that it adds comes from `phrases`, from one half only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from reward_models.scorers.data import phrases
from reward_models.scorers.data.corrupt_argued import (
    argued_call,
    argued_exchange,
    argued_values,
    echo_of_wrong_call,
    invented_argument,
    misquoted_value,
    names_as_values,
    unread_call,
    unread_wrong_call,
    unrelated,
)
from reward_models.scorers.data.corrupt_calls import (
    altered_argument,
    called_and_other,
    dropped_argument,
    exchanged_values,
    foreign_tool,
    swapped_tool,
    swapped_values,
)
from reward_models.scorers.data.original import Context, Original
from reward_models.scorers.features.trace import leaves, sentences, value_text

Corruption = Callable[[Original, Context], Original | None]


def other_thought(row: Original, context: Context) -> Original | None:
    """The thought of another row."""
    return replace(row, thought=context.rng.choice(context.others).thought)


def nearest_thought(row: Original, context: Context) -> Original | None:
    """The thought of the other row whose request is nearest."""
    return replace(row, thought=context.nearest.thought)


def wrong_tool_argued(row: Original, context: Context) -> Original | None:
    """The thought names another tool wherever it named the called one; where it named none, it argues for another."""
    called, other = called_and_other(row, context)
    if other is None:
        return None
    if called in row.thought:
        return replace(row, thought=row.thought.replace(called, other.name))
    about = other.description.strip().rstrip(".")[:120] or "does what is asked"
    said = context.pick(phrases.ARGUED_FOR).format(other=other.name, about=about[0].lower() + about[1:])
    return replace(row, thought=f"{row.thought} {said}")


def contradiction(row: Original, context: Context) -> Original | None:
    """The thought ends by deciding against the call that follows it."""
    called, other = called_and_other(row, context)
    if other is None:
        return None
    values = [(name, value) for name, value in leaves(row.calls) if not isinstance(value, bool)]
    rng = context.rng
    key, value = rng.choice(values) if values else ("", None)
    strangers = [text for item in context.others[:60] for _, text in leaves(item.calls) if type(text) is type(value)]
    usable = [text for text in phrases.CONTRADICTIONS[context.half] if (values and strangers) or "{key}" not in text]
    wrong = rng.choice(strangers) if strangers else ""
    said = rng.choice(usable).format(
        tool=called, other=other.name, key=key, value=value_text(value), wrong=value_text(wrong)
    )
    return replace(row, thought=f"{row.thought} {said}")


def truncated(row: Original, context: Context) -> Original | None:
    """The thought breaks off after 15 to 50 % of its words, in the middle of a sentence."""
    found = row.thought.split(" ")
    kept = " ".join(found[: int(len(found) * context.rng.uniform(0.15, 0.5))]).rstrip(" .!?\n")
    return replace(row, thought=kept) if kept else None


def repeated(row: Original, context: Context) -> Original | None:
    """One to three sentences in a row are said two to four times over."""
    parts = _parts(row.thought)
    length = context.rng.randint(1, min(3, len(parts)))
    start = context.rng.randrange(len(parts) - length + 1)
    run = parts[start : start + length]
    return replace(row, thought=" ".join(parts[:start] + run * context.rng.randint(2, 4) + parts[start + length :]))


def shuffled(row: Original, context: Context) -> Original | None:
    """The sentences of the thought in another order; their line breaks stay where they were."""
    spans = sentences(row.thought)
    if len(spans) < 4:
        return None
    order = list(range(len(spans)))
    while order == sorted(order):
        context.rng.shuffle(order)
    gaps = [row.thought[end:start] for (_, end), (start, _) in pairwise(spans)] + [""]
    texts = [row.thought[slice(*spans[index])] for index in order]
    return replace(row, thought="".join(text + gap for text, gap in zip(texts, gaps, strict=True)))


def padded(row: Original, context: Context) -> Original | None:
    """Empty sentences between the real ones: a third to as many as there are, two at least."""
    parts = _parts(row.thought)
    for _ in range(max(2, round(len(parts) * context.rng.uniform(0.34, 1.0)))):
        parts.insert(context.rng.randint(0, len(parts)), context.pick(phrases.FLUFF))
    return replace(row, thought=" ".join(parts))


def empty(row: Original, context: Context) -> Original | None:
    """No thought at all."""
    return replace(row, thought="")


def boilerplate(row: Original, context: Context) -> Original | None:
    """A thought that would stand before any call."""
    return replace(row, thought=context.pick(phrases.BOILERPLATE))


def praise(row: Original, context: Context) -> Original | None:
    """The thought praises itself, once or twice."""
    parts = _parts(row.thought)
    for _ in range(context.rng.randint(1, 2)):
        parts.insert(context.rng.choice((0, len(parts))), context.pick(phrases.PRAISE))
    return replace(row, thought=" ".join(parts))


def tool_listing(row: Original, context: Context) -> Original | None:
    """The thought lists every tool, with or without what it does, and reasons about none."""
    if not row.tools:
        return None
    tools = context.rng.sample(row.tools, len(row.tools))
    described = context.rng.random() < 0.5
    names = [f"{tool.name} ({tool.description[:100]})" if described else tool.name for tool in tools]
    opening = {
        "train": ("The available tools are {}.", "I can use {}.", "Tools: {}. The called one is among them."),
        "eval": ("There are these functions: {}.", "We have {} at our disposal, and any of them may help."),
    }[context.half]
    return replace(row, thought=context.rng.choice(opening).format(", ".join(names)))


def keyword_stuffing(row: Original, context: Context) -> Original | None:
    """The words of the request, all tools, parameters and values of the row, in a heap."""
    keys = [name for tool in row.tools for name in (tool.name, *tool.parameters)]
    values = [value_text(value) for _, value in leaves(row.calls)]
    heap = list(dict.fromkeys([*row.question.split()[:60], *keys[:60], *values, "call", "tool", "user", "so"]))
    context.rng.shuffle(heap)
    return replace(row, thought=" ".join(heap))


def question_echo(row: Original, context: Context) -> Original | None:
    """The request, repeated."""
    opening = "The user says: " if context.half == "train" else "I was told this: "
    return replace(row, thought=opening + row.question[:1500])


def call_echo(row: Original, context: Context) -> Original | None:
    """The call, announced without a reason."""
    if not row.calls:
        return None
    call = row.calls[0]
    opening = "I call" if context.half == "train" else "Calling"
    return replace(row, thought=f"{opening} {call.name} with {json.dumps(call.arguments, ensure_ascii=False)}.")


CORRUPTIONS: dict[str, Corruption] = {
    function.__name__: function
    for function in (
        other_thought, nearest_thought, wrong_tool_argued, swapped_tool, foreign_tool, dropped_argument,
        altered_argument, swapped_values, exchanged_values, contradiction, truncated, repeated, shuffled, padded, empty,
        boilerplate, praise, tool_listing, keyword_stuffing, question_echo, call_echo, argued_values, argued_exchange,
        argued_call, invented_argument, names_as_values, misquoted_value, echo_of_wrong_call, unrelated,
        unread_call, unread_wrong_call,
    )
}  # fmt: skip


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEEDS_CALL = _set(
    "wrong_tool_argued swapped_tool foreign_tool dropped_argument altered_argument swapped_values exchanged_values "
    "contradiction call_echo argued_values argued_exchange argued_call misquoted_value echo_of_wrong_call "
    "invented_argument names_as_values unread_call unread_wrong_call"
)
# Labels other than 0: the reasoning is as good as it was, and nothing came of it.
LABELS = {"unread_call": 0.5}
# One of each family (tool, argument, structure, gaming, nothing said) is never trained on.
HELD_OUT = ("wrong_tool_argued", "altered_argument", "repeated", "keyword_stuffing", "question_echo")


def corrupt(kind: str, row: Original, context: Context) -> Original | None:
    """`row` spoilt in the way `kind`; None where that does not apply, or would change nothing."""
    if kind in NEEDS_CALL and not row.calls:
        return None
    changed = CORRUPTIONS[kind](row, context)
    return None if changed is None or changed == row else changed


def _parts(thought: str) -> list[str]:
    return [thought[start:end] for start, end in sentences(thought)] or [thought]
