"""OpenAI-style tool-call data (`messages` + `tools`) -> verl rows: the assistant's message is what the model has to write."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from awpo_ext.data.dataset import Dataset
from awpo_ext.data.errors import DataError
from awpo_ext.data.prompts import load_prompt
from awpo_ext.data.rows import Row, rl_row, sft_row
from awpo_ext.data.sources.openai_source import Conversation, Message, read_conversation
from awpo_ext.data.sources.toolrl_source import Record
from awpo_ext.data.split import split_rows
from awpo_ext.data.tagged import (
    NO_THOUGHT,
    parse_tagged,
    render_answer,
    render_call,
    render_reply,
    strip_tags,
)
from awpo_ext.data.template import Plain, TemplateError, TemplateRenderer
from awpo_ext.data.tools import Tool, render_tools

_PROMPTS = {"json": "json_v2", "compact": "compact_v2"}


@dataclass(frozen=True)
class OpenaiOptions:
    """`every_turn`: a row for each message of the assistant, not for the last one only. `licence` goes into the manifest."""

    val_rows: int = 64
    every_turn: bool = False
    tool_format: str = "json"
    drop_invalid: bool = False
    licence: str = "not stated"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.val_rows < 0:
            raise DataError(f"--val-rows: must not be negative, got {self.val_rows}")
        if self.tool_format not in _PROMPTS:
            raise DataError(f"--tool-format: {self.tool_format!r}; choose from {', '.join(_PROMPTS)}")


def convert_openai(
    records: Sequence[Record],
    name: str,
    options: OpenaiOptions,
    template: TemplateRenderer | None = None,
    common_tools: tuple[Tool, ...] = (),
) -> Dataset:
    """Convert the records; `template` writes tools and history as its tokenizer does, otherwise our own prompt does.

    SFT rows are those whose data has a thought (`reasoning_content`), and there are none with a template, whose models have
    a form of their own. Raises DataError for a record that cannot be used (with `drop_invalid` it is left out and
    listed), and where nothing is left.
    """
    rows: dict[str, Row] = {}
    sft: dict[str, Row] = {}
    skipped: dict[str, list[str]] = {}
    for number, record in enumerate(records):
        where = f"{name}, record {number}"
        try:
            conversation = read_conversation(record, where, common_tools)
            made = [
                _row(conversation, place, where, name, options, template)
                for place in _places(conversation, options, where)
            ]
        except TemplateError:
            raise
        except DataError as error:
            if not options.drop_invalid:
                raise DataError(f"{error}; --drop-invalid leaves such records out") from error
            skipped.setdefault("not valid", []).append(str(error))
            continue
        for row, thought in made:
            row_id = row["extra_info"]["id"]
            if row_id in rows:
                skipped.setdefault("the same as an earlier row", []).append(where)
                continue
            rows[row_id] = row
            if thought and template is None:
                answer = row["reward_model"]["ground_truth"].replace(
                    f"<think>{NO_THOUGHT}</think>", f"<think>{thought}</think>", 1
                )
                sft[row_id] = sft_row(row, answer)
    if not rows:
        raise DataError(f"{name}: no valid record is left")
    train, val = split_rows(list(rows.values()), options.val_rows, options.seed)
    prompt = None if template else load_prompt(_PROMPTS[options.tool_format])
    about: dict[str, Any] = {
        "source": {"name": name, "records": len(records)},
        "licence": options.licence,
        "options": asdict(options),
        "prompt": {"name": prompt.name, "sha256": prompt.sha256} if prompt else "the tokenizer's chat template",
    }
    in_train = {row["extra_info"]["id"] for row in train}
    return Dataset(train, val, [row for row_id, row in sft.items() if row_id in in_train], about, skipped)


def _places(conversation: Conversation, options: OpenaiOptions, where: str) -> list[int]:
    """The assistant's messages that become rows: those that answer something."""
    places = [
        i
        for i, message in enumerate(conversation.messages)
        if message.role == "assistant" and i and conversation.messages[i - 1].role in ("user", "tool")
    ]
    if not places:
        raise DataError(
            f"{where}: no ground truth: there is no message of the assistant after one of the user or a tool"
        )
    return places if options.every_turn else places[-1:]


def _row(
    conversation: Conversation,
    place: int,
    where: str,
    name: str,
    options: OpenaiOptions,
    template: TemplateRenderer | None,
) -> tuple[Row, str]:
    """The row of one message of the assistant, and that message's thought."""
    history, answer = conversation.messages[:place], conversation.messages[place]
    asked = [message.content for message in history if message.role == "user"]
    if not asked or not asked[-1].strip():
        raise DataError(f"{where}, messages[{place}]: nothing of the user before it")
    truth = _truth(answer, f"{where}, messages[{place}]")
    prompt = (
        template.plain(history, conversation.tools) if template else _own_prompt(history, conversation.tools, options)
    )
    digest = hashlib.sha256(json.dumps([prompt, truth], ensure_ascii=False).encode()).hexdigest()[:16]
    row = rl_row(
        data_source="openai",
        prompt=prompt,
        ground_truth=truth,
        row_id=f"{conversation.id}-{digest}" if conversation.id else digest,
        category="response" if not answer.calls else "single" if len(answer.calls) == 1 else "parallel",
        question=asked[-1],
        tools=list(conversation.tools),
    )
    return row, strip_tags(answer.reasoning.strip())


def _truth(answer: Message, where: str) -> str:
    if not answer.calls and not answer.content.strip():
        raise DataError(f"{where}: no ground truth: the assistant neither calls a tool nor says anything")
    try:
        text = (
            render_answer(NO_THOUGHT, answer.calls)
            if answer.calls
            else render_reply(NO_THOUGHT, answer.content.strip())
        )
        parse_tagged(text)
    except ValueError as error:
        raise DataError(f"{where}: cannot be a ground truth: {error}") from error
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
