"""Tool-call data in any of the forms of `data.forms` -> verl rows: the assistant's message is what the model has to write."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from awpo_ext.data.dataset import Dataset
from awpo_ext.data.errors import DataError, OddRecord
from awpo_ext.data.forms.registry import Record, check_form, to_openai
from awpo_ext.data.prompts import load_prompt
from awpo_ext.data.rows import Row, rl_row, sft_row
from awpo_ext.data.sources.openai_messages import Message
from awpo_ext.data.sources.openai_source import Conversation, read_conversation
from awpo_ext.data.sources.openai_tools import compiled
from awpo_ext.data.split import split_rows
from awpo_ext.data.tagged import NO_THOUGHT, render_answer, render_call, render_reply, strip_tags
from awpo_ext.data.template import Plain, TemplateError, TemplateRenderer
from awpo_ext.data.tools import Tool, render_tools
from reward_models.verifiers.expected import expect, parse_expected
from reward_models.verifiers.truth_check import check_truth

_PROMPTS = {"json": "json_v2", "compact": "compact_v2"}
OWN_DIALECT = "toolrl"  # the form of a call that our own prompts ask for
_TWICE = "the same as an earlier row"


@dataclass(frozen=True)
class OpenaiOptions:
    """`form`: one of `data.forms`, or auto, by each record's columns. `every_turn`: a row for each message of the assistant,
    not for the last one only. `keep_off_schema`: keep rows whose calls break their own tools' schemas, and count them.
    `drop_invalid`: leave out records that cannot be used. `licence` goes into the manifest."""

    val_rows: int = 64
    every_turn: bool = False
    tool_format: str = "json"
    drop_invalid: bool = False
    licence: str = "not stated"
    seed: int = 0
    form: str = "auto"
    keep_off_schema: bool = False

    def __post_init__(self) -> None:
        if self.val_rows < 0:
            raise DataError(f"--val-rows: must not be negative, got {self.val_rows}")
        if self.tool_format not in _PROMPTS:
            raise DataError(f"--tool-format: {self.tool_format!r}; choose from {', '.join(_PROMPTS)}")
        object.__setattr__(self, "form", check_form(self.form))


@dataclass
class _Found:
    """What was made of the records so far; `odd` and `off_schema` list by kind what was wrong, with its place."""

    rows: dict[str, Row] = field(default_factory=dict)
    sft: dict[str, Row] = field(default_factory=dict)
    forms: Counter[str] = field(default_factory=Counter)
    odd: dict[str, list[str]] = field(default_factory=dict)
    off_schema: dict[str, list[str]] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    calls_before_answers: int = 0  # rows without a call whose conversation has calls before it


def convert_openai(
    records: Sequence[Record],
    name: str,
    options: OpenaiOptions,
    template: TemplateRenderer | None = None,
    common_tools: tuple[Tool, ...] = (),
) -> Dataset:
    """Convert the records; `template` writes tools and history as its tokenizer does, otherwise our own prompt does.

    SFT rows are those whose data has a thought, and there are none with a template, whose models have a form of their own.
    Raises DataError where records cannot be used, with their number and an example by kind (with `drop_invalid` they are
    left out and listed), and where nothing is left.
    """
    found = _Found()
    for number, record in enumerate(records):
        where = f"{name}, record {number}"
        try:
            made = list(_rows(record, where, options, template, common_tools, found))
        except TemplateError:
            raise
        except OddRecord as error:
            found.odd.setdefault(error.kind, []).append(str(error))
            continue
        for row, thought in made:
            row_id = row["extra_info"]["id"]
            if row_id in found.rows:
                found.twice.append(where)
                continue
            found.rows[row_id] = row
            if thought and template is None:
                answer = row["reward_model"]["ground_truth"].replace(
                    f"<think>{NO_THOUGHT}</think>", f"<think>{thought}</think>", 1
                )
                found.sft[row_id] = sft_row(row, answer)
    if found.odd and not (options.drop_invalid and found.rows):
        raise DataError(_refusal(found.odd, len(records), name, options.drop_invalid))
    train, val = split_rows(list(found.rows.values()), options.val_rows, options.seed)
    prompt = None if template else load_prompt(_PROMPTS[options.tool_format])
    about: dict[str, Any] = {
        "source": {"name": name, "records": len(records), "forms": dict(found.forms)},
        "licence": options.licence,
        "options": asdict(options),
        "prompt": {"name": prompt.name, "sha256": prompt.sha256} if prompt else "the tokenizer's chat template",
        "dialect": template.reading.dialect if template else OWN_DIALECT,
        "thinking": template.reading.thinking if template else "auto",
        "tokenizer": template.name if template else None,
        "notes": _notes(found, options),
    }
    in_train = {row["extra_info"]["id"] for row in train}
    skipped = found.odd | ({_TWICE: found.twice} if found.twice else {})
    return Dataset(train, val, [row for row_id, row in found.sft.items() if row_id in in_train], about, skipped)


def _rows(
    record: Record,
    where: str,
    options: OpenaiOptions,
    template: TemplateRenderer | None,
    common_tools: tuple[Tool, ...],
    found: _Found,
) -> Iterator[tuple[Row, str]]:
    """The rows of a record, each with its thought."""
    plain, form = to_openai(record, where, options.form)
    conversation = read_conversation(plain, where, common_tools)
    for place in _places(conversation, options, where):
        at = f"{where}, answer {place}"
        answer = conversation.messages[place]
        for fault in check_truth(expect(answer.calls), compiled(conversation.tools)):
            kind = f"a ground truth that {fault.kind.value}"
            if not options.keep_off_schema:
                raise OddRecord(kind, at, f"{fault}; --keep-off-schema keeps such rows")
            found.off_schema.setdefault(kind, []).append(f"{at}: {fault}")
        row = _row(conversation, place, at, form, options, template)
        found.calls_before_answers += not answer.calls and any(m.calls for m in conversation.messages[:place])
        yield row, strip_tags(answer.reasoning.strip())
    found.forms[form] += 1


def _places(conversation: Conversation, options: OpenaiOptions, where: str) -> list[int]:
    """The assistant's messages that become rows: those that answer something."""
    places = [
        i
        for i, message in enumerate(conversation.messages)
        if message.role == "assistant" and i and conversation.messages[i - 1].role in ("user", "tool")
    ]
    if not places:
        raise OddRecord("no answer", where, "no message of the assistant follows one of the user or a tool")
    return places if options.every_turn else places[-1:]


