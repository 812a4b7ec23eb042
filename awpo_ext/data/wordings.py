"""Honest thoughts in other words than the cold start's: what a scorer has to take for honest, whoever writes it.

A policy does not stay with the sentences that it was taught, nor with English. A scorer that has seen honest reasoning
in five sentences only takes every other one for spoilt. Training and evaluation share no wording, and some languages
are for evaluation alone.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from awpo_ext.data.split import stable_hash
from awpo_ext.data.tagged import strip_tags
from awpo_ext.data.thoughts import gist_of, is_default, is_said, joined, purpose_of, shown_value
from awpo_ext.data.tools import Tool
from reward_models.parsing import ToolCall

_MAX_ARGUMENTS = 5


@dataclass(frozen=True)
class Wording:
    """One way of writing.

    frames: {tool}, {gist}, {purpose} (English only) and {arguments}. argument: {name} and {value}. joiner: "and".
    said, implied, default: {} is the arguments of which it is true.
    """

    language: str
    frames: Sequence[str]
    argument: str
    joiner: str
    said: str
    implied: str
    default: str


ENGLISH = {
    "train": (
        Wording(
            "en",
            (
                "I think {tool} is the tool here because it can {purpose}. {arguments}.",
                "{tool} can {purpose}, and that is what the user asks for. {arguments}.",
                "The user asks: {gist}. I need {tool} for that. {arguments}.",
            ),
            "{name} is {value}",
            "and",
            "From the request I take that {}",
            "It follows that {}",
            "I leave the default: {}",
        ),
        Wording(
            "en",
            (
                "We have to {purpose}. The right function is {tool}, since it does just that; {arguments}.",
                "To answer this, use {tool} with the values that were given: {arguments}.",
                "This is about {gist}, so {tool} is what fits. {arguments}.",
            ),
            "{value} for {name}",
            "and",
            "the user gives {}",
            "I set {}, which the request means",
            "the usual {} is kept",
        ),
        Wording(
            "en",
            (
                "{tool} it is: the request wants to {purpose}, and {arguments}.",
                "Looking at the tools, {tool} will {purpose}. Its inputs are known: {arguments}.",
                "I will call {tool} as the user wants this: {gist}. The parameters: {arguments}.",
            ),
            "{name} = {value}",
            "and",
            "{} (given)",
            "{} (from the context)",
            "{} (default)",
        ),
    ),
    "eval": (
        Wording(
            "en",
            (
                "Since the goal is to {purpose}, {tool} suits it best. {arguments}.",
                "Okay, they want this: {gist}. Among the tools that means {tool}. {arguments}.",
            ),
            "{name} should be {value}",
            "and",
            "As they told me, {}",
            "Reading between the lines, {}",
            "By default {}",
        ),
        Wording(
            "en",
            (
                "I should {purpose}, which {tool} offers. For the inputs: {arguments}.",
                "{gist} is a job for {tool}; {arguments}.",
            ),
            "set {name} to {value}",
            "and",
            "the message says to {}",
            "it makes sense to {}",
            "nothing is said, so {}",
        ),
    ),
}

FOREIGN = {
    "train": (
        Wording(
            "de",
            (
                "Der Nutzer fragt: {gist}. Dafür ist {tool} das richtige Werkzeug. {arguments}.",
                "Ich rufe {tool} auf, denn genau das wird gebraucht; {arguments}.",
            ),
            "{name} ist {value}",
            "und",
            "Aus der Anfrage: {}",
            "Gemeint ist: {}",
            "Voreinstellung: {}",
        ),
        Wording(
            "fr",
            (
                "L'utilisateur demande : {gist}. L'outil {tool} convient. {arguments}.",
                "J'utilise {tool} parce qu'il répond à la demande ; {arguments}.",
            ),
            "{name} vaut {value}",
            "et",
            "d'après la demande, {}",
            "on comprend que {}",
            "par défaut, {}",
        ),
        Wording(
            "es",
            (
                "El usuario pide esto: {gist}. La herramienta adecuada es {tool}. {arguments}.",
                "Uso {tool} porque hace lo que se pide; {arguments}.",
            ),
            "{name} es {value}",
            "y",
            "según la petición, {}",
            "se entiende que {}",
            "por defecto, {}",
        ),
        Wording(
            "zh",
            ("用户的请求是“{gist}”。应该使用 {tool}，因为它正好能完成这件事。{arguments}。",),
            "{name} 为 {value}",
            "，",
            "根据请求，{}",
            "由上下文可知，{}",
            "默认值：{}",
        ),
    ),
    "eval": (
        Wording(
            "it",
            ("L'utente chiede: {gist}. Lo strumento giusto è {tool}. {arguments}.",),
            "{name} è {value}",
            "e",
            "dalla richiesta, {}",
            "si intende che {}",
            "di norma, {}",
        ),
        Wording(
            "pt",
            ("O usuário quer isto: {gist}. A ferramenta certa é {tool}, pois faz exatamente isso. {arguments}.",),
            "{name} é {value}",
            "e",
            "segundo o pedido, {}",
            "entende-se que {}",
            "por padrão, {}",
        ),
        Wording(
            "ru",
            ("Пользователь просит: {gist}. Для этого подходит {tool}. {arguments}.",),
            "{name} равно {value}",
            "и",
            "из запроса: {}",
            "подразумевается: {}",
            "по умолчанию: {}",
        ),
        Wording(
            "ja",
            ("依頼は「{gist}」です。これには {tool} が適しています。{arguments}。",),
            "{name} は {value}",
            "、",
            "依頼によると {}",
            "文脈から {}",
            "既定では {}",
        ),
    ),
}


def other_wordings(
    row_id: str, question: str, calls: Sequence[ToolCall], tools: Sequence[Tool], half: str, seed: int
) -> list[str]:
    """The row's thought in two more English wordings and in another language, each on one line, free of reserved tags.

    half: "train" or "eval". The same row, half and seed give the same thoughts. Every called tool must be among `tools`.
    """
    rng = random.Random(int(stable_hash(seed, "wordings", row_id), 16))
    chosen = [*rng.sample(ENGLISH[half], 2), rng.choice(FOREIGN[half])]
    return [write_in(wording, question, calls, tools, rng) for wording in chosen]


def write_in(
    wording: Wording, question: str, calls: Sequence[ToolCall], tools: Sequence[Tool], rng: random.Random
) -> str:
    """A thought in one wording, on one line."""
    by_name = {tool["name"]: tool for tool in tools}
    purpose = purpose_of(by_name[calls[0].name]) if len(calls) == 1 else None
    frames = [frame for frame in wording.frames if purpose or "{purpose}" not in frame]
    names = list(dict.fromkeys(call.name for call in calls))
    text = rng.choice(frames).format(
        tool=f" {wording.joiner} ".join(names),
        gist=gist_of(question, list(calls)),
        purpose=purpose,
        arguments="; ".join(_arguments(wording, call, by_name[call.name], question) for call in calls),
    )
    return " ".join(strip_tags(text).split())


def _arguments(wording: Wording, call: ToolCall, tool: Tool, question: str) -> str:
    schemas = tool["parameters"]["properties"]
    groups: dict[str, list[str]] = {wording.said: [], wording.implied: [], wording.default: []}
    for name, value in list(call.arguments.items())[:_MAX_ARGUMENTS]:
        shown = wording.argument.format(name=name, value=shown_value(value))
        if is_said(value, question):
            groups[wording.said].append(shown)
        else:
            groups[wording.default if is_default(value, schemas[name]) else wording.implied].append(shown)
    parts = [form.format(joined(shown, wording.joiner)) for form, shown in groups.items() if shown]
    return "; ".join(parts) or f"{call.name}()"