def _row(
    conversation: Conversation,
    place: int,
    where: str,
    form: str,
    options: OpenaiOptions,
    template: TemplateRenderer | None,
) -> Row:
    history, answer = conversation.messages[:place], conversation.messages[place]
    asked = [message.content for message in history if message.role == "user"]
    if not asked or not asked[-1].strip():
        raise OddRecord("nothing of the user before the answer", where)
    truth = _truth(answer, where)
    prompt = (
        template.plain(history, conversation.tools) if template else _own_prompt(history, conversation.tools, options)
    )
    digest = hashlib.sha256(json.dumps([prompt, truth], ensure_ascii=False).encode()).hexdigest()[:16]
    return rl_row(
        data_source=form,
        prompt=prompt,
        ground_truth=truth,
        row_id=f"{conversation.id}-{digest}" if conversation.id else digest,
        category="response" if not answer.calls else "single" if len(answer.calls) == 1 else "parallel",
        question=asked[-1],
        tools=list(conversation.tools),
    )


def _truth(answer: Message, where: str) -> str:
    """The ground truth, read back as the verifiers read it."""
    if not answer.calls and not answer.content.strip():
        raise OddRecord("an answer that neither calls a tool nor says anything", where)
    try:
        text = (
            render_answer(NO_THOUGHT, answer.calls)
            if answer.calls
            else render_reply(NO_THOUGHT, answer.content.strip())
        )
        if parse_expected(text) != expect(answer.calls):
            raise ValueError(f"it reads differently: {text[:120]!r}")
    except ValueError as error:
        raise OddRecord("an answer that cannot be a ground truth", where, str(error)) from error
    return text


def _own_prompt(history: tuple[Message, ...], tools: tuple[Tool, ...], options: OpenaiOptions) -> Plain:
    prompt = load_prompt(_PROMPTS[options.tool_format])
    given = [message.content for message in history if message.role == "system"]
    plain = [
        {"role": "system", "content": "\n\n".join([prompt.fill(render_tools(tools, options.tool_format)), *given])}
    ]
    for message in history:
        if message.role == "system":
            continue
        lines = "\n".join(render_call(call) for call in message.calls)
        parts = [message.content, f"<tool_call>\n{lines}\n</tool_call>" if message.calls else ""]
        plain.append({"role": message.role, "content": "\n".join(part for part in parts if part) or "(empty)"})
    return plain


def _refusal(odd: dict[str, list[str]], records: int, name: str, drop_invalid: bool) -> str:
    """How many records cannot be used, by kind, with an example of each."""
    by_count = sorted(odd.items(), key=lambda item: -len(item[1]))
    lines = [f"  {len(places)} x {kind}; for example {places[0]}" for kind, places in by_count]
    count = sum(map(len, odd.values()))
    then = "no valid record is left" if drop_invalid else "--drop-invalid leaves such records out and lists them"
    return "\n".join([f"{name}: {count} of {records} records cannot be used; {then}", *lines])


def _notes(found: _Found, options: OpenaiOptions) -> list[str]:
    """What to know about the rows, for the manifest and the console."""
    notes = [f"kept {len(places)} x {kind}; for example {places[0]}" for kind, places in found.off_schema.items()]
    if found.calls_before_answers and not options.every_turn:
        notes.append(
            f"{found.calls_before_answers} of {len(found.rows)} rows expect no call, because their conversations end in words "
            "after calls; --every-turn makes rows of the calls too"
        )
    return notes
